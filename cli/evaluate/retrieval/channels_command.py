"""`lunula eval channels`: weights of the search's channels, chosen on validation data."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from cli.console import console, errors, errors_as_exit_codes, progress, run
from cli.errors import RecordError, RequestError
from cli.evaluate.measuring import PartFile, digest_models, index_photos
from cli.evaluate.retrieval.channel_terms import (
    TEXTS,
    build_records,
    build_requests,
    read_terms,
    search_all,
    terms_json,
)
from cli.evaluate.tables import build_table
from cli.stack.own_stack import EmptyRank, own_stack
from evaluation.metrics import paired_bootstrap
from evaluation.retrieval.channel_weights import (
    PRESENT,
    MeasuredSearch,
    MeasuredSearches,
    Scale,
    Setting,
    choose,
    only,
    out_of_fold,
    steps,
    summarise_ranks,
)
from evaluation.retrieval.nailstar import Entry, read
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
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

    Indexes the photos of a split, sends every request with its palette and without, and keeps the measures of
    each channel for each hit. Then weights and maps are tried offline for the highest mean reciprocal
    rank. The figures are of held-out requests; what is printed for services/rank/search/channels is
    chosen on all of them.
    """
    with errors_as_exit_codes():
        if split not in SPLITS:
            raise RequestError(f"weights are chosen on {' or '.join(SPLITS)}, not on {split!r}")
        if terms is not None and terms.is_file():
            searches = read_terms(terms)
        else:
            entries = [entry for entry in read(data) if entry.split == split][: limit or None]
            if not entries:
                raise RecordError(f"{data}: no photo of split {split}")
            if terms is None:
                searches = _measured(data, entries, described, rank_address, [], lambda _: None)
            else:
                searches = _kept(data, entries, described, rank_address, terms)
        try:
            report = _report(MeasuredSearches(searches))
        except ValueError as error:
            raise RequestError(f"{data}: {error}") from error
        _show(report)
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            errors.print(f"wrote {out}", markup=False)


def _kept(
    folder: Path, entries: Sequence[Entry], described: float, rank_address: str, terms: Path
) -> list[MeasuredSearch]:
    """As `_measured`, kept in `terms`; requests that an interrupted run has sent are not sent again."""
    part = PartFile(terms, digest_models(str(described)))
    known = read_terms(part.path) if part.interrupted else []
    asked = {(entry.id, kind) for entry in entries for kind in build_requests(entry)}
    known = [search for search in known if (search.request, search.kind) in asked]
    if part.interrupted:
        part.path.write_text(terms_json(known), encoding="utf-8")

    def keep(search: MeasuredSearch) -> None:
        part.append(terms_json([search]))

    own = [entry.id for entry in entries] if part.interrupted else []
    searches = known + _measured(
        folder, entries, described, rank_address, known, keep, own=own, begin=part.path.touch
    )
    terms.write_text(terms_json(searches), encoding="utf-8")
    part.path.unlink(missing_ok=True)
    return searches


def _measured(
    folder: Path,
    entries: Sequence[Entry],
    described: float,
    rank_address: str,
    known: Sequence[MeasuredSearch],
    on_asked: Callable[[MeasuredSearch], None],
    *,
    own: Collection[str] = (),
    begin: Callable[[], object] = lambda: None,
) -> list[MeasuredSearch]:
    """Index the photos and send the searches whose measures are not known.

    own: photos that may be in the catalogue already; one with others ends the command. begin: called before
    the first is indexed.
    """
    done = {(search.request, search.kind) for search in known}
    asked = [
        (entry, kind, request)
        for entry in entries
        for kind, request in build_requests(entry).items()
        if (entry.id, kind) not in done
    ]
    if not asked:
        return []
    records = build_records(folder, entries, described)
    with ExitStack() as resources:
        if not rank_address:
            rank_address = resources.enter_context(own_stack()).rank

        async def work() -> list[MeasuredSearch]:
            async with connect(rank_address) as channel:
                stub = rank_grpc.RankServiceStub(channel)
                with progress() as bar:
                    requests = bar.add_task("Searching", total=len(asked))
                    await index_photos(stub, records, bar, own=own, begin=begin)

                    def note(search: MeasuredSearch) -> None:
                        on_asked(search)
                        bar.advance(requests)

                    return await search_all(stub, asked, note)

        return run(work())


def _report(searches: MeasuredSearches) -> dict[str, Any]:
    """All figures for `--out`."""
    with progress() as bar:
        task = bar.add_task("Choosing", total=3 * steps())
        folds, after = out_of_fold(searches, on_step=lambda: bar.advance(task))
        chosen = choose(searches, on_step=lambda: bar.advance(task))
        bar.update(task, completed=3 * steps())
    before = searches.ranks(PRESENT)
    kinds = np.array([search.kind for search in searches.all])
    langs = np.array([search.lang for search in searches.all])
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
        "requests": len({search.request for search in searches.all}),
        "searches": len(searches.all),
        "present": _setting(PRESENT),
        "chosen": _setting(chosen),
        "chosen_by_half": [_setting(setting) for setting in folds],
        "figures": {
            name: {
                **{row: asdict(searches.figures(setting, group)) for row, setting in alone.items()},
                "before": asdict(summarise_ranks(before[group])),
                "after, on the other half": asdict(summarise_ranks(after[group])),
                "after, on what it was chosen on": asdict(searches.figures(chosen, group)),
            }
            for name, group in groups.items()
        },
        "mrr_gain": {"mean": difference.mean, "low": difference.low, "high": difference.high},
    }


def _show(report: Mapping[str, Any]) -> None:
    groups = (
        f"{name}\n({next(iter(rows.values()))['searches']})" for name, rows in report["figures"].items()
    )
    table = build_table("MRR and hit@10 of the first target, in %", "", *groups, left=("",))
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
    console.print("\nfor services/rank/search/channels:", highlight=False)
    console.print(format_source(report["chosen"]), highlight=False, markup=False)


def format_source(setting: Mapping[str, Mapping[str, float]]) -> str:
    """Weights and maps of this setting, for the files of the channels."""
    maps = Scale(**setting["scale"]).maps()
    return "\n".join(
        f"{name}: default_weight = {weight:g}, map = {maps[name]}"
        for name, weight in setting["weights"].items()
    )


def _setting(setting: Setting) -> dict[str, dict[str, float]]:
    return {"weights": dict(setting.weights), "scale": asdict(setting.scale)}


def _line(setting: Mapping[str, Mapping[str, float]]) -> str:
    present = asdict(Scale())
    weights = " ".join(f"{name} {value:.2f}" for name, value in setting["weights"].items())
    maps = " ".join(
        f"{name} {value:g}{'' if value == present[name] else '*'}" for name, value in setting["scale"].items()
    )
    return f"{weights} | {maps}"
