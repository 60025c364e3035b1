"""Batches and streams in which every item has an outcome of its own.

Invariant: an error of one item never touches another, and an error that concerns the whole call (its
deadline, its cancellation) ends the call and stops all work that was started for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.kit.concurrency.together import stop
from services.kit.deadline import Deadline
from services.kit.errors import (
    Cancelled,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    LunulaError,
    ResourceExhausted,
    Unavailable,
)

Item = TypeVar("Item")
R = TypeVar("R")
T = TypeVar("T")

MAX_ITEMS = 64

log = logging.getLogger(__name__)


def check_batch_size(count: int, field: str) -> None:
    """Raises InvalidArgument BATCH_EMPTY or BATCH_TOO_LARGE unless 1 <= count <= 64."""
    if count == 0:
        raise InvalidArgument(
            f"{field} is empty", reason="BATCH_EMPTY", fields=[(field, "must have at least one item")]
        )
    if count > MAX_ITEMS:
        raise InvalidArgument(
            f"{field} has {count} items",
            reason="BATCH_TOO_LARGE",
            fields=[(field, f"must have at most {MAX_ITEMS} items, has {count}")],
        )


async def settle(work: Awaitable[T]) -> T | LunulaError:
    """The result of `work`, or its error as a value.

    Errors that concern the whole call (DeadlineExceeded, Cancelled) are raised; an unknown exception is
    logged and becomes an opaque Internal.
    """
    try:
        return await work
    except (DeadlineExceeded, Cancelled):
        raise
    except LunulaError as error:
        return error
    except Exception:
        log.exception("unexpected error in an item")
        return Internal("internal error")


async def run_batch(
    items: Sequence[Item],
    work: Callable[[int, Item], Awaitable[T]],
    *,
    concurrency: int,
    deadline: Deadline,
) -> list[T | LunulaError]:
    """One outcome per item, in the order of `items`; at most `concurrency` items at a time.

    When every item failed because the server could not serve it (Unavailable, ResourceExhausted), the
    first such error is raised, so that callers see the call fail and retry it. Raises DeadlineExceeded.
    """
    gate = asyncio.Semaphore(concurrency)

    async def one(index: int, item: Item) -> T | LunulaError:
        async with gate:
            deadline.check()
            return await settle(work(index, item))

    tasks = [asyncio.create_task(one(index, item)) for index, item in enumerate(items)]
    try:
        outcomes = await asyncio.gather(*tasks)
    finally:
        await stop(tasks)
    if all(isinstance(outcome, (Unavailable, ResourceExhausted)) for outcome in outcomes):
        for outcome in outcomes:
            if isinstance(outcome, LunulaError):
                raise outcome
    return outcomes


@dataclass(frozen=True)
class _Failure:
    """An exception that ends the stream."""

    error: BaseException


class _End:
    """All requests were read and answered."""


async def run_stream(
    requests: AsyncIterator[R],
    work: Callable[[R], Awaitable[T]],
    *,
    concurrency: int,
) -> AsyncGenerator[T, None]:
    """The answers of `work`, each as soon as it is ready, so in any order.

    At most `concurrency` requests are held at a time, from reading to the moment the caller has taken the
    answer: a caller that does not read stops the server from reading. An exception of `work` ends the
    stream. When the iterator is closed or cancelled, all work is cancelled.
    """
    answers: asyncio.Queue[T | _Failure | _End] = asyncio.Queue()
    gate = asyncio.Semaphore(concurrency)
    tasks: set[asyncio.Task[None]] = set()

    async def one(request: R) -> None:
        try:
            answers.put_nowait(await work(request))
        except Exception as error:
            answers.put_nowait(_Failure(error))

    async def read() -> None:
        try:
            await gate.acquire()
            async for request in requests:
                task = asyncio.create_task(one(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await gate.acquire()
            if tasks:
                await asyncio.wait(tasks)
            answers.put_nowait(_End())
        except Exception as error:
            answers.put_nowait(_Failure(error))

    reader = asyncio.create_task(read())
    try:
        while True:
            answer = await answers.get()
            if isinstance(answer, _End):
                return
            if isinstance(answer, _Failure):
                raise answer.error
            yield answer
            gate.release()
    finally:
        await stop([reader, *tasks])
