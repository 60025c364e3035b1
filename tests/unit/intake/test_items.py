"""Batches and streams: own outcomes, bounded work, and nothing left running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from services.intake.items import run_batch, run_stream, settle
from services.kit.concurrency.together import together
from services.kit.deadline import Deadline
from services.kit.errors import (
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    LunulaError,
    ResourceExhausted,
    Unavailable,
)

NEVER = Deadline.never()


class Busy:
    """Counts what runs at once and what was cancelled."""

    def __init__(self) -> None:
        self.now = self.most = self.cancelled = self.begun = 0
        self.go = asyncio.Event()

    async def work(self, _: int, item: int) -> int:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
            return item * 10
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1


async def test_a_batch_keeps_its_order_and_its_bound() -> None:
    busy = Busy()
    running = asyncio.create_task(run_batch(list(range(20)), busy.work, concurrency=3, deadline=NEVER))
    while busy.now < 3:  # noqa: ASYNC110  there is no event for it
        await asyncio.sleep(0)
    busy.go.set()
    assert await running == [index * 10 for index in range(20)]
    assert busy.most == 3


async def test_a_cancelled_batch_leaves_nothing_running_and_begins_nothing_more() -> None:
    busy = Busy()
    running = asyncio.create_task(run_batch(list(range(20)), busy.work, concurrency=3, deadline=NEVER))
    while busy.now < 3:  # noqa: ASYNC110  there is no event for it
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (busy.now, busy.cancelled, busy.begun) == (0, 3, 3)


async def test_errors_of_items_are_outcomes_and_errors_of_the_call_are_raised() -> None:
    async def work(index: int, item: Exception | None) -> int:
        if item is not None:
            raise item
        return index

    wrong = InvalidArgument("wrong")
    outcomes = await run_batch([None, wrong, ValueError("secret")], work, concurrency=2, deadline=NEVER)
    assert outcomes[:2] == [0, wrong]
    assert isinstance(outcomes[2], Internal) and "secret" not in outcomes[2].message
    with pytest.raises(DeadlineExceeded):
        await run_batch([None, DeadlineExceeded("late")], work, concurrency=2, deadline=NEVER)


async def test_an_expired_deadline_begins_nothing() -> None:
    busy = Busy()
    with pytest.raises(DeadlineExceeded):
        await run_batch([1, 2], busy.work, concurrency=2, deadline=Deadline.after(0.0))
    assert busy.begun == 0


@pytest.mark.parametrize(
    ("errors", "raised"),
    [
        ((Unavailable("a"), ResourceExhausted("b", retry_after_s=1)), True),
        ((Unavailable("a"), InvalidArgument("b")), False),
        ((Unavailable("a"), None), False),
    ],
)
async def test_a_batch_fails_as_a_whole_only_when_the_server_failed_every_item(
    errors: tuple[LunulaError | None, ...], raised: bool
) -> None:
    async def work(_: int, item: LunulaError | None) -> None:
        if item is not None:
            raise item

    if raised:
        with pytest.raises(Unavailable):
            await run_batch(errors, work, concurrency=2, deadline=NEVER)
    else:
        assert await run_batch(errors, work, concurrency=2, deadline=NEVER) == list(errors)


async def numbers(count: int, read: list[int]) -> AsyncIterator[int]:
    for index in range(count):
        read.append(index)
        yield index


async def test_a_stream_answers_as_soon_as_it_can() -> None:
    late = asyncio.Event()

    async def work(number: int) -> int:
        if number == 0:
            await late.wait()
        return number

    answers = run_stream(numbers(3, []), work, concurrency=3)
    seen = [await anext(answers), await anext(answers)]
    late.set()
    assert [*seen, await anext(answers)] == [1, 2, 0]
    with pytest.raises(StopAsyncIteration):
        await anext(answers)


async def test_a_stream_reads_no_further_than_its_bound_until_answers_are_taken() -> None:
    read: list[int] = []

    async def work(number: int) -> int:
        return number

    answers = run_stream(numbers(10, read), work, concurrency=2)
    assert await anext(answers) == 0
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(read) == 2
    assert [number async for number in answers] == list(range(1, 10))


async def test_a_closed_stream_leaves_nothing_running() -> None:
    cancelled: list[int] = []

    async def work(number: int) -> int:
        if number == 0:
            return 0
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    async with aclosing(run_stream(numbers(3, []), work, concurrency=3)) as answers:
        assert await anext(answers) == 0
        for _ in range(10):
            await asyncio.sleep(0)
    assert sorted(cancelled) == [1, 2]


async def test_an_error_of_the_requests_ends_the_stream() -> None:
    async def requests() -> AsyncIterator[int]:
        yield 1
        raise ResourceExhausted("no room")

    async def work(number: int) -> int:
        await asyncio.Event().wait()
        return number

    with pytest.raises(ResourceExhausted):
        await anext(run_stream(requests(), work, concurrency=4))


async def test_together_raises_the_first_error_plainly_and_stops_the_rest() -> None:
    stopped = asyncio.Event()

    async def fails() -> int:
        await asyncio.sleep(0)
        raise InvalidArgument("wrong")

    async def waits() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return 0

    with pytest.raises(InvalidArgument):
        await together(waits(), fails())
    assert stopped.is_set()


async def test_settle_gives_results_and_errors_as_values() -> None:
    async def gives() -> int:
        return 3

    assert await settle(gives()) == 3
