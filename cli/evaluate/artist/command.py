"""`lunula eval artist`: paper A's tables from predictions, and what the ladder of fusions brings."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.console import console, errors, errors_as_exit_codes, progress
from cli.errors import RequestError
from cli.evaluate.artist.open_set import open_set_tables, read_open_set
from cli.evaluate.artist.page import write_page
from cli.evaluate.artist.tables import (
    ladder_table,
    models_table,
    published_tables,
    ratios_table,
    slices_table,
    transitions_table,
)
from cli.evaluate.extra import require_evaluate_extra
from evaluation.artist.metrics import Transitions
from evaluation.artist.predictions import open_run
from evaluation.artist.table import FIVE_TO_FIVE, LADDER, ArtistRow, ArtistTable, Gain, Slice, tabulate

SLICES = ("entropy",)


def artist(
    runs: Annotated[Path, typer.Option(help="What `lunula train artist` left: folds.json and predictions.")],
    outer: Annotated[int, typer.Option(min=2, help="Outer folds that the run must have.")] = 5,
    inner: Annotated[int, typer.Option(min=2, help="Inner folds that the run must have.")] = 5,
    slices: Annotated[
        str,
        typer.Option(
            help="entropy: figures also of works whose combination of object labels says much of the artist.",
            metavar="|".join(SLICES),
        ),
    ] = "",
    log_base: Annotated[float, typer.Option(help="Base of the entropy's logarithm; by default e.")] = math.e,
    samples: Annotated[
        int, typer.Option(min=100, max=100_000, help="Samples of the bootstrap over works.")
    ] = 2_000,
    paper: Annotated[
        bool, typer.Option("--paper", help="Print what the paper reports below; on other works.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with the reliability diagram and confusions, and both as PNG beside it."
        ),
    ] = None,
) -> None:
    """Print paper A's tables: single models, nine ratios, the ladder, transitions, slices by entropy.

    Every work is answered once, by models that did not see it. Pooled figures count all works together; means
    are over outer folds and over all single models. The ladder is tested against 5:5 by a paired bootstrap.
    """
    with errors_as_exit_codes():
        require_evaluate_extra()
        if slices and slices not in SLICES:
            raise RequestError(f"--slices {slices}: not one of {', '.join(SLICES)}")
        if not log_base > 1:
            raise RequestError(f"--log-base {log_base:g}: must be above 1")
        open_set = read_open_set(runs)
        run = open_run(runs)
        if (run.folds.outer, run.folds.inner) != (outer, inner):
            raise RequestError(
                f"{runs} has {run.folds.outer} outer and {run.folds.inner} inner folds, "
                f"not {outer} and {inner}"
            )
        with progress() as bar:
            reading = bar.add_task("Reading  ", total=len(run.models))
            table = tabulate(run, lambda: bar.advance(reading))
            comparing = bar.add_task("Comparing", total=len(table.rungs))
            gains = table.gains(samples=samples, on_gain=lambda: bar.advance(comparing))
        sources = {str(run.about(row.name).more.get("made_from")) for row in table.rows if row.fusion}
        if len(sources) > 1:
            errors.print("[yellow]warning:[/yellow] these fusions were made from different predictions")
        found = table.slices(run, base=log_base) if slices else []
        changes = {
            name: counts for name in (FIVE_TO_FIVE, LADDER) if (counts := table.transitions(name)) is not None
        }
        if page is not None:
            for path in write_page(page, table, gains):
                errors.print(f"wrote {escape(str(path))}")
    if as_json:
        facts = _facts(table, gains, found, changes) | {"openset": open_set}
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    console.print(
        f"{len(table.truth):,} works of {len(table.artists)} artists, {outer} outer and {inner} inner folds"
    )
    parts = [models_table(table)]
    if table.ratios:
        parts += [ratios_table(table), ladder_table(table, gains)]
    if changes:
        parts.append(transitions_table(changes))
    if found:
        parts.append(slices_table(found, "e" if log_base == math.e else f"{log_base:g}"))
    if open_set is not None:
        parts += open_set_tables(open_set)
    for part in [*parts, *published_tables()] if paper else parts:
        console.print(part)


def _facts(
    table: ArtistTable, gains: list[Gain], slices: list[Slice], changes: dict[str, Transitions]
) -> dict[str, Any]:
    """All figures for `--json`."""
    return {
        "works": len(table.truth),
        "artists": len(table.artists),
        "folds": {"outer": table.folds[0], "inner": table.folds[1]},
        "rows": [_row(row) for row in table.rows],
        "against 5:5": [asdict(gain) for gain in gains],
        "transitions": {
            name: {
                "image": found.step("image"),
                "text": found.step("text"),
                "both right": found.both_right,
                "both right lost": found.both_right_lost,
                "both wrong": found.both_wrong,
                "rescued": found.rescued,
                "lost": dict(zip(("image", "text"), found.lost, strict=True)),
                "oracle": found.oracle,
            }
            for name, found in changes.items()
        },
        "slices": [asdict(item) for item in slices],
    }


def _row(row: ArtistRow) -> dict[str, Any]:
    return {
        "row": row.name,
        "what": row.what,
        "fusion": row.fusion,
        "pooled": asdict(row.pooled),
        "mean of folds": asdict(row.folds),
        "mean of models": None if row.singles is None else asdict(row.singles),
        "ece": row.calibration_error,
        "loss": row.loss,
        "reliability": None if row.curve is None else [asdict(item) for item in row.curve],
    }
