"""Files and functions of ours that one search and one ingest execute, over crop, embed and rank.

    python -m bench.trace_search [--list]

A profile hook in a process that runs the three services on free ports. What runs before the call (start-up,
loading, the first search) does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from lunula.type.v1 import photo_pb2
from services.crop.build import build as build_crop
from services.crop.settings import CropSettings
from services.embed.build import build as build_embed
from services.embed.settings import EmbedSettings
from services.kit.client import connect
from services.kit.server import running_server
from services.kit.settings import load
from services.rank.build import build as build_rank
from services.rank.settings import RankSettings

ROOT = Path(__file__).resolve().parents[1]
_DESIGNS = 12
_TEXT = "Long almond nails, milky pink, a thin gold French line, one pearl on the ring finger"


class Trace:
    """Notes every Python function of ours that is entered while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.functions: set[tuple[str, str]] = set()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """The hook."""
        del argument
        if not self.on or event != "call":
            return
        name = frame.f_code.co_filename
        if name.startswith(str(ROOT)) and "site-packages" not in name and "/lunula/" not in name:
            path = str(Path(name).relative_to(ROOT))
            if path.startswith(("services/", "nails/")):
                self.functions.add((path, frame.f_code.co_qualname))

    def take(self) -> dict[str, int]:
        """Functions by file since the last time."""
        files: dict[str, int] = {}
        for path, _ in self.functions:
            files[path] = files.get(path, 0) + 1
        self.functions.clear()
        return dict(sorted(files.items()))


def _designs() -> list[pb.Design]:
    records = [json.loads(line) for line in (ROOT / "sample" / "catalogue.jsonl").read_text().splitlines()]
    return [
        pb.Design(
            design_id=record["id"],
            title=record.get("title", ""),
            description=record.get("description", ""),
            photo=photo_pb2.Photo(data=(ROOT / "sample" / record["image"]).read_bytes()),
        )
        for record in records[: _DESIGNS + 1]
    ]


async def _index(stub: Any, designs: list[pb.Design]) -> None:
    async def requests() -> AsyncIterator[pb.IndexDesignsRequest]:
        for one in designs:
            yield pb.IndexDesignsRequest(design=one)

    async for _ in stub.IndexDesigns(requests(), timeout=120):
        pass


async def measure(trace: Trace, state: Path) -> tuple[dict[str, int], dict[str, int]]:
    """(of a search, of an ingest of one design): functions by file."""
    async with AsyncExitStack() as stack:
        local = ("--port", "0", "--drain-s", "0", "--model-repository", str(ROOT / "triton_models"))
        crop = await stack.enter_async_context(running_server(load(CropSettings, [*local]), build_crop))
        embed = await stack.enter_async_context(running_server(load(EmbedSettings, [*local]), build_embed))
        addresses = ("--crop-address", crop.address, "--embed-address", embed.address)
        places = ("--milvus-uri", str(state / "milvus.db"), "--blob-dir", str(state / "blobs"))
        settings = load(RankSettings, [*local, *addresses, *places])
        rank = await stack.enter_async_context(running_server(settings, build_rank))
        for server in (crop, embed, rank):
            await server.until_serving()
        stub = RankServiceStub(await stack.enter_async_context(connect(rank.address)))
        designs = _designs()
        await _index(stub, designs[:_DESIGNS])
        request = pb.SearchDesignsRequest(text=_TEXT)
        await stub.SearchDesigns(request, timeout=60)
        trace.on = True
        await stub.SearchDesigns(pb.SearchDesignsRequest(text=f"{_TEXT}, glossy"), timeout=60)
        search = trace.take()
        await _index(stub, designs[_DESIGNS:])
        trace.on = False
        return search, trace.take()


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true", help="print every file with its number of functions")
    arguments = parser.parse_args()
    trace = Trace()
    threading.setprofile(trace)
    sys.setprofile(trace)
    with tempfile.TemporaryDirectory() as state:
        measured = asyncio.run(measure(trace, Path(state)))
    sys.setprofile(None)
    for name, files in zip(("one search", "one ingest"), measured, strict=True):
        print(f"{name}: {len(files)} files, {sum(files.values())} functions")
        if arguments.list:
            for path, functions in files.items():
                print(f"  {functions:4} {path}")


if __name__ == "__main__":
    main()
