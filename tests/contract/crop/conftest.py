"""A real CropService on a free port, over models that see what is painted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from services.crop.build import serve_on
from services.crop.settings import CropSettings
from services.kit.client import connect
from services.kit.inference.fake import FakeBackend
from services.kit.server import RunningServer, running_server


class Crops(NamedTuple):
    """A client's stub and the server behind it."""

    stub: Any
    server: RunningServer


@pytest.fixture
def open_crops(fake_backend: FakeBackend) -> Callable[..., AbstractAsyncContextManager[Crops]]:
    """Opens a server with settings of the test's choice."""

    @asynccontextmanager
    async def open_(**settings: Any) -> AsyncIterator[Crops]:
        chosen = CropSettings(port=0, **settings)
        async with (
            running_server(chosen, lambda s, _: serve_on(fake_backend, s)) as server,
            connect(server.address) as channel,
        ):
            await server.until_serving()
            yield Crops(pb_grpc.CropServiceStub(channel), server)

    return open_


@pytest.fixture
async def crops(open_crops: Callable[..., AbstractAsyncContextManager[Crops]]) -> AsyncIterator[Crops]:
    """A server with the default settings."""
    async with open_crops() as opened:
        yield opened
