"""The main job from end to end: start, index, search, show, stop."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from cli.client import indexing, searching, tables
from cli.client.commands import show
from cli.client.page import Answer, render_html, render_png
from cli.client.records import Record, find
from cli.console import console, progress
from cli.ports import Addresses
from cli.stack.memory import PeakMemory
from cli.stack.processes import Stack, StackOptions
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect

_PAGE_SIZE = 8
_TIMED_ROUNDS = 10


def requests() -> list[tuple[str, rank.SearchDesignsRequest]]:
    """What the demo asks: English, Japanese, and palette colours."""
    return [
        (
            "English",
            rank.SearchDesignsRequest(
                text="Long almond nails, milky pink, a thin gold French line, one pearl on the ring finger",
                page_size=_PAGE_SIZE,
            ),
        ),
        (
            "Japanese",
            rank.SearchDesignsRequest(
                text="秋らしい、深いワインレッドに金箔をのせた大人っぽいネイル。ラメなしで",
                page_size=_PAGE_SIZE,
            ),
        ),
        (
            "palette",
            rank.SearchDesignsRequest(
                text="something for the seaside",
                palette=searching.parse_palette(["#7fc8d8", "#ffffff", "#e8d3a9"]),
                page_size=_PAGE_SIZE,
            ),
        ),
    ]


def run(*, out: Path, repository: Path, catalogue: Path, triton: bool, addresses: Addresses) -> None:
    """Run the demo in a state folder of its own, which is removed, and write pages to `out`.

    Raises:
        StackError: a service does not start.
        LunulaError: a service refuses.
        RecordError: the catalogue cannot be read.
    """
    began = time.monotonic()
    records = find(catalogue)
    with tempfile.TemporaryDirectory(prefix="lunula-demo-") as state:
        options = StackOptions(Path(state), repository, addresses, triton=triton)
        stack = Stack(options, report=lambda line: console.print(f"[dim]{line}[/dim]"))
        # Entered first and left last: the memory of starting and stopping counts too.
        with PeakMemory(lambda: stack.pids) as memory, stack:
            console.print(f"stack ready after {time.monotonic() - began:.1f} s")
            asyncio.run(_use(addresses, records, out))
    console.print(
        tables.key_values(
            [(name, f"{size / 2**20:.0f} MiB") for name, size in sorted(memory.peaks.items())]
            + [("all at once", f"{memory.peak_total / 2**20:.0f} MiB")],
            title="peak memory (proportional set size)",
        )
    )
    console.print(f"done in {time.monotonic() - began:.1f} s; every process has stopped")


async def _use(addresses: Addresses, records: tuple[Record, ...], out: Path) -> None:
    async with connect(addresses.rank) as channel:
        stub = rank_grpc.RankServiceStub(channel)
        began = time.monotonic()
        with progress() as bar:
            task = bar.add_task("Indexing", total=len(records))
            outcome = await indexing.index(stub, records, on_answer=lambda _: bar.advance(task))
        spent = time.monotonic() - began
        console.print(
            f"{outcome.acknowledged} designs indexed in {spent:.1f} s "
            f"({outcome.acknowledged / spent:.1f} a second), {len(outcome.failed)} failed"
        )
        for design_id, error in outcome.failed.items():
            console.print(f"{design_id}: {error.message}", style="red", markup=False)
        answers: list[Answer] = []
        for label, request in requests():
            console.rule(label)
            answers.append(await searching.answer(stub, request, note=label))
            show(answers[-1].response, title=searching.describe(request))
        _write(answers, out)
        console.rule("what a search costs")
        console.print(await _cost(stub))


def _write(answers: list[Answer], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    page = out / "index.html"
    page.write_text(render_html(answers, title="Lunula: three requests"), encoding="utf-8")
    for number, answer in enumerate(answers, start=1):
        (out / f"request-{number}.png").write_bytes(render_png(answer, columns=4))
    console.print(f"wrote {page} and {len(answers)} pictures beside it")


async def _cost(stub: rank_grpc.RankServiceAsyncStub) -> object:
    """Median time of a search and of its stages, in milliseconds, over all requests of the demo."""
    whole: list[float] = []
    stages: dict[str, list[float]] = defaultdict(list)
    for _ in range(_TIMED_ROUNDS):
        for _, request in requests():
            began = time.perf_counter()
            response = await searching.search(stub, request)
            whole.append(1000 * (time.perf_counter() - began))
            for timing in response.info.timings:
                stages[timing.stage].append(timing.milliseconds)
    rows = [("search, seen by the client", f"{statistics.median(whole):.1f} ms")]
    rows += [(f"  {stage}", f"{statistics.median(values):.1f} ms") for stage, values in stages.items()]
    return tables.key_values(rows, title=f"p50 of {len(whole)} searches")
