"""`lunula eval design` and `eval errors`: the table of paper N from trained embeddings, and its failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.console import console, errors, errors_as_exit_codes, progress
from cli.errors import RequestError
from cli.evaluate.retrieval.design_tables import (
    categories_table,
    published_table,
    rows_table,
    steps_table,
    subset_tables,
)
from cli.evaluate.retrieval.failures_page import render, sample_failures
from evaluation.retrieval.benchmark import DEPTHS, FAMILY, POOLS, Benchmark, Run, read_run, run_folders
from evaluation.retrieval.design_table import DesignTable, tabulate
from evaluation.retrieval.error_categories import counts, read_annotations
from evaluation.retrieval.nailstar import SPLITS, read

METRICS = ("hit", "cov")


def design(
    data: Annotated[Path, typer.Option(help="A folder with nailstar.jsonl and its photos.")],
    runs: Annotated[Path, typer.Option(help="Where training left its rows: RUNS/ROW/seed-N/test.npz.")],
    split: Annotated[str, typer.Option(metavar="|".join(SPLITS))] = "test",
    pool: Annotated[
        str,
        typer.Option(
            help="Among which photos a request is sought: all of the split, or those of its own subset.",
            metavar="|".join(POOLS),
        ),
    ] = "all",
    metric: Annotated[
        str,
        typer.Option(
            help="hit@k: the share of requests with a target among the first k (the paper's R@k); cov@k: the "
            "share of a request's targets that are; or both, with a comma.",
            metavar="hit,cov",
        ),
    ] = "hit,cov",
    against: Annotated[
        str,
        typer.Option(
            help="Compare every row with this one; by default with the row before it, ablations with theirs."
        ),
    ] = "",
    paper: Annotated[
        bool, typer.Option("--paper", help="Print what the paper reports below; on other data.")
    ] = False,
    samples: Annotated[
        int, typer.Option(min=100, max=100_000, help="Samples of the bootstrap over requests.")
    ] = 2_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page of failures with a form to sort them by category.")
    ] = None,
    page_row: Annotated[str, typer.Option(help="Whose failures; by default those of `ours`.")] = "ours",
    page_count: Annotated[int, typer.Option(min=1, max=1_000, help="How many failures at most.")] = 100,
) -> None:
    """Rank photos for their requests by the embeddings of trained rows, and print paper N's table.

    MRR, hit@k and cov@k are of a request's best target, or of all its targets; ties count against. ± is the
    standard deviation over the runs of a row. Steps are tested by a paired bootstrap over requests, each with
    its figure averaged over the runs.
    """
    metrics = [name.strip() for name in metric.split(",")]
    with errors_as_exit_codes():
        for name, value, known in (("split", split, SPLITS), ("pool", pool, POOLS)):
            if value not in known:
                raise RequestError(f"--{name} {value}: not one of {', '.join(known)}")
        if unknown := [name for name in metrics if name not in METRICS]:
            raise RequestError(f"--metric {unknown[0]}: not one of {', '.join(METRICS)}")
        folders = run_folders(runs, split)
        benchmark = Benchmark(tuple(entry for entry in read(data) if entry.split == split), pool)
        with progress() as bar:
            ranking = bar.add_task("Ranking  ", total=len(folders))

            def read_all() -> Iterator[Run]:
                for folder in folders:
                    yield read_run(folder, split, benchmark.entries)
                    bar.advance(ranking)

            table = tabulate(benchmark, read_all())
            pairs = table.pairs(against or None)
            comparing = bar.add_task("Comparing", total=len(pairs))
            steps = table.steps(against or None, samples=samples, on_step=lambda: bar.advance(comparing))
        if len({digest for row in table.rows for digest in row.digests}) > 1:
            errors.print("[yellow]warning:[/yellow] these runs were not all trained on the same data")
        if page is not None:
            run = _read_shown_run(page_row, folders, split, benchmark, table)
            _write_page(page, run, data, benchmark, page_count)
    names = ["MRR", *(f"{kind}@{k}" for kind in METRICS if kind in metrics for k in DEPTHS)]
    if as_json:
        facts = {"split": split, **table.as_dict([*names, FAMILY], steps)}
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    parts = [rows_table(table), *subset_tables(table, names), steps_table(steps)]
    for part in [*parts, published_table()] if paper else parts:
        console.print(part)


def error_counts(
    file: Annotated[Path, typer.Argument(help="Annotations saved from a page of failures (JSON lines).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Check annotations of failures, and count them by paper N's ten categories."""
    with errors_as_exit_codes():
        annotations = read_annotations(file)
        found = counts(annotations)
        if as_json:
            facts = {category.label: count for category, count in found.items()}
            typer.echo(json.dumps({"annotations": len(annotations), "categories": facts}, indent=2))
        else:
            console.print(categories_table(found))


def _read_shown_run(
    name: str, folders: list[Path], split: str, benchmark: Benchmark, table: DesignTable
) -> Run:
    """The first run of a row."""
    for folder in folders:
        if folder.parent.name == name:
            return read_run(folder, split, benchmark.entries)
    known = ", ".join(row.name for row in table.rows)
    raise RequestError(f"--page-row {name}: there is no such row; there are {known}")


def _write_page(page: Path, run: Run, data: Path, benchmark: Benchmark, count: int) -> None:
    failures, total = sample_failures(run, benchmark, count)
    with progress() as bar:
        task = bar.add_task("Drawing  ", total=len(failures))
        text = render(failures, run, data, benchmark, total=total, on_failure=lambda: bar.advance(task))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    errors.print(f"wrote {escape(str(page))}: {len(failures)} of {total} failures of {escape(run.row)}")
