"""A real server on a free port, with a crop servicer that does what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from services.kit.errors import LunulaError
from services.kit.server import RunningServer, Service, running_server
from services.kit.settings import ServiceSettings
from services.kit.telemetry.timings import collect, stage
from services.kit.wire.errors import to_item_error
from services.kit.wire.response_info import response_info

CROP = "lunula.crop.v1.CropService"


class ScriptedCrops(pb_grpc.CropServiceServicer):
    """Answers with as many empty results as photos, after what `script` does."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.calls = 0
        self.ready: bool | Exception | None = True  # None: the check hangs
        self.script: Callable[[Any], Awaitable[None]] | None = None

    async def _play(self, message: Any) -> None:
        self.calls += 1
        self.entered.set()
        try:
            if self.script is not None:
                await self.script(message)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def CropImages(self, request: pb.CropImagesRequest, _context: Any) -> pb.CropImagesResponse:
        with stage("decode"):
            await self._play(request)
        items = [pb.CropItem(result=pb.CropResult()) for _ in request.photos]
        return pb.CropImagesResponse(items=items, info=response_info())

    async def StreamCrops(
        self, request_iterator: AsyncIterator[pb.StreamCropsRequest], _context: Any
    ) -> AsyncIterator[pb.StreamCropsResponse]:
        async for request in request_iterator:
            with collect():
                item = pb.CropItem(result=pb.CropResult())
                try:
                    with stage("decode"):
                        await self._play(request)
                except LunulaError as error:
                    item = pb.CropItem(error=to_item_error(error))
                yield pb.StreamCropsResponse(item_id=request.item_id, item=item, info=response_info())

    async def is_ready(self) -> bool:
        if self.ready is None:
            await asyncio.Event().wait()
        if isinstance(self.ready, Exception):
            raise self.ready
        return bool(self.ready)


class Opener:
    """Opens servers with settings of the test's choice around one servicer."""

    def __init__(self) -> None:
        self.servicer = ScriptedCrops()
        self.closed = False

    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[RunningServer]:
        settings.setdefault("canary_interval_s", 0.01)
        return running_server(ServiceSettings(**settings), self.build)

    @asynccontextmanager
    async def build(
        self, _settings: ServiceSettings, _registry: CollectorRegistry
    ) -> AsyncIterator[list[Service]]:
        yield [
            Service(
                CROP,
                lambda server: pb_grpc.add_CropServiceServicer_to_server(self.servicer, server),
                self.servicer.is_ready,
            )
        ]
        self.closed = True


@pytest.fixture
async def crops() -> Opener:
    return Opener()
