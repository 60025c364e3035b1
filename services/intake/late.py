"""Something that can only be made once the model server answers, made at the first moment that it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Generic[T]):
    """Makes a thing at the first successful `get`; an attempt that fails is made again by the next."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._lock = asyncio.Lock()
        self._made: T | None = None

    def and_then(self, check: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        """A readiness check: the thing can be made, and `check` holds."""

        async def ready() -> bool:
            await self.get()
            return await check()

        return ready

    async def get(self) -> T:
        """The thing. Raises what making it raises."""
        if self._made is not None:
            return self._made
        async with self._lock:
            if self._made is None:
                self._made = await self._make()
            return self._made
