"""Sections of the search benchmark: EmbedQueries, the index alone, SearchDesigns on a filled catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from bench.callers import take_turns, times_over
from bench.report import REPOSITORY, write_figures
from bench.search.catalogue import IndexFigures, fill, measure_index, unit_rows, wait_until_settled
from bench.search.embed import bare_models, embed_query, record_model_calls
from bench.search.synthetic import Cloud, make_requests, name_artist
from bench.search.tables import Row, make_row
from bench.services import running_service
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from nails.encoders import ENCODERS, joint_fingerprint
from services.kit.client import call, connect
from services.kit.inference.config import read_config
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.version import Space
from services.rank.settings import RankSettings

IN_FLIGHT = (1, 4)
_SETTLE_S = 60.0
_QUERIES = 100  # for the index alone


class Run:
    """One run: where it keeps things, how many requests it asks, what it has measured so far."""

    def __init__(self, state: Path, requests: int, resume: bool, progress: Progress) -> None:
        self.state = state
        self.count = requests
        self._progress = progress
        self._figures = self.state / "figures.json"
        self.done: dict[str, list[dict[str, Any]]] = {}
        models = [read_config(REPOSITORY / model).metadata.fingerprint for model in ENCODERS]
        self.parameters = {"requests": self.count, "models": joint_fingerprint(models)}
        if resume and self._figures.is_file():
            kept = json.loads(self._figures.read_text("utf-8"))
            if kept["parameters"] == self.parameters:
                self.done = kept["sections"]
        self._taken = 0

    def fresh_requests(self, count: int) -> list[pb.SearchDesignsRequest]:
        """Requests that were not asked before in this run."""
        self._taken += 1
        return make_requests(count, seed=1000 + self._taken)

    def keep(self, section: str, rows: Sequence[Row]) -> None:
        """Remember what a section gave, in the state folder too."""
        self.done[section] = [asdict(item) for item in rows]
        write_figures(self._figures, {"parameters": self.parameters, "sections": self.done})

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        """A progress bar, as what moves it on."""
        yield partial(self._progress.advance, self._progress.add_task(text, total=total))


async def embed_section(run: Run, address: str, pid: int) -> list[Row]:
    """EmbedQueries and the bare models."""
    rows = []
    bare = bare_models()
    async with connect(address) as channel:
        stub = embed_grpc.EmbedServiceStub(channel)
        for in_flight in IN_FLIGHT:
            asked = run.fresh_requests(run.count)
            tensors = await record_model_calls(asked)
            with run.bar(f"EmbedQueries, {in_flight} in flight", len(asked)) as advance:
                taken = await take_turns(
                    {"bare": (bare, tensors), "service": (embed_query(stub), asked)},
                    in_flight,
                    processes=[pid],
                    on_turn=advance,
                )
            rows.append(make_row("bare models", "", taken["bare"], in_flight))
            over = times_over(taken["service"], taken["bare"])
            rows.append(make_row("EmbedQueries", "", taken["service"], in_flight, over_bare=over))
    return rows


async def search_section(
    run: Run, address: str, catalogue: str, name: str, pids: Sequence[int], bare_ms: dict[Any, float]
) -> list[Row]:
    """SearchDesigns on a filled catalogue. bare_ms: of models and search, by (filtered, in flight)."""
    rows = []
    async with connect(address) as channel:
        stub = RankServiceStub(channel)

        async def ask(request: pb.SearchDesignsRequest) -> pb.SearchDesignsResponse:
            response: pb.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=60)
            return response

        for filtered in (False, True):
            for in_flight in IN_FLIGHT:
                asked = run.fresh_requests(run.count)
                for number, request in enumerate(asked if filtered else ()):
                    request.filters.add(
                        field="artist_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=[name_artist(number)]
                    )
                words = f"SearchDesigns, {catalogue}, {in_flight} in flight{', filtered' if filtered else ''}"
                with run.bar(words, len(asked)) as advance:
                    taken = await take_turns(
                        {"service": (ask, asked)},
                        in_flight,
                        processes=pids,
                        on_turn=advance,
                    )
                over = taken["service"].percentile(50) / bare_ms[filtered, in_flight]
                rows.append(
                    make_row(name, catalogue, taken["service"], in_flight, filtered=filtered, over_bare=over)
                )
    return rows


class MilvusSide:
    """Milvus Lite or a server, with what a section needs to know of it."""

    def __init__(self, run: Run, kind: str, uri: str, pids: Sequence[int]) -> None:
        self.run, self.kind, self.uri, self.pids = run, kind, uri, list(pids)

    async def measure(
        self,
        count: int,
        space: Space,
        clouds: tuple[Cloud, Cloud],
        embed: tuple[str, int],
        models_ms: dict[int, float],
    ) -> list[Row]:
        """Fill a catalogue of `count` designs, ask its index alone, then the whole service."""
        run, name = self.run, f"bench{count}"
        catalogue = f"{count:,} on {'Milvus Lite' if self.kind == 'lite' else 'a Milvus server'}"
        limit = RankSettings(port=0).candidates
        async with connect(embed[0]) as channel:
            ask = embed_query(embed_grpc.EmbedServiceStub(channel))
            answers = [await ask(request) for request in run.fresh_requests(_QUERIES)]
        queries = unit_rows([one.items[0].embedding.design.values for one in answers])
        milvus = Milvus(self.uri, timeout_s=300)
        alone: dict[tuple[bool, int], IndexFigures] = {}
        try:
            with run.bar(f"filling {catalogue}", count) as advance:
                filled = await fill(milvus, name, space, clouds, count, advance)
            await wait_until_settled(milvus, filled, queries, patience_s=_SETTLE_S)
            for filtered in (False, True):
                for in_flight in IN_FLIGHT:
                    alone[filtered, in_flight] = await measure_index(
                        milvus,
                        filled,
                        queries,
                        limit=limit,
                        filtered=filtered,
                        in_flight=in_flight,
                        processes=self.pids,
                    )
        finally:
            await milvus.close()
        rows = []
        for (filtered, in_flight), found in alone.items():
            more = {"filtered": filtered, "recall": found.recall}
            rows.append(make_row("bare pymilvus search", catalogue, found.search, in_flight, **more))
            rows.append(make_row("exact, NumPy", catalogue, found.exact, in_flight, filtered=filtered))
        bare = {key: models_ms[key[1]] + found.search.percentile(50) for key, found in alone.items()}
        options = (
            f"--embed-address={embed[0]}",
            f"--milvus-uri={self.uri}",
            f"--catalogue={name}",
            f"--blob-dir={run.state / 'photos'}",
        )
        with running_service("services.rank", run.state / "rank.log", *options) as (address, pid):
            pids = [pid, embed[1], *self.pids]
            rows += await search_section(run, address, catalogue, "SearchDesigns", pids, bare)
        return rows
