"""Deadlines, cancellation, overload, and parts that are away."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from services.kit.wire.errors import from_rpc_error
from services.rank.catalogue.milvus import Milvus
from tests.rank_doubles import design, index


async def never(*_: Any, **__: Any) -> None:
    """Stands in for a part that does not answer."""
    await asyncio.Event().wait()


def searching(rank: Any, timeout: float = 30) -> Any:
    return rank.stub.SearchDesigns(pb.SearchDesignsRequest(text="nails"), timeout=timeout)


async def test_a_search_ends_at_its_deadline_and_frees_the_work(rank: Any, refused: Any) -> None:
    await index(rank.stub, [design("d1")])
    rank.doubles.close()
    failure = await refused(searching(rank, timeout=0.2))
    assert (failure.code, failure.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    await rank.doubles.cancelled.wait()


async def test_an_expired_deadline_is_told_by_every_method(
    rank: Any, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await index(rank.stub, [design("d1")])
    stub = rank.stub
    # Milvus does not answer: whatever a method does, it is still at work when its deadline comes.
    monkeypatch.setattr(Milvus, "call", never)
    for method, request in (
        (stub.SearchDesigns, pb.SearchDesignsRequest(text="nails")),
        (stub.GetDesign, pb.GetDesignRequest(design_id="d1")),
        (stub.ListDesigns, pb.ListDesignsRequest()),
        (stub.DeleteDesigns, pb.DeleteDesignsRequest(design_ids=["x"])),
        (stub.CreateCatalogueVersion, pb.CreateCatalogueVersionRequest()),
        (stub.ListCatalogueVersions, pb.ListCatalogueVersionsRequest()),
        (stub.PromoteCatalogueVersion, pb.PromoteCatalogueVersionRequest(version_id="v1")),
        (stub.RollBackCatalogueVersion, pb.RollBackCatalogueVersionRequest()),
    ):
        assert (await refused(method(request, timeout=0.1))).code == "DEADLINE_EXCEEDED"
    monkeypatch.undo()
    assert len((await searching(rank)).hits) == 1


async def test_a_stream_ends_at_its_deadline_and_keeps_what_it_acknowledged(rank: Any) -> None:
    await index(rank.stub, [design("d0")])
    call = rank.stub.IndexDesigns(timeout=1.2)
    await call.write(pb.IndexDesignsRequest(design=design("d1")))
    assert (await call.read()).state == pb.INDEX_STATE_INDEXED
    rank.doubles.close()
    await call.write(pb.IndexDesignsRequest(design=design("d2")))
    try:
        await call.read()
    except grpc.RpcError as error:
        assert from_rpc_error(error).code.name == "DEADLINE_EXCEEDED"
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await rank.doubles.cancelled.wait()
    rank.doubles.open()
    listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(), timeout=20)
    assert [one.design_id for one in listed.designs] == ["d0", "d1"]


async def test_a_cancelled_search_frees_its_work(rank: Any) -> None:
    await index(rank.stub, [design("d1")])
    rank.doubles.close()
    call = searching(rank)
    waiting = asyncio.ensure_future(call)
    await rank.doubles.waiting.wait()
    call.cancel()
    await rank.doubles.cancelled.wait()
    await asyncio.gather(waiting, return_exceptions=True)
    rank.doubles.open()
    assert len((await searching(rank)).hits) == 1


async def test_one_call_too_many_is_refused_with_a_retry_delay(open_rank: Any, refused: Any) -> None:
    async with open_rank(max_in_flight=1) as rank:
        await index(rank.stub, [design("d1")])
        rank.doubles.close()
        first = asyncio.ensure_future(searching(rank))
        await rank.doubles.waiting.wait()
        failure = await refused(searching(rank))
        assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
        assert failure.retry_after_s > 0
        rank.doubles.open()
        assert len((await first).hits) == 1


async def test_a_missing_deadline_is_filled_in_and_reported(open_rank: Any) -> None:
    async with open_rank(default_deadline_s=7.0) as rank:
        response = await rank.stub.ListDesigns(pb.ListDesignsRequest())
        assert response.info.default_deadline_ms == 7000


async def test_a_search_while_embed_is_away_says_so_with_a_retry_delay(
    rank: Any, beside: Any, refused: Any
) -> None:
    await index(rank.stub, [design("d1")])
    await beside.embed.drain()
    failure = await refused(searching(rank))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "EMBED_SERVICE_UNAVAILABLE")
    assert failure.retry_after_s > 0
    # What needs no model still works.
    listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(), timeout=20)
    assert listed.total_size == 1


async def test_a_service_that_hangs_fails_the_design_and_not_the_stream(open_rank: Any) -> None:
    async with open_rank(upstream_timeout_s=0.3) as rank:
        await index(rank.stub, [design("d0")])
        rank.doubles.close()
        answers = await index(rank.stub, [design("d1"), design("d0")])
        assert {answer.error.reason for answer in answers} == {"EMBED_SERVICE_UNAVAILABLE"}
        rank.doubles.open()
        (answer,) = await index(rank.stub, [design("d1")])
        assert answer.state == pb.INDEX_STATE_INDEXED
