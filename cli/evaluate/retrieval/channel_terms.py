"""What every channel measures for labelled requests: fetched from the services, kept in a file."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ConfigDict

from cli.client.records import Record
from cli.errors import RecordError
from evaluation.json_lines import Line, read_lines
from evaluation.retrieval.channel_weights import MeasuredSearch
from evaluation.retrieval.nailstar import Entry
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import palette_pb2
from services.kit.client import call

KINDS = ("text", "text and palette")
TEXTS = "index.jsonl"
_PAGE = 100
_MAX_LINE = 64 << 20  # bytes: a line has what every channel measured for every design
_IN_FLIGHT = 4


def build_records(folder: Path, entries: Sequence[Entry], described: float) -> list[Record]:
    """The photos of the entries; a share `described` of them, the same every time, with their texts.

    Raises:
        RecordError: texts are wanted and the folder has none.
    """
    texts = _read_texts(folder / TEXTS, {entry.id for entry in entries}) if described > 0 else {}
    records = []
    for entry in entries:
        record = Record(design_id=entry.id, photo=folder / entry.image)
        if _draw(entry.id) < described and (own := texts.get(entry.id)):
            record = replace(
                record,
                title=own.title or "",
                description=own.description or "",
                tags=tuple(own.tags or ()),
            )
        records.append(record)
    return records


def build_requests(entry: Entry) -> dict[str, rank.SearchDesignsRequest]:
    """The searches for an entry's request by their kind, without the aesthetic score."""
    asked = {KINDS[0]: rank.SearchDesignsRequest(text=entry.request, page_size=_PAGE, aesthetic_weight=0.0)}
    if entry.palette:
        colours = [
            palette_pb2.PaletteColour(colour=palette_pb2.LabColour(l=lab[0], a=lab[1], b=lab[2]))
            for lab in entry.palette
        ]
        asked[KINDS[1]] = rank.SearchDesignsRequest(
            text=entry.request,
            page_size=_PAGE,
            palette=palette_pb2.Palette(colours=colours),
            aesthetic_weight=0.0,
        )
    return asked


def collect_measures(entry: Entry, kind: str, hits: Sequence[rank.Hit]) -> MeasuredSearch:
    """The measures of every channel for all hits of a search."""
    ordered = sorted(hits, key=lambda hit: hit.design.design_id)
    channels = [term.channel for term in ordered[0].terms] if ordered else []
    raw = {
        channel: np.array([hit.terms[place].raw for hit in ordered], np.float64)
        for place, channel in enumerate(channels)
    }
    ids = tuple(hit.design.design_id for hit in ordered)
    targets = set(entry.targets)
    return MeasuredSearch(
        entry.id, kind, entry.lang, ids, raw, np.array([one in targets for one in ids], bool)
    )


def terms_json(searches: Sequence[MeasuredSearch]) -> str:
    """Measured searches as lines for a file."""
    lines = [
        {
            "request": search.request,
            "kind": search.kind,
            "lang": search.lang,
            "ids": search.ids,
            "raw": {channel: [float(f"{value:.7g}") for value in raw] for channel, raw in search.raw.items()},
            "targets": [one for one, is_target in zip(search.ids, search.target, strict=True) if is_target],
        }
        for search in searches
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_terms(path: Path) -> list[MeasuredSearch]:
    """The measured searches of such a file.

    Raises:
        RecordError: a line is not one.
    """
    searches = []
    for where, form in read_lines(path, _MAX_LINE, _Terms, RecordError, finite=False):
        raw = {name: np.array(values, np.float64) for name, values in form.raw.items()}
        if any(len(values) != len(form.ids) for values in raw.values()):
            raise RecordError(f"{where}: raw: as many measures as ids are needed")
        targets = set(form.targets)
        target = np.array([one in targets for one in form.ids], bool)
        searches.append(MeasuredSearch(form.request, form.kind, form.lang, tuple(form.ids), raw, target))
    return searches


class _Terms(Line):
    """A line as `terms_json` writes it."""

    model_config = ConfigDict(allow_inf_nan=True)

    request: str
    kind: str
    lang: str
    ids: list[str]
    raw: dict[str, list[float]]
    targets: list[str]


async def search_all(
    stub: rank_grpc.RankServiceAsyncStub,
    asked: Sequence[tuple[Entry, str, rank.SearchDesignsRequest]],
    on_asked: Callable[[MeasuredSearch], None],
) -> list[MeasuredSearch]:
    """Every hit of every search, down to its last page, with the measures of every channel.

    on_asked: called with each at once, in the order in which they end.
    """
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def one(entry: Entry, kind: str, request: rank.SearchDesignsRequest) -> MeasuredSearch:
        hits: list[rank.Hit] = []
        async with slots:
            while True:
                response: rank.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=120.0)
                hits += response.hits
                if not response.next_page_token:
                    break
                request.page_token = response.next_page_token
        search = collect_measures(entry, kind, hits)
        on_asked(search)
        return search

    return list(await asyncio.gather(*(one(*item) for item in asked)))


class _Texts(Line):
    """The words of a record of index.jsonl."""

    id: str
    title: str | None = None
    description: str | None = None
    tags: list[str] | None = None


def _read_texts(path: Path, wanted: set[str]) -> dict[str, _Texts]:
    if not path.is_file():
        raise RecordError(f"{path}: no such file; --described 0 indexes the photos alone")
    lines = read_lines(path, _MAX_LINE, _Texts, RecordError, finite=False)
    return {texts.id: texts for _, texts in lines if texts.id in wanted}


def _draw(design_id: str) -> float:
    """A number in [0, 1) that only depends on the id."""
    return int.from_bytes(hashlib.sha256(f"described {design_id}".encode()).digest()[:4], "big") / 2**32
