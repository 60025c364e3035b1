"""Threads for work that holds a processor: decoding, decoding of model outputs, drawing, encoding."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class WorkThreads:
    """A fixed number of threads that leave the event loop free.

    Work that is still queued when its caller is cancelled never runs. Work sees the caller's context
    variables, so that stage timings and request ids reach it.
    """

    def __init__(self, count: int) -> None:
        """`count`: threads, at least 1."""
        self._pool = ThreadPoolExecutor(max_workers=count, thread_name_prefix="photo-work")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work(*args, **kwargs)`, or its exception."""
        context = contextvars.copy_context()
        call: partial[T] = partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, call)

    def close(self) -> None:
        """Drops what is queued and lets what is running finish."""
        self._pool.shutdown(wait=True, cancel_futures=True)
