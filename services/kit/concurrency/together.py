"""Running a few things at once such that the first error stops the others and is raised as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, overload

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")


@overload
async def together(first: Coroutine[Any, Any, T1], second: Coroutine[Any, Any, T2], /) -> tuple[T1, T2]: ...


@overload
async def together(
    first: Coroutine[Any, Any, T1], second: Coroutine[Any, Any, T2], third: Coroutine[Any, Any, T3], /
) -> tuple[T1, T2, T3]: ...


@overload
async def together(*works: Coroutine[Any, Any, T1]) -> tuple[T1, ...]: ...


async def together(*works: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """The results of `works`, in order.

    The first exception cancels the rest, waits until it has stopped, and is raised unwrapped; so does a
    cancellation of the caller.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        await stop(tasks)


async def stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels what is not done and waits until it is."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
