"""Deadlines, cancellation, overload and models in trouble, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.kit.client import call, stream
from services.kit.errors import DeadlineExceeded, LunulaError, ResourceExhausted, Unavailable
from services.kit.retry import Backoff

ONCE = Backoff(attempts=1)


def designs(data: bytes, count: int = 1) -> pb.EmbedDesignsRequest:
    return pb.EmbedDesignsRequest(designs=[pb.DesignInput(photo=photo_pb2.Photo(data=data))] * count)


def queries(count: int = 1) -> pb.EmbedQueriesRequest:
    return pb.EmbedQueriesRequest(queries=[pb.QueryInput(text=f"red nails {i}") for i in range(count)])


async def streamed(data: bytes, count: int = 3) -> AsyncIterator[pb.StreamEmbedDesignsRequest]:
    for index in range(count):
        design = pb.DesignInput(photo=photo_pb2.Photo(data=data))
        yield pb.StreamEmbedDesignsRequest(item_id=str(index), design=design)


async def ask(embeds: Any, method: str, data: bytes, *, count: int = 1, timeout: float = 60) -> Any:  # noqa: ASYNC109  the wire's own
    if method == "StreamEmbedDesigns":
        answers = stream(embeds.stub.StreamEmbedDesigns, streamed(data, count), timeout=timeout)
        return [answer async for answer in answers]
    request = designs(data, count) if method == "EmbedDesigns" else queries(count)
    return await call(getattr(embeds.stub, method), request, timeout=timeout, backoff=ONCE)


METHODS = pytest.mark.parametrize("method", ["EmbedDesigns", "EmbedQueries", "StreamEmbedDesigns"])


@METHODS
async def test_an_expired_deadline_ends_the_call_and_its_work(
    embeds: Any, hand_photo: Any, gate: Any, method: str
) -> None:
    gate.close()
    with pytest.raises(DeadlineExceeded):
        await ask(embeds, method, hand_photo.jpeg, timeout=0.3)
    await gate.cancelled.wait()


@METHODS
async def test_cancelling_a_call_frees_its_queued_items(
    open_embeds: Callable[..., Any], hand_photo: Any, gate: Any, until: Any, method: str
) -> None:
    async with open_embeds(photos_per_call=2, queries_per_call=2) as embeds:
        gate.close()
        running = asyncio.create_task(ask(embeds, method, hand_photo.jpeg, count=40))
        await gate.waiting.wait()
        running.cancel()
        await gate.cancelled.wait()
        await until(lambda: embeds.server.admission.calls == 0)
        gate.open()
        entered = gate.entered
        assert await ask(embeds, method, hand_photo.jpeg)
        # At most two items used at most two models each; of the 38 others none ever did.
        assert gate.entered == entered <= 2 * 2


@METHODS
async def test_a_full_server_refuses_with_a_retry_delay(
    open_embeds: Callable[..., Any], hand_photo: Any, gate: Any, method: str
) -> None:
    async with open_embeds(max_in_flight=1) as embeds:
        gate.close()
        first = asyncio.create_task(ask(embeds, "EmbedQueries", b""))
        await gate.waiting.wait()
        with pytest.raises(ResourceExhausted) as caught:
            await ask(embeds, method, hand_photo.jpeg)
        assert caught.value.retry_after_s is not None and caught.value.retry_after_s > 0
        gate.open()
        assert (await first).items[0].HasField("embedding")


@pytest.mark.parametrize("method", ["EmbedDesigns", "EmbedQueries"])
@pytest.mark.parametrize(
    "error",
    [
        ResourceExhausted("full", reason="QUEUE_FULL", retry_after_s=0.25),
        Unavailable("unavailable", reason="MODEL_SERVER_UNAVAILABLE"),
    ],
)
async def test_when_no_item_can_be_served_the_call_fails_so_that_it_is_retried(
    embeds: Any, hand_photo: Any, gate: Any, method: str, error: LunulaError
) -> None:
    gate.error = lambda *_: error
    with pytest.raises(type(error)) as caught:
        await ask(embeds, method, hand_photo.jpeg, count=2)
    assert (caught.value.reason, caught.value.retry_after_s) == (error.reason, error.retry_after_s)


async def test_a_model_that_gives_nan_fails_the_item_and_not_the_server(
    embeds: Any, fake_backend: Any
) -> None:
    fake_backend._answers["query_fuse"] = lambda inputs: {
        "embedding": np.full((len(inputs["text"]), 256), np.nan, np.float32)
    }
    item = (await ask(embeds, "EmbedQueries", b"")).items[0]
    assert item.error.reason == "MODEL_OUTPUT_NOT_FINITE"
