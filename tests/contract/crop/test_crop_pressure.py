"""Deadlines, cancellation, overload and models in trouble, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.kit.client import call, stream
from services.kit.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from services.kit.retry import Backoff

ONCE = Backoff(attempts=1)


def batch(data: bytes, count: int = 1) -> pb.CropImagesRequest:
    return pb.CropImagesRequest(photos=[photo_pb2.Photo(data=data)] * count)


async def stream_requests(data: bytes, count: int) -> AsyncIterator[pb.StreamCropsRequest]:
    for index in range(count):
        yield pb.StreamCropsRequest(item_id=str(index), photo=photo_pb2.Photo(data=data))


async def test_an_expired_deadline_ends_the_call_and_its_work(crops: Any, hand_photo: Any, gate: Any) -> None:
    gate.close()
    with pytest.raises(DeadlineExceeded):
        await call(crops.stub.CropImages, batch(hand_photo.jpeg), timeout=0.3)
    await gate.cancelled.wait()


async def test_an_expired_deadline_ends_a_stream_and_its_work(crops: Any, hand_photo: Any, gate: Any) -> None:
    gate.close()
    with pytest.raises(DeadlineExceeded):
        async for _ in stream(crops.stub.StreamCrops, stream_requests(hand_photo.jpeg, 3), timeout=0.3):
            pytest.fail("nothing can have been answered")
    await gate.cancelled.wait()


async def test_a_missing_deadline_is_replaced_and_reported(
    open_crops: Callable[..., Any], hand_photo: Any
) -> None:
    async with open_crops(default_deadline_s=12.0) as crops:
        response = await crops.stub.CropImages(batch(hand_photo.jpeg))
        assert response.info.default_deadline_ms == 12_000


async def test_cancelling_a_batch_frees_its_queued_photos(
    open_crops: Callable[..., Any], hand_photo: Any, gate: Any, until: Any
) -> None:
    async with open_crops(photos_per_call=3) as crops:
        gate.close()
        running = crops.stub.CropImages(batch(hand_photo.jpeg, 64), timeout=60)
        await gate.waiting.wait()
        running.cancel()
        await gate.cancelled.wait()
        await until(lambda: crops.server.admission.calls == 0)
        gate.open()
        entered = gate.entered
        # The next call is served, and of the 61 photos that had not begun none ever reached a model.
        response = await call(crops.stub.CropImages, batch(hand_photo.jpeg), timeout=30)
        assert len(response.items[0].result.nails) == 7
        assert gate.entered == entered <= 2 * 3


async def test_cancelling_a_stream_frees_its_work(
    open_crops: Callable[..., Any], hand_photo: Any, gate: Any, until: Any
) -> None:
    async with open_crops(photos_per_call=2) as crops:
        gate.close()
        running = crops.stub.StreamCrops(stream_requests(hand_photo.jpeg, 20), timeout=60)
        await gate.waiting.wait()
        running.cancel()
        await gate.cancelled.wait()
        await until(lambda: crops.server.admission.calls == 0)
        assert crops.server.admission.bytes == 0
        assert gate.entered <= 2 * 2


async def test_a_caller_that_reads_slowly_holds_the_server_back(
    open_crops: Callable[..., Any], hand_photo: Any, gate: Any
) -> None:
    async with open_crops(photos_per_call=2) as crops:
        gate.close()
        answers = stream(crops.stub.StreamCrops, stream_requests(hand_photo.jpeg, 10), timeout=60)
        first = asyncio.create_task(anext(answers))
        await gate.waiting.wait()
        # Two models run at once for each photo, and no third photo is taken before one is answered.
        assert gate.entered <= 2 * 2
        gate.open()
        seen = [await first] + [answer async for answer in answers]
        assert sorted(int(answer.item_id) for answer in seen) == list(range(10))


async def test_a_full_server_refuses_with_a_retry_delay(
    open_crops: Callable[..., Any], hand_photo: Any, gate: Any
) -> None:
    async with open_crops(max_in_flight=1) as crops:
        gate.close()
        first = asyncio.create_task(call(crops.stub.CropImages, batch(hand_photo.jpeg), timeout=60))
        await gate.waiting.wait()
        for refused in (
            call(crops.stub.CropImages, batch(hand_photo.jpeg), timeout=30, backoff=ONCE),
            anext(stream(crops.stub.StreamCrops, stream_requests(hand_photo.jpeg, 1), timeout=30)),
        ):
            with pytest.raises(ResourceExhausted) as caught:
                await refused
            assert caught.value.retry_after_s is not None and caught.value.retry_after_s > 0
        gate.open()
        assert len((await first).items[0].result.nails) == 7


async def test_a_full_queue_fails_the_photo_that_met_it_with_a_retry_delay(
    crops: Any, hand_photo: Any, gate: Any
) -> None:
    gate.error = fails_once(ResourceExhausted("full", reason="QUEUE_FULL", retry_after_s=0.25))
    response = await call(crops.stub.CropImages, batch(hand_photo.jpeg, 2), timeout=30)
    failed = [item.error for item in response.items if item.HasField("error")]
    assert [(error.reason, error.retry_delay_ms) for error in failed] == [("QUEUE_FULL", 250)]


async def test_when_no_photo_can_be_served_the_call_fails_so_that_it_is_retried(
    crops: Any, hand_photo: Any, gate: Any
) -> None:
    gate.error = lambda *_: Unavailable("unavailable", reason="MODEL_SERVER_UNAVAILABLE")
    with pytest.raises(Unavailable) as caught:
        await call(crops.stub.CropImages, batch(hand_photo.jpeg, 2), timeout=30, backoff=ONCE)
    assert caught.value.reason == "MODEL_SERVER_UNAVAILABLE"


async def test_an_unforeseen_error_fails_one_photo_opaquely(crops: Any, hand_photo: Any, gate: Any) -> None:
    gate.error = fails_once(ZeroDivisionError("a secret of the server"))
    response = await call(crops.stub.CropImages, batch(hand_photo.jpeg, 2), timeout=30)
    failed = [item.error for item in response.items if item.HasField("error")]
    assert [error.reason for error in failed] == ["INTERNAL"]
    assert "secret" not in failed[0].message


async def test_the_service_is_not_ready_while_a_model_fails_its_canary(
    open_crops: Callable[..., Any], gate: Any, until: Any
) -> None:
    async with open_crops(canary_interval_s=0.01) as crops:
        gate.error = lambda model, _: Unavailable("unavailable") if model == "hand_pose" else None
        await until(lambda: not crops.server.health.serving)
        gate.error = None
        await crops.server.until_serving()


def fails_once(error: Exception) -> Callable[..., Exception | None]:
    errors = [error]
    return lambda *_: errors.pop() if errors else None
