"""The client: deadlines are mandatory and handed on, retries are patient but not endless."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from services.kit.client import call, connect, is_serving, outgoing_metadata, stream
from services.kit.deadline import Deadline
from services.kit.errors import (
    DeadlineExceeded,
    InvalidArgument,
    LunulaError,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from services.kit.retry import Backoff
from services.kit.scope import CallScope, bind, current_deadline, current_scope

REQUEST = pb.CropImagesRequest(photos=[{"data": b"x"}])


class Flaky:
    """A script that raises its errors one call after the other, then lets calls succeed."""

    def __init__(self, *errors: LunulaError) -> None:
        self.errors = list(errors)

    async def __call__(self, _message: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)


class Waits:
    """A sleep that takes no time and remembers."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def patient(waits: Waits) -> Backoff:
    return Backoff(sleep=waits, uniform=lambda _low, high: high)


async def test_unavailable_is_retried_with_growing_delays(crops: Any, waits: Waits, patient: Backoff) -> None:
    crops.servicer.script = Flaky(*(Unavailable("Milvus is unavailable.") for _ in range(3)))
    async with crops() as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        assert len((await call(stub.CropImages, REQUEST, timeout=30, backoff=patient)).items) == 1
    assert waits.seconds == [0.1, 0.2, 0.4]


async def test_retries_end_with_the_last_error(crops: Any, waits: Waits, patient: Backoff) -> None:
    crops.servicer.script = Flaky(*(Unavailable(f"Attempt {index}.") for index in range(9)))
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(Unavailable, match="Attempt 3"):
            await call(pb_grpc.CropServiceStub(channel).CropImages, REQUEST, timeout=30, backoff=patient)
    assert len(waits.seconds) == 3


async def test_a_told_retry_delay_is_honoured(crops: Any, waits: Waits, patient: Backoff) -> None:
    crops.servicer.script = Flaky(ResourceExhausted("Full.", reason="QUEUE_FULL", retry_after_s=1.25))
    async with crops() as server, connect(server.address) as channel:
        await call(pb_grpc.CropServiceStub(channel).CropImages, REQUEST, timeout=30, backoff=patient)
    assert waits.seconds == [1.25 + 0.1]


@pytest.mark.parametrize("error", [InvalidArgument("No."), NotFound("No."), ResourceExhausted("Too large.")])
async def test_what_cannot_get_better_is_not_retried(
    crops: Any, waits: Waits, patient: Backoff, error: LunulaError
) -> None:
    crops.servicer.script = Flaky(error)
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(type(error)):
            await call(pb_grpc.CropServiceStub(channel).CropImages, REQUEST, timeout=30, backoff=patient)
    assert waits.seconds == []


async def test_a_delay_that_the_deadline_does_not_allow_is_not_waited_for(
    crops: Any, waits: Waits, patient: Backoff
) -> None:
    crops.servicer.script = Flaky(Unavailable("Unavailable.", retry_after_s=60))
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(Unavailable):
            await call(pb_grpc.CropServiceStub(channel).CropImages, REQUEST, timeout=30, backoff=patient)
    assert waits.seconds == []


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with connect("127.0.0.1:1") as channel:
        with pytest.raises(Unavailable):
            await call(
                pb_grpc.CropServiceStub(channel).CropImages, REQUEST, timeout=10, backoff=Backoff(attempts=1)
            )
        assert not await is_serving(channel)


async def test_an_expired_deadline_sends_nothing(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        with pytest.raises(DeadlineExceeded):
            await call(stub.CropImages, REQUEST, timeout=Deadline.after(0))
        with pytest.raises(DeadlineExceeded):
            await anext(stream(stub.StreamCrops, requests(1), timeout=0.0))
        assert crops.servicer.calls == 0


async def test_a_call_without_any_deadline_is_a_mistake(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).CropImages
        for never in (math.inf, Deadline.never()):
            with pytest.raises(ValueError, match="deadline"):
                await call(method, REQUEST, timeout=never)


async def test_a_call_inside_a_call_has_what_is_left_and_the_same_request_id(crops: Any) -> None:
    seen: list[tuple[str, float]] = []
    async with crops() as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)

        async def forward_once(_message: Any) -> None:
            scope = current_scope()
            assert scope is not None
            seen.append((scope.request_id, current_deadline().remaining()))
            if len(seen) == 1:
                await call(stub.CropImages, REQUEST, timeout=600)

        crops.servicer.script = forward_once
        await call(stub.CropImages, REQUEST, timeout=20, metadata=[("x-request-id", "outer")])
    assert [request_id for request_id, _ in seen] == ["outer", "outer"]
    # gRPC rounds a timeout on the wire; what matters is that 600 has become what was left.
    assert all(0 < remaining < 21 for _, remaining in seen)


def test_a_given_request_id_wins_over_that_of_the_running_call() -> None:
    with bind(CallScope("/m", "outer", Deadline.never())):
        assert outgoing_metadata() == (("x-request-id", "outer"),)
        assert outgoing_metadata([("x-request-id", "own")]) == (("x-request-id", "own"),)
    assert outgoing_metadata() == ()


async def requests(count: int, fail_at: int | None = None) -> AsyncIterator[pb.StreamCropsRequest]:
    for index in range(count):
        if index == fail_at:
            raise OSError("the disk is gone")
        yield pb.StreamCropsRequest(item_id=str(index))


async def test_an_error_of_the_requests_reaches_the_caller_of_a_stream(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(OSError, match="disk"):
            async for _ in stream(
                pb_grpc.CropServiceStub(channel).StreamCrops, requests(9, fail_at=3), timeout=30
            ):
                pass


async def test_cancelling_the_reader_of_a_stream_is_a_cancellation(crops: Any) -> None:
    crops.servicer.script = lambda _message: asyncio.Event().wait()
    async with crops() as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).StreamCrops
        reader = asyncio.ensure_future(anext(stream(method, requests(1), timeout=30)))
        await crops.servicer.entered.wait()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await crops.servicer.cancelled.wait()


async def test_options_of_the_caller_win_over_the_defaults(crops: Any) -> None:
    async with (
        crops() as server,
        connect(server.address, options=[("grpc.max_send_message_length", 10)]) as channel,
    ):
        with pytest.raises(ResourceExhausted):
            await call(
                pb_grpc.CropServiceStub(channel).CropImages,
                pb.CropImagesRequest(photos=[{"data": b"x" * 100}]),
                timeout=10,
            )


async def test_a_server_that_comes_late_is_reached_by_retrying(crops: Any) -> None:
    class Late:
        """Raises like a refused connection until the server stands, then calls it."""

        def __init__(self) -> None:
            self.method: Callable[..., Awaitable[Any]] | None = None

        async def __call__(self, request: Any, **details: Any) -> Any:
            if self.method is None:
                raise grpc.aio.AioRpcError(
                    grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "refused"
                )
            return await self.method(request, **details)

    late = Late()
    async with crops() as server, connect(server.address) as channel:

        async def start(_seconds: float) -> None:
            late.method = pb_grpc.CropServiceStub(channel).CropImages

        answer = await call(late, REQUEST, timeout=30, backoff=Backoff(sleep=start))
        assert len(answer.items) == 1
