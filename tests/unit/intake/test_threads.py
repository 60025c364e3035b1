"""Work in threads: its context, its errors, and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from services.kit.concurrency.threads import WorkThreads

NAME: ContextVar[str] = ContextVar("name", default="nobody")


@pytest.fixture
def threads() -> Iterator[WorkThreads]:
    """One thread."""
    pool = WorkThreads(1)
    yield pool
    pool.close()


async def test_work_sees_the_context_of_its_caller(threads: WorkThreads) -> None:
    NAME.set("ayame")
    assert await threads.run(NAME.get) == "ayame"


async def test_errors_reach_the_caller(threads: WorkThreads) -> None:
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_queued_work_of_a_cancelled_caller_never_runs(threads: WorkThreads) -> None:
    release, ran = threading.Event(), []
    first = asyncio.create_task(threads.run(release.wait))
    second = asyncio.create_task(threads.run(ran.append, "second"))
    for _ in range(5):
        await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    await first
    await threads.run(ran.append, "third")
    assert ran == ["third"]
