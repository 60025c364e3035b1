"""What a request costs, from its words to its page of hits, at the size of real catalogues.

    python -m bench search [--designs 10000] [--vectors 100000] [--milvus lite|server|both] [--json FILE]

EmbedQueries beside the bare models in ONNX Runtime on the same tensors; SearchDesigns beside those models and
a bare pymilvus search, the least that a search can be made of; one and four requests in flight, without a
filter and with one that keeps a hundredth. Catalogues of `--designs` on Milvus Lite and on the real Milvus
server (`make milvus`), and of `--vectors` on the server; synthetic, see bench.search.synthetic. Beside each,
the recall@10 of the index against exact search in NumPy over the same vectors. The services run in processes
of their own and share the cores with the caller. No request comes twice. Catalogues and figures are kept in
`--state`: filling always goes on where it stopped, and with --resume what has been measured is not measured
again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.report import REPOSITORY, read_options, refuse, wide_console, write_figures
from bench.search.sections import MilvusSide, Run, embed_section
from bench.search.synthetic import fit_clouds
from bench.search.tables import Row, show
from bench.services import running_service
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
from services.kit.client import connect
from services.kit.deadline import Deadline
from services.kit.retry import Backoff
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from tools.milvus_server import LAUNCHER, ServerFailed, running


@dataclass(frozen=True)
class Options:
    """What `python -m bench search` takes."""

    designs: int = 10_000
    """designs on Milvus Lite and on the server"""
    vectors: int = 100_000
    """a larger catalogue on the server; 0 none"""
    milvus: Literal["lite", "server", "both"] | None = None
    """what is installed, where it is not given"""
    requests: int = 200
    """requests asked in each way"""
    json: Path | None = None
    """file for the figures"""
    state: Path = Path(".lunula/bench-search")
    """where things are kept"""
    resume: bool = False
    """do not measure again what was measured"""

    def list_catalogues(self) -> list[tuple[str, int]]:
        """The catalogues to measure: lite or server, and how many designs."""
        milvus = self.milvus or ("both" if LAUNCHER.exists() else "lite")
        lite = [("lite", self.designs)] if milvus in ("lite", "both") else []
        sizes = sorted({self.designs, self.vectors} - {0})
        return lite + [("server", count) for count in sizes if milvus in ("server", "both")]


async def measure(options: Options, run: Run) -> None:
    """Every section that is not known yet."""
    missing = [one for one in options.list_catalogues() if f"{one[0]}-{one[1]}" not in run.done]
    if not missing and "embed" in run.done:
        return
    with ExitStack() as resources:
        embed = resources.enter_context(
            running_service(
                "services.embed",
                run.state / "embed.log",
                "--backend=local",
                f"--model-repository={REPOSITORY}",
            )
        )
        if "embed" not in run.done:
            run.keep("embed", await embed_section(run, *embed))
        models_ms = {
            item["in_flight"]: item["p50_ms"] for item in run.done["embed"] if item["what"] == "bare models"
        }
        async with connect(embed[0]) as channel:
            client = EmbedClient(channel, timeout_s=60, space_ttl_s=0)
            space = await client.space(Budget(Deadline.never(), Backoff()))
            clouds = await fit_clouds(embed_grpc.EmbedServiceStub(channel))
        folder = run.state / space.fingerprint[:12]  # other models, other catalogues
        folder.mkdir(exist_ok=True)
        for kind, count in missing:
            with ExitStack() as milvus:
                uri, pids = str(folder / f"lite-{count}.db"), []
                if kind == "server":
                    uri, process = milvus.enter_context(running(folder / "server"))
                    pids = [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
                side = MilvusSide(run, kind, uri, pids)
                run.keep(f"{kind}-{count}", await side.measure(count, space, clouds, embed, models_ms))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its tables."""
    options = read_options(Options, "python -m bench search", __doc__, arguments)
    if options.requests < 20 or options.designs < 1000 or (options.vectors and options.vectors < 1000):
        refuse("at least 20 requests and 1,000 designs")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    options.state.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        run = Run(options.state, options.requests, options.resume, progress)
        try:
            asyncio.run(measure(options, run))
        except ServerFailed as error:
            sys.exit(str(error))
    rows = [Row(**item) for section in run.done.values() for item in section]
    show(rows, wide_console(150))
    sys.stdout.write(f"{len(os.sched_getaffinity(0))} cores, {time.monotonic() - began:.0f} s\n")
    write_figures(options.json, [asdict(item) for item in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
