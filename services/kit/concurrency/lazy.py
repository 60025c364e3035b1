"""A value made from the models' metadata at its first use, and made again when the models have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.kit.inference import InferenceBackend, ModelMetadata, all_ready

T = TypeVar("T")


class Lazy(Generic[T]):
    """A value that is made at the first `get`; an attempt that fails is repeated by the next.

    The readiness check reads the models' metadata again, and makes a new value when one of them has changed,
    so that answers name the fingerprints of the models that gave them.
    """

    def __init__(
        self, backend: InferenceBackend, models: Sequence[str], make: Callable[[], Awaitable[T]]
    ) -> None:
        """models: those whose metadata `make` reads from `backend`."""
        self._backend = backend
        self._models = tuple(models)
        self._make = make
        self._lock = asyncio.Lock()
        self._made: T | None = None
        self._made_from: list[ModelMetadata] = []

    async def get(self) -> T:
        """The value. Raises what making it raises."""
        if self._made is not None:
            return self._made
        async with self._lock:
            return self._made if self._made is not None else await self._new()

    async def ready(self) -> bool:
        """Whether every model answers its canary inference; raises what making a new value raises."""
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
