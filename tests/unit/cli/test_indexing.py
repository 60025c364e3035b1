"""Indexing goes on when a service is away for a while, and says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.client.indexing import Retry, index
from cli.client.records import Record
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect
from services.kit.errors import Unavailable
from services.kit.server import Service, running_server
from services.kit.settings import ServiceSettings
from services.kit.wire.errors import to_item_error
from tests.rank_doubles import photo


class AwayAtFirst(rank_grpc.RankServiceServicer):
    """Fails the first answers as RankService does while EmbedService is away."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.seen: list[str] = []

    async def IndexDesigns(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        del context
        async for request in request_iterator:
            self.seen.append(request.design.design_id)
            answer = rank.IndexDesignsResponse(design_id=request.design.design_id)
            if self.failures > 0:
                self.failures -= 1
                away = Unavailable(
                    "EmbedService is away.", reason="EMBED_SERVICE_UNAVAILABLE", retry_after_s=1
                )
                answer.state = rank.INDEX_STATE_FAILED
                answer.error.CopyFrom(to_item_error(away))
            else:
                answer.state = rank.INDEX_STATE_INDEXED
            yield answer


@pytest.mark.parametrize(
    ("failures", "waits"), [(0, []), (2, [1.0]), (3, [1.0, 2.0]), (99, [1.0, 2.0, 4.0, 8.0])]
)
async def test_every_wait_comes_with_its_reason(tmp_path: Path, failures: int, waits: list[float]) -> None:
    records = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.png"
        path.write_bytes(photo((200, 30, 40), name))
        records.append(Record(design_id=name, photo=path))
    servicer = AwayAtFirst(failures)

    async def ready() -> bool:
        return True

    async def no_wait(seconds: float) -> None:
        slept.append(seconds)

    @asynccontextmanager
    async def build(settings: ServiceSettings, registry: Any) -> AsyncIterator[list[Service]]:
        del settings, registry
        name = rank.DESCRIPTOR.services_by_name["RankService"].full_name
        yield [Service(name, lambda s: rank_grpc.add_RankServiceServicer_to_server(servicer, s), ready)]

    slept: list[float] = []
    retries: list[Retry] = []
    async with (
        running_server(ServiceSettings(port=0, drain_s=0), build) as server,
        connect(server.address) as channel,
    ):
        await server.until_serving()
        stub = rank_grpc.RankServiceStub(channel)
        outcome = await index(stub, records, on_retry=retries.append, sleep=no_wait)
    assert slept == [retry.pause_s for retry in retries] == waits
    if waits:
        assert str(retries[0]) == ("2 not indexed yet: EmbedService is away; try 2 of 5 in 1 s")
    if failures == 99:
        assert {error.reason for error in outcome.failed.values()} == {"EMBED_SERVICE_UNAVAILABLE"}
    else:
        assert outcome.indexed == 2
        assert not outcome.failed
