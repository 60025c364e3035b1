"""What a server does around a call: identity, deadlines, errors, cancellation."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from services.kit.client import call, connect, stream
from services.kit.errors import DeadlineExceeded, Internal, InvalidArgument, NotFound, Unavailable
from services.kit.retry import Backoff
from services.kit.scope import current_deadline
from services.kit.wire.errors import from_rpc_error

ONCE = Backoff(attempts=1)


def photos(count: int, size: int = 8) -> pb.CropImagesRequest:
    request = pb.CropImagesRequest()
    for _ in range(count):
        request.photos.add(data=b"\xff" * size)
    return request


async def test_a_call_is_answered_with_its_request_id_and_stage_timings(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        running = stub.CropImages(photos(3), timeout=10, metadata=(("x-request-id", "abc-1"),))
        response = await running
        assert len(response.items) == 3
        assert response.info.request_id == "abc-1"
        assert [timing.stage for timing in response.info.timings] == ["decode"]
        assert response.info.default_deadline_ms == 0
        assert dict(await running.trailing_metadata())["x-request-id"] == "abc-1"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129])
async def test_an_unusable_request_id_is_replaced(crops: Any, given: str) -> None:
    async with crops() as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        response = await stub.CropImages(photos(1), timeout=10, metadata=(("x-request-id", given),))
        assert response.info.request_id not in ("", given)


async def test_a_missing_deadline_gets_the_default_and_the_caller_is_told(crops: Any) -> None:
    seen: list[float] = []

    async def note(_message: Any) -> None:
        seen.append(current_deadline().remaining())

    crops.servicer.script = note
    async with crops(default_deadline_s=7.5) as server, connect(server.address) as channel:
        running = pb_grpc.CropServiceStub(channel).CropImages(photos(1))
        response = await running
        assert response.info.default_deadline_ms == 7500
        assert dict(await running.trailing_metadata())["x-lunula-default-deadline-ms"] == "7500"
        assert 0 < seen[0] <= 7.5


async def test_a_call_without_deadline_that_takes_too_long_ends_with_the_default_one(crops: Any) -> None:
    crops.servicer.script = lambda _message: asyncio.Event().wait()
    async with crops(default_deadline_s=0.05) as server, connect(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pb_grpc.CropServiceStub(channel).CropImages(photos(1))
        error = from_rpc_error(caught.value)
        assert isinstance(error, DeadlineExceeded)
        assert error.reason == "DEADLINE_EXCEEDED"
        assert error.request_id
        # On a slow machine the deadline may pass before the handler is entered.
        assert crops.servicer.cancelled.is_set() == crops.servicer.entered.is_set()


async def test_a_caller_whose_deadline_passes_has_its_work_cancelled(crops: Any) -> None:
    crops.servicer.script = lambda _message: asyncio.Event().wait()
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(DeadlineExceeded):
            await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=0.1)
        await crops.servicer.cancelled.wait()


async def test_a_caller_who_gives_up_has_its_work_cancelled_and_its_place_freed(crops: Any) -> None:
    crops.servicer.script = lambda _message: asyncio.Event().wait()
    async with crops(max_in_flight=1) as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        running = stub.CropImages(photos(1, 1000), timeout=30)
        waiting = asyncio.ensure_future(running)
        await crops.servicer.entered.wait()
        assert (server.admission.calls, server.admission.bytes) == (1, photos(1, 1000).ByteSize())
        waiting.cancel()
        await crops.servicer.cancelled.wait()
        crops.servicer.script = None
        await call(stub.CropImages, photos(1), timeout=10)
        assert (server.admission.calls, server.admission.bytes) == (0, 0)


async def test_an_error_of_the_tree_arrives_with_all_its_details(crops: Any) -> None:
    async def refuse(_message: Any) -> None:
        raise InvalidArgument(
            "The photo is not an image.",
            reason="PHOTO_NOT_AN_IMAGE",
            fields=[("photos[0].data", "is not an image")],
            resource=("photo", "0"),
            metadata={"limit": "3"},
        )

    crops.servicer.script = refuse
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(InvalidArgument) as caught:
            await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=10)
        error = caught.value
        assert error.message == "The photo is not an image."
        assert error.reason == "PHOTO_NOT_AN_IMAGE"
        assert error.fields == (("photos[0].data", "is not an image"),)
        assert error.resource == ("photo", "0")
        assert error.metadata == {"limit": "3"}
        assert error.request_id


async def test_an_unknown_exception_is_opaque_outside_and_traced_in_the_log(
    crops: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_message: Any) -> None:
        raise ZeroDivisionError("secret path /etc")

    crops.servicer.script = fail
    async with crops() as server, connect(server.address) as channel:
        with caplog.at_level(logging.ERROR), pytest.raises(Internal) as caught:
            await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=10)
        assert "secret" not in caught.value.message
        assert caught.value.request_id in caught.value.message
        (record,) = [record for record in caplog.records if record.exc_info]
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_a_timeout_inside_a_handler_is_not_taken_for_the_deadline(crops: Any) -> None:
    async def fail(_message: Any) -> None:
        raise TimeoutError("some socket")

    crops.servicer.script = fail
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(Internal):
            await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=10)


async def test_an_untranslated_error_of_another_service_keeps_its_code(crops: Any) -> None:
    async with connect("127.0.0.1:1") as nowhere:

        async def forward(_message: Any) -> None:
            await pb_grpc.CropServiceStub(nowhere).CropImages(photos(1), timeout=5)

        crops.servicer.script = forward
        async with crops() as server, connect(server.address) as channel:
            with pytest.raises(Unavailable):
                await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=10, backoff=ONCE)


async def test_a_handler_that_aborts_by_itself_keeps_its_code(crops: Any) -> None:
    async def abort(_request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    crops.servicer.CropImages = abort
    async with crops() as server, connect(server.address) as channel:
        with pytest.raises(NotFound, match="gone"):
            await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=10)


async def test_bytes_that_are_no_message_are_an_invalid_argument(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        raw = channel.unary_unary("/lunula.crop.v1.CropService/CropImages")
        with pytest.raises(InvalidArgument) as caught:
            await call(raw, b"\xff\xff\xff", timeout=10)
        assert caught.value.reason == "REQUEST_MALFORMED"


async def test_an_unknown_method_is_unimplemented(crops: Any) -> None:
    async with crops() as server, connect(server.address) as channel:
        raw = channel.unary_unary("/lunula.crop.v1.CropService/PaintNails")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await raw(b"", timeout=10)
        assert from_rpc_error(caught.value).code == grpc.StatusCode.UNIMPLEMENTED


async def requests(count: int, size: int = 8) -> Any:
    for index in range(count):
        yield pb.StreamCropsRequest(item_id=str(index), photo={"data": b"\xff" * size})


async def test_one_bad_item_of_a_stream_leaves_the_others_right(crops: Any) -> None:
    async def refuse_seventh(message: pb.StreamCropsRequest) -> None:
        if message.item_id == "7":
            raise InvalidArgument("No.", reason="PHOTO_CORRUPT", fields=[("photo.data", "is truncated")])

    crops.servicer.script = refuse_seventh
    async with crops() as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).StreamCrops
        answers = [answer async for answer in stream(method, requests(64), timeout=30)]
        assert [answer.item_id for answer in answers] == [str(index) for index in range(64)]
        bad = [answer for answer in answers if answer.item.HasField("error")]
        assert [answer.item_id for answer in bad] == ["7"]
        assert bad[0].item.error.reason == "PHOTO_CORRUPT"
        assert all(len(answer.info.timings) == 1 for answer in answers)
        assert len({answer.info.request_id for answer in answers}) == 1
        assert server.admission.bytes == 0


async def test_an_unknown_exception_in_a_stream_ends_it_opaquely(crops: Any) -> None:
    async def fail(_message: Any) -> None:
        raise ZeroDivisionError

    crops.servicer.script = fail
    async with crops() as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).StreamCrops
        for _ in range(20):  # often enough for a request to be on its way when the stream ends
            with pytest.raises(Internal, match="request id"):
                async for _ in stream(method, requests(3), timeout=30):
                    pass
        assert (server.admission.calls, server.admission.bytes) == (0, 0)


async def test_a_stream_that_its_caller_leaves_is_cancelled_and_frees_its_bytes(crops: Any) -> None:
    async def stop_at_second(message: pb.StreamCropsRequest) -> None:
        if message.item_id == "1":
            await asyncio.Event().wait()

    crops.servicer.script = stop_at_second
    async with crops() as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).StreamCrops
        async with aclosing(stream(method, requests(5), timeout=30)) as answers:
            async for _ in answers:
                break
        await crops.servicer.cancelled.wait()
        crops.servicer.script = None
        await call(pb_grpc.CropServiceStub(channel).CropImages, photos(1), timeout=10)
        assert (server.admission.calls, server.admission.bytes) == (0, 0)
