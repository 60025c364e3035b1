"""`lunula eval channels`: weights of the search's channels, chosen on validation data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from cli.client import indexing
from cli.client.models import DEFAULT_REPOSITORY
from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.errors import RecordError, RequestError
from cli.evaluate.retrieval.channel_terms import (
    TEXTS,
    ask_all,
    read_terms,
    records_of,
    requests_of,
    terms_json,
)
from cli.stack.own_stack import EmptyRank, check_empty, own_stack
from evaluation.metrics import paired_bootstrap
from evaluation.retrieval.channel_weights import (
    PRESENT,
    Asking,
    Askings,
    Setting,
    choose,
    figures_of,
    only,
    out_of_fold,
    steps,
)
from evaluation.retrieval.nailstar import Entry, read
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from nails.fusion import Scale
from services.kit.client import connect

SPLITS = ("val", "train")


def channels(
    data: Annotated[Path, typer.Option(help="A folder with nailstar.jsonl and its photos.")],
    split: Annotated[
        str, typer.Option(metavar="|".join(SPLITS), help="Never the one that results are reported on.")
    ] = "val",
    described: Annotated[
        float,
        typer.Option(
            min=0, max=1, help=f"Share of the photos indexed with their texts of {TEXTS}, for BM25."
        ),
    ] = 0.5,
    limit: Annotated[int, typer.Option(min=0, help="Only so many photos and requests; 0 takes all.")] = 0,
    terms: Annotated[
        Path | None,
        typer.Option(
            help="File for what the channels measured: read where it exists, else written; an interrupted "
            "run goes on where it stopped."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write everything to this JSON file.")] = None,
    rank_address: EmptyRank = "",
) -> None:
    """Choose the weights of a search's channels, and the maps before them, on validation data.

    Indexes the photos of a split, asks every request with its palette and without, and keeps what each
    channel measured for each hit. Then weights and maps are tried offline for the highest mean reciprocal
    rank. The figures are of requests that had no part in the choice; what is printed for nails/fusion.py is
    chosen on all of them.
    """
    with errors_as_exit_codes():
        if split not in SPLITS:
            raise RequestError(f"weights are chosen on {' or '.join(SPLITS)}, not on {split!r}")
        if terms is not None and terms.is_file():
            askings = read_terms(terms)
        else:
            entries = [entry for entry in read(data) if entry.split == split][: limit or None]
            if not entries:
                raise RecordError(f"{data}: no photo of split {split}")
            if terms is None:
                askings = _measured(data, entries, described, rank_address, [], lambda _: None)
            else:
                askings = _kept(data, entries, described, rank_address, terms)
        try:
            report = _report(Askings(askings))
        except ValueError as error:
            raise RequestError(f"{data}: {error}") from error
        _show(report)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            errors.print(f"wrote {out}", markup=False)


def _kept(
    folder: Path, entries: Sequence[Entry], described: float, rank_address: str, terms: Path
) -> list[Asking]:
    """As `_measured`, kept in `terms`; what an interrupted run has asked already is not asked again."""
    terms.parent.mkdir(parents=True, exist_ok=True)
    # Of other models or with other texts, measures are others.
    made_with = hashlib.sha256(str(described).encode())
    for path in sorted(DEFAULT_REPOSITORY.glob("*/model.toml")):
        made_with.update(path.read_bytes())
    part = terms.with_name(f"{terms.name}.{made_with.hexdigest()[:8]}.part")
    known = []
    interrupted = part.is_file()
    if interrupted:
        whole = part.read_text(encoding="utf-8").rpartition("\n")[0]  # without a half line
        part.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        known = read_terms(part)
    asked = {(entry.id, kind) for entry in entries for kind in requests_of(entry)}
    known = [asking for asking in known if (asking.request, asking.kind) in asked]
    if interrupted:
        part.write_text(terms_json(known), encoding="utf-8")

    def keep(asking: Asking) -> None:
        with part.open("a", encoding="utf-8") as file:
            file.write(terms_json([asking]))

    own = [entry.id for entry in entries] if interrupted else []
    askings = known + _measured(
        folder, entries, described, rank_address, known, keep, own=own, begin=part.touch
    )
    terms.write_text(terms_json(askings), encoding="utf-8")
    part.unlink(missing_ok=True)
    return askings


def _measured(
    folder: Path,
    entries: Sequence[Entry],
    described: float,
    rank_address: str,
    known: Sequence[Asking],
    on_asked: Callable[[Asking], None],
    *,
    own: Collection[str] = (),
    begin: Callable[[], None] = lambda: None,
) -> list[Asking]:
    """Indexes the photos and asks the requests, less those that are known.

    own: photos that may be in the catalogue already; one with others ends the command. begin: called before
    the first is indexed.
    """
    done = {(asking.request, asking.kind) for asking in known}
    asked = [
        (entry, kind, request)
        for entry in entries
        for kind, request in requests_of(entry).items()
        if (entry.id, kind) not in done
    ]
    if not asked:
        return []
    records = records_of(folder, entries, described)
    with ExitStack() as resources:
        if not rank_address:
            rank_address = resources.enter_context(own_stack()).rank

        async def work() -> list[Asking]:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    photos = bar.add_task("Indexing", total=len(records))
                    requests = bar.add_task("Asking  ", total=len(asked))
                    await check_empty(stub, own)
                    begin()
                    outcome = await indexing.index(stub, records, on_answer=lambda _: bar.advance(photos))
                    for design_id, error in outcome.failed.items():
                        errors.print(
                            f"not indexed: {design_id}: {error.message} [{error.reason}]", markup=False
                        )

                    def note(asking: Asking) -> None:
                        on_asked(asking)
                        bar.advance(requests)

                    return await ask_all(stub, asked, note)

        return run(work())


def _report(askings: Askings) -> dict[str, Any]:
    """Everything that is known at the end, for programs."""
    with progress() as bar:
        task = bar.add_task("Choosing", total=3 * steps())
        folds, after = out_of_fold(askings, on_step=lambda: bar.advance(task))
        chosen = choose(askings, on_step=lambda: bar.advance(task))
        bar.update(task, completed=3 * steps())
    before = askings.ranks(PRESENT)
    kinds = np.array([asking.kind for asking in askings.all])
    langs = np.array([asking.lang for asking in askings.all])
    groups = {"all": np.ones(len(kinds), bool)}
    groups |= {kind: kinds == kind for kind in sorted(set(kinds))}
    groups |= {lang: langs == lang for lang in sorted(set(langs))}
    alone = {
        "design alone": only(PRESENT, "design"),
        "without description": only(PRESENT, "design", "palette", "reference"),
        "without palette": only(PRESENT, "design", "description", "reference"),
    }
    difference = paired_bootstrap(1.0 / after, 1.0 / before, samples=2_000)
    return {
        "requests": len({asking.request for asking in askings.all}),
        "askings": len(askings.all),
        "present": _setting(PRESENT),
        "chosen": _setting(chosen),
        "chosen_by_half": [_setting(setting) for setting in folds],
        "figures": {
            name: {
                **{row: asdict(askings.figures(setting, group)) for row, setting in alone.items()},
                "before": asdict(figures_of(before[group])),
                "after, on the other half": asdict(figures_of(after[group])),
                "after, on what it was chosen on": asdict(askings.figures(chosen, group)),
            }
            for name, group in groups.items()
        },
        "mrr_gain": {"mean": difference.mean, "low": difference.low, "high": difference.high},
    }


def _show(report: Mapping[str, Any]) -> None:
    table = Table(title="MRR and hit@10 of the first target, in %", title_justify="left")
    table.add_column("")
    for group, rows in report["figures"].items():
        table.add_column(f"{group}\n({next(iter(rows.values()))['askings']})", justify="right")
    for name in report["figures"]["all"]:
        cells = [
            f"{100 * rows[name]['mrr']:.1f}  {100 * rows[name]['hit']:.1f}"
            for rows in report["figures"].values()
        ]
        table.add_row(name, *cells)
    console.print(table)
    gain = report["mrr_gain"]
    console.print(
        f"MRR on the other half: {100 * gain['mean']:+.2f} points "
        f"(95 % of bootstraps: {100 * gain['low']:+.2f} to {100 * gain['high']:+.2f})",
        highlight=False,
    )
    for number, setting in enumerate(report["chosen_by_half"], start=1):
        console.print(f"chosen on half {number}: {_line(setting)}", highlight=False, soft_wrap=True)
    console.print(f"now:             {_line(report['present'])}", highlight=False, soft_wrap=True)
    console.print(f"chosen on all:   {_line(report['chosen'])}", highlight=False, soft_wrap=True)
    console.print("\nfor nails/fusion.py:", highlight=False)
    console.print(source_of(report["chosen"]), highlight=False, markup=False)


def source_of(setting: Mapping[str, Mapping[str, float]]) -> str:
    """The lines of nails/fusion.py that say this setting."""
    weights = "".join(f'    "{name}": {value:g},\n' for name, value in setting["weights"].items())
    fields = "".join(f"    {name}: float = {value:g}\n" for name, value in setting["scale"].items())
    return f"DEFAULT_WEIGHTS: Mapping[str, float] = {{\n{weights}}}\n\n{fields}"


def _setting(setting: Setting) -> dict[str, dict[str, float]]:
    return {"weights": dict(setting.weights), "scale": asdict(setting.scale)}


def _line(setting: Mapping[str, Mapping[str, float]]) -> str:
    present = asdict(Scale())
    weights = " ".join(f"{name} {value:.2f}" for name, value in setting["weights"].items())
    maps = " ".join(
        f"{name} {value:g}{'' if value == present[name] else '*'}" for name, value in setting["scale"].items()
    )
    return f"{weights} | {maps}"
