"""What is made from the models' metadata: once, again after a failure, and anew for exchanged models."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from services.kit.concurrency.lazy import Lazy
from services.kit.errors import Unavailable
from services.kit.inference.base import ModelMetadata, TensorSpec
from services.kit.inference.fake import FakeBackend

TENSOR = TensorSpec("x", np.dtype("f4"), (2,))
MODEL = ModelMetadata("one", "1", "old", 8, (TENSOR,), (TENSOR,), {})


class Makes:
    """Makes the fingerprint that it sees; fails the first `failures` times."""

    def __init__(self, failures: int = 0) -> None:
        self.backend = FakeBackend([MODEL])
        self.failures = failures
        self.attempts = 0
        self.lazy = Lazy(self.backend, ["one"], self.make)

    async def make(self) -> str:
        self.attempts += 1
        await asyncio.sleep(0)
        if self.attempts <= self.failures:
            raise Unavailable("not yet")
        return (await self.backend.metadata("one")).fingerprint


async def test_it_is_made_once_for_all_who_ask() -> None:
    makes = Makes()
    assert await asyncio.gather(makes.lazy.get(), makes.lazy.get(), makes.lazy.get()) == ["old"] * 3
    assert makes.attempts == 1


async def test_a_failed_attempt_is_made_again() -> None:
    makes = Makes(failures=1)
    with pytest.raises(Unavailable):
        await makes.lazy.get()
    assert await makes.lazy.get() == "old"


async def test_a_thing_that_cannot_be_made_is_not_ready() -> None:
    makes = Makes(failures=1)
    with pytest.raises(Unavailable):
        await makes.lazy.ready()
    assert await makes.lazy.ready()
    assert await makes.lazy.ready()
    assert makes.attempts == 2


async def test_it_is_made_anew_when_a_model_was_exchanged() -> None:
    makes = Makes()
    assert await makes.lazy.get() == "old"
    makes.backend._models["one"] = replace(MODEL, fingerprint="new")
    assert await makes.lazy.ready()
    assert await makes.lazy.get() == "new"


async def test_it_is_not_ready_when_a_canary_fails() -> None:
    makes = Makes()
    assert await makes.lazy.get() == "old"
    await makes.backend.close()
    assert not await makes.lazy.ready()
