"""Something made from the models' metadata: when they first answer, and again when they were exchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.kit.inference import InferenceBackend, ModelMetadata, all_ready

T = TypeVar("T")


class Late(Generic[T]):
    """Makes a thing at the first successful `get`; an attempt that fails is made again by the next.

    The readiness check looks at the models again, and makes the thing anew when one of them has changed, so
    that answers name the fingerprints of the models that gave them.
    """

    def __init__(
        self, backend: InferenceBackend, models: Sequence[str], make: Callable[[], Awaitable[T]]
    ) -> None:
        """models: those that `make` asks the backend about."""
        self._backend = backend
        self._models = tuple(models)
        self._make = make
        self._lock = asyncio.Lock()
        self._made: T | None = None
        self._made_from: list[ModelMetadata] = []

    async def get(self) -> T:
        """The thing. Raises what making it raises."""
        if self._made is not None:
            return self._made
        async with self._lock:
            return self._made if self._made is not None else await self._new()

    async def ready(self) -> bool:
        """Whether every model answers its canary and the thing can be made from what they are now."""
        alive = await all_ready(self._backend, self._models)()
        async with self._lock:
            if self._made is None or await self._metadata() != self._made_from:
                self._made = None
                await self._new()
        return alive

    async def _new(self) -> T:
        made_from = await self._metadata()
        self._made = await self._make()
        self._made_from = made_from
        return self._made

    async def _metadata(self) -> list[ModelMetadata]:
        return [await self._backend.metadata(model) for model in self._models]
