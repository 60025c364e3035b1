"""Deadlines, cancellation, overload, and models that do not fit, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from services.kit.client import call, stream
from services.kit.errors import DeadlineExceeded, FailedPrecondition, ResourceExhausted, Unavailable
from services.kit.retry import Backoff
from tests.contract.classify.conftest import OPENSET

ONCE = Backoff(attempts=1)
METHODS = pytest.mark.parametrize("method", ["IdentifyArtists", "StreamIdentifyArtists"])


async def ask(classifies: Any, method: str, data: bytes, *, count: int = 1, seconds: float = 60) -> list[Any]:
    work = pb.Work(photo=photo_pb2.Photo(data=data))

    async def requests() -> AsyncIterator[pb.StreamIdentifyArtistsRequest]:
        for index in range(count):
            yield pb.StreamIdentifyArtistsRequest(item_id=str(index), work=work)

    if method == "StreamIdentifyArtists":
        answers = stream(classifies.stub.StreamIdentifyArtists, requests(), timeout=seconds)
        return [answer.item async for answer in answers]
    request = pb.IdentifyArtistsRequest(works=[work] * count)
    response = await call(classifies.stub.IdentifyArtists, request, timeout=seconds, backoff=ONCE)
    return list(response.items)


@METHODS
async def test_an_expired_deadline_ends_the_call_and_its_work(
    classifies: Any, hand_photo: Any, gate: Any, method: str
) -> None:
    gate.close()
    with pytest.raises(DeadlineExceeded):
        await ask(classifies, method, hand_photo.jpeg, seconds=0.3)
    await gate.cancelled.wait()


@METHODS
async def test_cancelling_a_call_frees_its_queued_works(
    open_classifies: Callable[..., Any], hand_photo: Any, gate: Any, until: Any, method: str
) -> None:
    async with open_classifies(photos_per_call=2) as classifies:
        gate.close()
        running = asyncio.create_task(ask(classifies, method, hand_photo.jpeg, count=40))
        await gate.waiting.wait()
        running.cancel()
        await gate.cancelled.wait()
        await until(lambda: classifies.server.admission.calls == 0)
        gate.open()
        entered = gate.entered
        assert (await ask(classifies, method, hand_photo.jpeg))[0].identification.candidates
        assert gate.entered == entered <= 2


@METHODS
async def test_a_full_server_refuses_with_a_retry_delay(
    open_classifies: Callable[..., Any], hand_photo: Any, gate: Any, method: str
) -> None:
    async with open_classifies(max_in_flight=1) as classifies:
        gate.close()
        first = asyncio.create_task(ask(classifies, "IdentifyArtists", hand_photo.jpeg))
        await gate.waiting.wait()
        with pytest.raises(ResourceExhausted) as caught:
            await ask(classifies, method, hand_photo.jpeg)
        assert caught.value.retry_after_s is not None and caught.value.retry_after_s > 0
        gate.open()
        assert (await first)[0].identification.candidates


async def test_when_no_work_can_be_served_the_call_fails_so_that_it_is_retried(
    classifies: Any, hand_photo: Any, gate: Any
) -> None:
    gate.error = lambda *_: Unavailable("unavailable", reason="MODEL_SERVER_UNAVAILABLE")
    with pytest.raises(Unavailable) as caught:
        await ask(classifies, "IdentifyArtists", hand_photo.jpeg, count=2)
    assert caught.value.reason == "MODEL_SERVER_UNAVAILABLE"


@pytest.mark.parametrize(
    "parameters",
    [
        {"image_temperature": "0"},
        {"text_temperature": "nan"},
        {"image_power": "nan", "text_power": "1"},
        {"image_power": "0", "text_power": "0"},
        {"unknown_bias": "nan"},
        {"unknown_slope": "inf"},
        OPENSET | {"unknown_both": "nan 1 1 1"},
        OPENSET | {"enrolled_text": "1 1 1"},
        OPENSET | {"unknown_image": "1 -1 1 1"},
        {"unknown_text": "1 1 1 1"},
    ],
)
async def test_with_a_calibration_that_makes_no_sense_the_service_is_never_ready_and_refuses(
    open_classifies: Callable[..., Any], hand_photo: Any, parameters: dict[str, str]
) -> None:
    async with open_classifies(parameters, await_ready=False) as classifies:
        with pytest.raises(FailedPrecondition) as caught:
            await ask(classifies, "IdentifyArtists", hand_photo.jpeg)
        assert caught.value.reason == "MODEL_UNSUITABLE"
        assert not classifies.server.health.serving
