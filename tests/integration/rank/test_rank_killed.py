"""`kill -9` of a RankService process in the middle of an ingest, restart, resume."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from services.kit.client import connect, is_serving
from tests.rank_aesthetic_model import write_aesthetic_model
from tests.rank_doubles import Neighbours, design, neighbours

DESIGNS = 120


class Service(NamedTuple):
    """A RankService process and a client's stub."""

    process: asyncio.subprocess.Process
    stub: Any


@asynccontextmanager
async def service(root: Path, where: dict[str, str], beside: Neighbours) -> AsyncIterator[Service]:
    """A RankService in a process of its own, killed at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "PORT": str(port),
        "CROP_ADDRESS": beside.crop.address,
        "EMBED_ADDRESS": beside.embed.address,
        "INGEST_WRITE_ROWS": "4",
        "LOG_LEVEL": "WARNING",
        **where,
    }
    environment = {**os.environ, **{f"LUNULA_RANK_{name}": value for name, value in settings.items()}}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.rank", cwd=root, env=environment
    )
    try:
        async with connect(f"127.0.0.1:{port}") as channel:
            while not await is_serving(channel, timeout=1.0):
                assert process.returncode is None, "RankService ended by itself"
                await asyncio.sleep(0.05)
            yield Service(process, RankServiceStub(channel))
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def ingest(running: Service, designs: list[pb.Design], kill_after: int | None) -> dict[str, int]:
    """States by id of what was acknowledged; the process is killed after so many acknowledgements."""
    acknowledged: dict[str, int] = {}

    async def requests() -> AsyncIterator[pb.IndexDesignsRequest]:
        for one in designs:
            yield pb.IndexDesignsRequest(design=one)

    with suppress(grpc.RpcError):
        async for answer in running.stub.IndexDesigns(requests(), timeout=60):
            assert answer.state != pb.INDEX_STATE_FAILED, answer.error
            acknowledged[answer.design_id] = answer.state
            if len(acknowledged) == kill_after:
                running.process.send_signal(signal.SIGKILL)
    return acknowledged


async def listed(running: Service) -> list[pb.Design]:
    """Every design, page by page."""
    found: list[pb.Design] = []
    request = pb.ListDesignsRequest(page_size=50)
    while True:
        response = await running.stub.ListDesigns(request, timeout=30)
        found += response.designs
        if not response.next_page_token:
            assert response.total_size == len(found)
            return found
        request.page_token = response.next_page_token


async def check(running: Service, designs: list[pb.Design], acknowledged: set[str]) -> None:
    """Every acknowledged design is there once, whole, with its photo and tokens, and can be found."""
    by_id = {one.design_id: one for one in designs}
    found = await listed(running)
    counts = Counter(one.design_id for one in found)
    assert acknowledged <= counts.keys(), "an acknowledged design is lost"
    assert set(counts.values()) <= {1}, "a design is there twice"
    for one in found:
        assert one.title == by_id[one.design_id].title
    for design_id in sorted(acknowledged)[::7]:
        request = pb.GetDesignRequest(design_id=design_id, include_photo=True)
        got = await running.stub.GetDesign(request, timeout=30)
        assert got.design.photo.data == by_id[design_id].photo.data
        reference = pb.SearchDesignsRequest(
            reference_photo=by_id[design_id].photo, page_size=1, aesthetic_weight=0.0
        )
        hits = (await running.stub.SearchDesigns(reference, timeout=30)).hits
        assert [hit.design.design_id for hit in hits] == [design_id]
        # Its image tokens survived with it: it is judged.
        one = pb.Filter(field="design_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=[design_id])
        judged = pb.SearchDesignsRequest(text="nails", filters=[one], aesthetic_weight=0.1)
        (hit,) = (await running.stub.SearchDesigns(judged, timeout=30)).hits
        terms = {term.channel: term for term in hit.terms}
        assert (terms["aesthetic"].note, terms["aesthetic"].raw >= 1) == ("", True)


async def rounds(root: Path, tmp_path: Path, milvus_uri: str, count: int) -> None:
    where = {
        "MILVUS_URI": milvus_uri,
        "BLOB_DIR": str(tmp_path / "blobs"),
        "BACKEND": "fake",
        "MODEL_REPOSITORY": str(write_aesthetic_model(tmp_path / "models")),
        "CATALOGUE": f"k{uuid.uuid4().hex[:12]}",
    }
    designs = [design(f"d{n:03}", title=f"nails number {n}") for n in range(DESIGNS)]
    chance = random.Random(7)
    acknowledged: set[str] = set()
    async with neighbours() as beside:
        for number in range(count):
            # Each round gets further than the one before, because what is there is UNCHANGED.
            goal = len(acknowledged) + chance.randint(
                5, (DESIGNS - len(acknowledged)) // (count - number) - 1
            )
            async with service(root, where, beside) as running:
                if acknowledged:
                    await check(running, designs, acknowledged)
                states = await ingest(running, designs, kill_after=goal)
                assert await running.process.wait() == -signal.SIGKILL
            assert {states[one] for one in acknowledged & states.keys()} <= {pb.INDEX_STATE_UNCHANGED}
            acknowledged |= states.keys()
            assert len(acknowledged) < DESIGNS, "the process was not killed in the middle"
        async with service(root, where, beside) as running:
            await check(running, designs, acknowledged)
            states = await ingest(running, designs, kill_after=None)
            assert states.keys() == {one.design_id for one in designs}
            assert {states[one] for one in acknowledged} == {pb.INDEX_STATE_UNCHANGED}
            await check(running, designs, set(states))


@pytest.mark.timeout(400)
async def test_five_kills_lose_nothing_acknowledged_on_milvus_lite(root: Path, tmp_path: Path) -> None:
    await rounds(root, tmp_path, str(tmp_path / "milvus.db"), 5)


@pytest.mark.milvus_server
@pytest.mark.timeout(600)
async def test_two_kills_lose_nothing_acknowledged_on_a_milvus_server(
    root: Path, tmp_path: Path, milvus_server: str
) -> None:
    await rounds(root, tmp_path, milvus_server, 2)
