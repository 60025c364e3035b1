"""A real RankService on a free port, on a real Milvus; the services it calls are doubles on real ports.

Every test that takes `rank` runs on Milvus Lite, and with the marker milvus_server also on the real server.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from pymilvus import MilvusClient

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1.rank_service_pb2_grpc import RankServiceStub
from services.kit.client import connect
from services.kit.inference.base import ModelMetadata
from services.kit.inference.fake import FakeBackend
from services.kit.server import RunningServer, running_server
from services.kit.wire.errors import from_rpc_error
from services.rank.build import build, serve_on
from services.rank.settings import RankSettings
from tests.rank_aesthetic_model import aesthetic_model, score_photos
from tests.rank_catalogue import CATALOGUE
from tests.rank_doubles import Doubles, Neighbours, index, neighbours


class Rank(NamedTuple):
    """A client's stub, the server behind it, and the doubles behind that. bm25: whether Milvus has it."""

    stub: Any
    server: RunningServer
    doubles: Doubles
    settings: RankSettings
    bm25: bool


OpenRank = Callable[..., AbstractAsyncContextManager[Rank]]


@pytest.fixture(params=["lite", pytest.param("server", marks=pytest.mark.milvus_server)])
def milvus_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where Milvus is: a new path, or the server of this test run."""
    if request.param == "lite":
        return str(tmp_path / "milvus.db")
    return str(request.getfixturevalue("milvus_server"))


@pytest.fixture
async def beside() -> AsyncIterator[Neighbours]:
    """CropService and EmbedService."""
    async with neighbours() as opened:
        yield opened


@pytest.fixture
def catalogue(milvus_uri: str) -> Iterator[str]:
    """A name that no other test uses; a server is rid of it afterwards, because loaded collections cost."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    if milvus_uri.startswith("http"):
        client = MilvusClient(uri=milvus_uri)
        for collection in client.list_collections():
            if collection.startswith(name):
                for alias in client.list_aliases(collection)["aliases"]:
                    client.drop_alias(alias)
                client.drop_collection(collection)
        client.close()


@pytest.fixture
def rank_settings(milvus_uri: str, catalogue: str, tmp_path: Path, beside: Neighbours) -> RankSettings:
    """A catalogue of its own for every test."""
    return RankSettings(
        port=0,
        crop_address=beside.crop.address,
        embed_address=beside.embed.address,
        milvus_uri=milvus_uri,
        catalogue=catalogue,
        blob_dir=str(tmp_path / "blobs"),
        ingest_attempts=2,
        ingest_backoff_s=0.01,
        fingerprint_ttl_s=0.0,
        drain_s=0,
        aesthetic=False,
    )


@asynccontextmanager
async def opened(settings: RankSettings, build_server: Any, beside: Neighbours) -> AsyncIterator[Rank]:
    """A server of these settings, serving."""
    async with running_server(settings, build_server) as server, connect(server.address) as channel:
        await server.until_serving()
        bm25 = not settings.milvus_uri.startswith("http")
        yield Rank(RankServiceStub(channel), server, beside.doubles, settings, bm25)


@pytest.fixture
def open_rank(rank_settings: RankSettings, beside: Neighbours) -> OpenRank:
    """Opens a server with settings of the test's choice."""

    def open_(**changes: Any) -> AbstractAsyncContextManager[Rank]:
        return opened(rank_settings.model_copy(update=changes), build, beside)

    return open_


@pytest.fixture
async def rank(open_rank: OpenRank) -> AsyncIterator[Rank]:
    """A server with an empty catalogue."""
    async with open_rank() as server:
        yield server


@pytest.fixture
def open_scoring(rank_settings: RankSettings, beside: Neighbours, gate: Any) -> OpenRank:
    """Opens a server that gives aesthetic scores; `model` replaces the model's config, None has none."""

    def open_(
        model: ModelMetadata | None = aesthetic_model(),  # noqa: B008  never changed
        **changes: Any,
    ) -> AbstractAsyncContextManager[Rank]:
        backend = None
        if model is not None:
            backend = FakeBackend([model], answers={"aesthetic": score_photos}, before=gate)
        settings = rank_settings.model_copy(update={"aesthetic": True, **changes})
        return opened(settings, lambda s, _: serve_on(backend, s, absent="no model"), beside)

    return open_


@pytest.fixture
async def scoring(open_scoring: OpenRank) -> AsyncIterator[Rank]:
    """A server that gives aesthetic scores, with an empty catalogue."""
    async with open_scoring() as server:
        yield server


class Failure(NamedTuple):
    """What a refused call said."""

    code: str
    reason: str
    fields: list[str]
    retry_after_s: float | None
    message: str


@pytest.fixture
def refused() -> Callable[[Any], Any]:
    """Awaits a call that must fail, and tells how."""

    async def await_(call: Any) -> Failure:
        with pytest.raises(grpc.RpcError) as caught:
            await call
        error = from_rpc_error(caught.value)
        paths = [path for path, _ in error.fields]
        return Failure(error.code.name, error.reason, paths, error.retry_after_s, error.message)

    return await_


@pytest.fixture
async def filled(rank: Rank) -> Rank:
    """A RankService with the catalogue of tests/rank_catalogue.py."""
    answers = await index(rank.stub, CATALOGUE)
    assert {answer.state for answer in answers} == {pb.INDEX_STATE_INDEXED}
    return rank
