"""A real EmbedService on a free port, over models that answer from hashes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from lunula.embed.v1 import embed_service_pb2_grpc as pb_grpc
from services.embed.build import serve_on
from services.embed.settings import EmbedSettings
from services.kit.client import connect
from services.kit.inference.fake import FakeBackend
from services.kit.server import RunningServer, running_server


class Embeds(NamedTuple):
    """A client's stub and the server behind it."""

    stub: Any
    server: RunningServer


class WordNumbers:
    """A tokenizer without a vocabulary: a number for every word."""

    def encode(self, text: str) -> list[int]:
        return [zlib.crc32(word.encode()) % 1000 for word in text.split()]


@pytest.fixture
def open_embeds(fake_backend: FakeBackend) -> Callable[..., AbstractAsyncContextManager[Embeds]]:
    """Opens a server with settings of the test's choice."""

    @asynccontextmanager
    async def open_(**settings: Any) -> AsyncIterator[Embeds]:
        chosen = EmbedSettings(port=0, **settings)
        async with (
            running_server(chosen, lambda s, _: serve_on(fake_backend, s, WordNumbers())) as server,
            connect(server.address) as channel,
        ):
            await server.until_serving()
            yield Embeds(pb_grpc.EmbedServiceStub(channel), server)

    return open_


@pytest.fixture
async def embeds(open_embeds: Callable[..., AbstractAsyncContextManager[Embeds]]) -> AsyncIterator[Embeds]:
    """A server with the default settings."""
    async with open_embeds() as opened:
        yield opened
