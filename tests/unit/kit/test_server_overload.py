"""Admission control: what is too much is refused before it costs memory."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from services.kit.client import call, connect, is_serving, stream
from services.kit.errors import LunulaError, ResourceExhausted
from services.kit.retry import Backoff
from services.kit.server.interceptors import Admission
from services.kit.telemetry.metrics import RpcMetrics

ONCE = Backoff(attempts=1)


def photo(size: int) -> pb.CropImagesRequest:
    return pb.CropImagesRequest(photos=[{"data": b"\xff" * size}])


class Gate:
    """A script that lets calls in and holds them until `open` is set."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = 0
        self.changed = asyncio.Event()

    async def __call__(self, _message: Any) -> None:
        self.inside += 1
        self.changed.set()
        await self.open.wait()

    async def holds(self, count: int) -> None:
        while self.inside < count:
            self.changed.clear()
            await self.changed.wait()


async def test_more_calls_than_allowed_are_refused_with_a_retry_delay(crops: Any) -> None:
    gate = crops.servicer.script = Gate()
    async with (
        crops(max_in_flight=2, overload_retry_s=0.75) as server,
        connect(server.address) as channel,
    ):
        await server.until_serving()
        method = pb_grpc.CropServiceStub(channel).CropImages
        held = [asyncio.create_task(call(method, photo(8), timeout=30)) for _ in range(2)]
        await gate.holds(2)
        with pytest.raises(ResourceExhausted) as caught:
            await call(method, photo(8), timeout=30, backoff=ONCE)
        assert (caught.value.reason, caught.value.retry_after_s) == ("TOO_MANY_CALLS", 0.75)
        assert crops.servicer.calls == 2
        assert await is_serving(channel)  # a full server still answers its probes
        gate.open.set()
        await asyncio.gather(*held)
        await call(method, photo(8), timeout=30, backoff=ONCE)


async def test_more_bytes_than_allowed_are_refused_before_they_are_parsed(crops: Any) -> None:
    gate = crops.servicer.script = Gate()
    async with crops(max_in_flight_bytes=10_000) as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).CropImages
        held = asyncio.create_task(call(method, photo(6000), timeout=30))
        await gate.holds(1)
        with pytest.raises(ResourceExhausted) as caught:
            await call(method, photo(6000), timeout=30, backoff=ONCE)
        assert caught.value.reason == "TOO_MANY_BYTES"
        assert caught.value.retry_after_s is not None
        small = asyncio.create_task(call(method, photo(1000), timeout=30))
        await gate.holds(2)
        gate.open.set()
        await asyncio.gather(held, small)
        assert server.admission.bytes == 0


async def test_a_refused_call_succeeds_when_the_client_waits_as_told(crops: Any) -> None:
    gate = crops.servicer.script = Gate()
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        gate.open.set()
        await held

    async with crops(max_in_flight=1, overload_retry_s=0.75) as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).CropImages
        held = asyncio.create_task(call(method, photo(8), timeout=30))
        await gate.holds(1)
        response = await call(method, photo(8), timeout=30, backoff=Backoff(sleep=wait))
        assert len(response.items) == 1
        assert waits[0] >= 0.75


async def test_a_message_over_the_size_limit_is_refused_without_a_retry(crops: Any) -> None:
    async with crops(max_message_bytes=10_000) as server, connect(server.address) as channel:
        with pytest.raises(ResourceExhausted) as caught:
            await call(pb_grpc.CropServiceStub(channel).CropImages, photo(20_000), timeout=30)
        assert caught.value.retry_after_s is None
        assert crops.servicer.calls == 0


async def items(count: int, size: int) -> AsyncIterator[pb.StreamCropsRequest]:
    for index in range(count):
        yield pb.StreamCropsRequest(item_id=str(index), photo={"data": b"\xff" * size})


async def test_a_stream_larger_than_the_byte_budget_flows_through_it(crops: Any) -> None:
    async with crops(max_in_flight_bytes=10_000) as server, connect(server.address) as channel:
        method = pb_grpc.CropServiceStub(channel).StreamCrops
        answers = [answer async for answer in stream(method, items(50, 4000), timeout=30)]
        assert len(answers) == 50
        assert server.admission.bytes == 0


async def test_a_stream_waits_for_room_and_goes_on_when_there_is_some(crops: Any) -> None:
    gate = crops.servicer.script = Gate()
    async with crops(max_in_flight_bytes=10_000) as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        held = asyncio.create_task(call(stub.CropImages, photo(8000), timeout=30))
        await gate.holds(1)
        crops.servicer.script = None
        streamed = asyncio.create_task(collect_all(stream(stub.StreamCrops, items(3, 4000), timeout=30)))
        while server.admission.calls < 2:
            await asyncio.wait([streamed], timeout=0.001)
        assert not streamed.done()
        gate.open.set()
        assert len(await streamed) == 3
        await held


async def test_a_stream_for_which_no_room_is_found_is_refused_with_a_retry_delay(crops: Any) -> None:
    gate = crops.servicer.script = Gate()
    async with (
        crops(max_in_flight_bytes=10_000, stream_stall_s=0.01) as server,
        connect(server.address) as channel,
    ):
        stub = pb_grpc.CropServiceStub(channel)
        held = asyncio.create_task(call(stub.CropImages, photo(8000), timeout=30))
        await gate.holds(1)
        async with aclosing(stream(stub.StreamCrops, items(3, 4000), timeout=30)) as answers:
            with pytest.raises(ResourceExhausted) as caught:
                await anext(answers)
        assert caught.value.reason == "TOO_MANY_BYTES"
        assert caught.value.retry_after_s is not None
        gate.open.set()
        await held


async def collect_all(answers: AsyncIterator[Any]) -> list[Any]:
    return [answer async for answer in answers]


def test_a_request_larger_than_the_whole_budget_is_taken_when_it_is_alone() -> None:
    admission = Admission(
        max_calls=4, max_bytes=100, retry_after_s=1, stall_s=1, metrics=RpcMetrics(CollectorRegistry())
    )
    with admission.enter() as ticket:
        ticket.hold(1000)
        with pytest.raises(ResourceExhausted):
            admission.enter()
    assert (admission.calls, admission.bytes) == (0, 0)


async def test_whatever_callers_do_nothing_stays_held_and_no_task_is_left(crops: Any) -> None:
    chance = random.Random(7)
    outcomes: Counter[str] = Counter()

    async def dawdle(_message: Any) -> None:
        for _ in range(chance.randrange(20)):
            await asyncio.sleep(0)

    async def one(stub: Any) -> None:
        patience = chance.choice([0.001, 0.01, 30.0])
        if chance.random() < 0.5:
            request = photo(chance.choice([10, 50_000, 500_000]))
            pending = call(stub.CropImages, request, timeout=patience, backoff=ONCE)
        else:
            count, size = chance.randrange(8), chance.choice([10, 100_000])
            pending = collect_all(stream(stub.StreamCrops, items(count, size), timeout=patience))
        task = asyncio.ensure_future(pending)
        if chance.random() < 0.3:
            await asyncio.wait([task], timeout=chance.random() * 0.01)
            task.cancel()
        (answer,) = await asyncio.gather(task, return_exceptions=True)
        outcomes[answer.reason if isinstance(answer, LunulaError) else type(answer).__name__] += 1

    crops.servicer.script = dawdle
    limits = {"max_in_flight": 16, "max_in_flight_bytes": 1_000_000, "stream_stall_s": 0.05}
    async with crops(**limits) as server, connect(server.address) as channel:
        stub = pb_grpc.CropServiceStub(channel)
        for _ in range(6):
            await asyncio.gather(*(one(stub) for _ in range(48)))
        await server.admission.until_idle()
        assert server.admission.bytes == 0
        assert len((await call(stub.CropImages, photo(8), timeout=30)).items) == 1
    assert set(outcomes) <= {
        *("CropImagesResponse", "list", "CancelledError"),
        *("DEADLINE_EXCEEDED", "TOO_MANY_CALLS", "TOO_MANY_BYTES"),
    }
    assert asyncio.all_tasks() == {asyncio.current_task()}
