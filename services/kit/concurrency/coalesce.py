"""Many small requests in few large ones: what arrives while a call runs goes together into the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from services.kit.errors import DeadlineExceeded, LunulaError, ResourceExhausted, Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

# Errors that say nothing about the items; trying them one by one would only take longer.
_CONCERN_ALL = (Unavailable, ResourceExhausted, DeadlineExceeded)


class Coalescer(Generic[Q, A]):
    """Hands items to `work` in lists of at most `max_items`, one list at a time.

    work: answers a list of items of one group with as many answers, in order. An item is sent at
    once when no call is running. When a list fails because of its content it is tried again item by item, so
    that one bad item does not fail the others. Items whose caller has gone are dropped while they wait.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
        *,
        max_items: int,
        group: Callable[[Q], Hashable],
    ) -> None:
        self._work = work
        self._max_items = max_items
        self._group = group
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._runner: asyncio.Task[None] | None = None

    async def submit(self, item: Q) -> A:
        """The answer for `item`. Raises what `work` raises."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while batch := self._next():
                await self._answer(batch)
        finally:
            self._runner = None

    def _next(self) -> list[tuple[Q, asyncio.Future[A]]]:
        """The oldest item and others of its group; items whose caller has gone are dropped."""
        batch: list[tuple[Q, asyncio.Future[A]]] = []
        others: deque[tuple[Q, asyncio.Future[A]]] = deque()
        while self._waiting and len(batch) < self._max_items:
            entry = self._waiting.popleft()
            if entry[1].done():
                continue
            same = not batch or self._group(entry[0]) == self._group(batch[0][0])
            (batch if same else others).append(entry)
        self._waiting.extendleft(reversed(others))
        return batch

    async def _answer(self, batch: Sequence[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:
            concerns_all = not isinstance(error, LunulaError) or isinstance(error, _CONCERN_ALL)
            if len(batch) > 1 and not concerns_all:
                for entry in batch:
                    await self._answer([entry])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
