"""What a request costs, from its words to its page of hits, at the size of real catalogues.

    python -m bench search [--designs 10000] [--vectors 100000] [--milvus lite|server|both] [--json FILE]

EmbedQueries beside the bare models in ONNX Runtime on the same tensors; SearchDesigns beside those models and
a bare pymilvus search, the least that a search can be made of; one and four requests in flight, without a
filter and with one that keeps a hundredth. Catalogues of `--designs` on Milvus Lite and on the real Milvus
server (`make milvus`), and of `--vectors` on the server; drawn, see bench.search_drawn. Beside each, the
recall@10 of the index against exact search in NumPy over the same vectors. The services run in processes of
their own and share the cores with the caller. No request comes twice. Catalogues and figures are kept in
`--state`: filling always goes on where it stopped, and with --resume what has been measured is not measured
again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.search_catalogue import Found, fill, first_queries, index_alone, until_settled
from bench.search_drawn import Cloud, artist, requests, sample_clouds
from bench.search_embed import REPOSITORY, asked_of_models, bare_models, embedding
from bench.search_tables import Row, row, show
from bench.search_timing import service, take_turns, times_over
from lunula.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from nails.encoders import ENCODERS, joint_fingerprint
from services.kit.client import call, connect
from services.kit.deadline import Deadline
from services.kit.inference.config import read_config
from services.kit.retry import Backoff
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.versions import Space
from services.rank.clients import Peers
from services.rank.settings import RankSettings
from tools.milvus_server import LAUNCHER, ServerFailed, running

IN_FLIGHT = (1, 4)
_SETTLE_S = 60.0
_QUERIES = 100  # for the index alone


class Bench:
    """One run: where it keeps things, how many requests it asks, what it has measured so far."""

    def __init__(self, options: argparse.Namespace, progress: Progress) -> None:
        self.state: Path = options.state
        self.count: int = options.requests
        self._progress = progress
        self._figures = self.state / "figures.json"
        self.done: dict[str, list[dict[str, Any]]] = {}
        models = [read_config(REPOSITORY / model).metadata.fingerprint for model in ENCODERS]
        self.parameters = {"requests": self.count, "models": joint_fingerprint(models)}
        if options.resume and self._figures.is_file():
            kept = json.loads(self._figures.read_text("utf-8"))
            if kept["parameters"] == self.parameters:
                self.done = kept["sections"]
        self._taken = 0

    def fresh(self, count: int) -> list[pb.SearchDesignsRequest]:
        """Requests that were not asked before in this run."""
        self._taken += 1
        return requests(count, seed=1000 + self._taken)

    def keep(self, section: str, rows: Sequence[Row]) -> None:
        """Remember what a section gave, in the state folder too."""
        self.done[section] = [asdict(item) for item in rows]
        content = {"parameters": self.parameters, "sections": self.done}
        self._figures.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator[TaskID]:
        """A progress bar."""
        yield self._progress.add_task(text, total=total)

    def advance(self, task: TaskID, by: int) -> None:
        """Move a bar on."""
        self._progress.advance(task, by)


async def embed_section(bench: Bench, address: str, pid: int) -> list[Row]:
    """EmbedQueries and the bare models."""
    rows = []
    bare = bare_models()
    async with connect(address) as channel:
        stub = EmbedServiceStub(channel)
        for in_flight in IN_FLIGHT:
            asked = bench.fresh(bench.count)
            tensors = await asked_of_models(asked)
            with bench.bar(f"EmbedQueries, {in_flight} in flight", 2 * len(asked)) as task:
                taken = await take_turns(
                    {"bare": (bare, tensors), "service": (embedding(stub), asked)},
                    in_flight,
                    processes=[pid],
                    on_turn=lambda some, task=task: bench.advance(task, 2 * some),
                )
            rows.append(row("bare models", "", taken["bare"], in_flight))
            over = times_over(taken["service"], taken["bare"])
            rows.append(row("EmbedQueries", "", taken["service"], in_flight, over_bare=over))
    return rows


async def search_section(
    bench: Bench, address: str, catalogue: str, name: str, pids: Sequence[int], bare_ms: dict[Any, float]
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
                asked = bench.fresh(bench.count)
                for number, request in enumerate(asked if filtered else ()):
                    request.filters.add(
                        field="artist_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=[artist(number)]
                    )
                words = f"SearchDesigns, {catalogue}, {in_flight} in flight{', filtered' if filtered else ''}"
                with bench.bar(words, len(asked)) as task:
                    taken = await take_turns(
                        {"service": (ask, asked)},
                        in_flight,
                        processes=pids,
                        on_turn=lambda some, task=task: bench.advance(task, some),
                    )
                over = taken["service"].percentile(50) / bare_ms[filtered, in_flight]
                rows.append(
                    row(name, catalogue, taken["service"], in_flight, filtered=filtered, over_bare=over)
                )
    return rows


class Side:
    """Milvus Lite or a server, with what a section needs to know of it."""

    def __init__(self, bench: Bench, kind: str, uri: str, pids: Sequence[int]) -> None:
        self.bench, self.kind, self.uri, self.pids = bench, kind, uri, list(pids)

    async def measure(
        self,
        count: int,
        space: Space,
        clouds: tuple[Cloud, Cloud],
        embed: tuple[str, int],
        models_ms: dict[int, float],
    ) -> list[Row]:
        """Fill a catalogue of `count` designs, ask its index alone, then the whole service."""
        bench, name = self.bench, f"bench{count}"
        catalogue = f"{count:,} on {'Milvus Lite' if self.kind == 'lite' else 'a Milvus server'}"
        limit = RankSettings(port=0).candidates
        async with connect(embed[0]) as channel:
            ask = embedding(EmbedServiceStub(channel))
            answers = [await ask(request) for request in bench.fresh(_QUERIES)]
        queries = first_queries([one.items[0].embedding.design.values for one in answers])
        milvus = Milvus(self.uri, timeout_s=300)
        alone: dict[tuple[bool, int], Found] = {}
        try:
            with bench.bar(f"filling {catalogue}", count) as task:
                filled = await fill(
                    milvus, name, space, clouds, count, lambda some: bench.advance(task, some)
                )
            await until_settled(milvus, filled, queries, patience_s=_SETTLE_S)
            for filtered in (False, True):
                for in_flight in IN_FLIGHT:
                    alone[filtered, in_flight] = await index_alone(
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
            told = {"filtered": filtered, "recall": found.recall}
            rows.append(row("bare pymilvus search", catalogue, found.search, in_flight, **told))
            rows.append(row("exact, NumPy", catalogue, found.exact, in_flight, filtered=filtered))
        bare = {key: models_ms[key[1]] + found.search.percentile(50) for key, found in alone.items()}
        options = (
            f"--embed-address={embed[0]}",
            f"--milvus-uri={self.uri}",
            f"--catalogue={name}",
            f"--blob-dir={bench.state / 'photos'}",
        )
        with service("services.rank", bench.state / "rank.log", *options) as (address, pid):
            pids = [pid, embed[1], *self.pids]
            rows += await search_section(bench, address, catalogue, "SearchDesigns", pids, bare)
        return rows


def wanted(options: argparse.Namespace) -> list[tuple[str, int]]:
    """The catalogues to measure: lite or server, and how many designs."""
    lite = [("lite", options.designs)] if options.milvus in ("lite", "both") else []
    sizes = sorted({options.designs, options.vectors} - {0})
    return lite + [("server", count) for count in sizes if options.milvus in ("server", "both")]


async def measure(options: argparse.Namespace, bench: Bench) -> None:
    """Every section that is not known yet."""
    missing = [one for one in wanted(options) if f"{one[0]}-{one[1]}" not in bench.done]
    if not missing and "embed" in bench.done:
        return
    with ExitStack() as resources:
        embed = resources.enter_context(
            service(
                "services.embed",
                bench.state / "embed.log",
                "--backend=local",
                f"--model-repository={REPOSITORY}",
            )
        )
        if "embed" not in bench.done:
            bench.keep("embed", await embed_section(bench, *embed))
        models_ms = {
            item["in_flight"]: item["p50_ms"] for item in bench.done["embed"] if item["what"] == "bare models"
        }
        async with connect(embed[0]) as channel:
            peers = Peers(channel, channel, timeout_s=60, fingerprint_ttl_s=0)
            space = await peers.space(Deadline.never(), Backoff())
            clouds = await sample_clouds(EmbedServiceStub(channel))
        folder = bench.state / space.design_fingerprint[:12]  # other models, other catalogues
        folder.mkdir(exist_ok=True)
        for kind, count in missing:
            with ExitStack() as milvus:
                uri, pids = str(folder / f"lite-{count}.db"), []
                if kind == "server":
                    uri, process = milvus.enter_context(running(folder / "server"))
                    pids = [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
                side = Side(bench, kind, uri, pids)
                bench.keep(f"{kind}-{count}", await side.measure(count, space, clouds, embed, models_ms))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench search", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--designs", type=int, default=10_000, help="designs on Milvus Lite and on the server"
    )
    parser.add_argument(
        "--vectors", type=int, default=100_000, help="a larger catalogue on the server; 0 none"
    )
    parser.add_argument("--milvus", choices=("lite", "server", "both"), help="default: what is installed")
    parser.add_argument("--requests", type=int, default=200, help="requests asked in each way")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument(
        "--state", type=Path, default=Path(".lunula/bench-search"), help="where things are kept"
    )
    parser.add_argument("--resume", action="store_true", help="do not measure again what was measured")
    options = parser.parse_args(arguments)
    if options.requests < 20 or options.designs < 1000 or (options.vectors and options.vectors < 1000):
        parser.error("at least 20 requests and 1,000 designs")
    if options.milvus is None:
        options.milvus = "both" if LAUNCHER.exists() else "lite"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    options.state.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bench = Bench(options, progress)
        try:
            asyncio.run(measure(options, bench))
        except ServerFailed as error:
            sys.exit(str(error))
    rows = [Row(**item) for section in bench.done.values() for item in section]
    show(rows, Console(width=None if sys.stdout.isatty() else 150))
    sys.stdout.write(f"{len(os.sched_getaffinity(0))} cores, {time.monotonic() - began:.0f} s\n")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(item) for item in rows], indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
