"""What the catalogue knows of versions, while other processes change them. On Milvus Lite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nails.aesthetic.tokens import Packing
from services.kit.deadline import Deadline
from services.kit.errors import Unavailable
from services.rank.catalogue.align import AlignSpace
from services.rank.catalogue.milvus import CollectionMissing, Milvus
from services.rank.catalogue.store import Store
from services.rank.catalogue.tokens import TOKENS, TokenSpace
from services.rank.catalogue.version import Space, Version
from services.rank.catalogue.versions import Catalogue

NEVER = Deadline.never()
PLAIN = Space("a", 2, (AlignSpace("b", 2),))
KEPT = TokenSpace("f", Packing(2, 8), 4, 8)
WITH_TOKENS = Space("a", 2, (KEPT, AlignSpace("b", 2)))


class Clock:
    def __init__(self) -> None:
        self.now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


class Watched(Catalogue):
    """Counts looks; `gate` holds them up when they have `read` what is there, `failure` lets them fail."""

    def __init__(self, milvus: Milvus, store: Store, clock: Clock) -> None:
        super().__init__(milvus, store, "x", clock_s=clock)
        self.looks = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.read = asyncio.Semaphore(0)
        self.failure: Exception | None = None

    async def _describe(self, version_id: str, deadline: Deadline) -> Version:
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        found = await super()._describe(version_id, deadline)
        self.read.release()
        await self.gate.wait()
        return found


class Loads(Store):
    """Counts loads."""

    loads = 0

    async def load(self, *args: Any, **kwargs: Any) -> None:
        self.loads += 1
        await super().load(*args, **kwargs)


@pytest.fixture
async def milvus(tmp_path: Path) -> AsyncIterator[Milvus]:
    opened = Milvus(str(tmp_path / "milvus.db"))
    yield opened
    await opened.close()


@pytest.fixture
async def known(milvus: Milvus) -> tuple[Watched, Loads, Clock, Version]:
    """A catalogue that knows a version without tokens, and knows it since half a minute."""
    store, clock = Loads(milvus), Clock()
    catalogue = Watched(milvus, store, clock)
    await catalogue.create(PLAIN, "", NEVER)
    version = await resolved(catalogue)
    catalogue.looks = store.loads = 0
    catalogue.read = asyncio.Semaphore(0)
    clock.now_s += 31
    return catalogue, store, clock, version


Known = tuple[Watched, Loads, Clock, Version]


def tokens(version: Version) -> TokenSpace | None:
    return TOKENS.space(version.space)


async def resolved(catalogue: Catalogue) -> Version:
    version = await catalogue.resolve("v1", NEVER)
    assert version is not None
    return version


async def test_one_of_many_looks_for_tokens_and_loads_nothing(known: Known) -> None:
    catalogue, store, clock, version = known
    catalogue.gate.clear()
    first = asyncio.create_task(resolved(catalogue))
    await asyncio.sleep(0)
    # Nobody waits for the look, however long it takes.
    clock.now_s += 31
    assert [await resolved(catalogue) for _ in range(20)] == [version] * 20
    catalogue.gate.set()
    assert await first is version
    assert (catalogue.looks, store.loads) == (1, 0)
    await resolved(catalogue)
    await resolved(catalogue)
    assert (catalogue.looks, store.loads) == (2, 0)


async def test_tokens_that_another_process_made_a_place_for_are_found(known: Known, milvus: Milvus) -> None:
    catalogue, store, clock, version = known
    await Catalogue(milvus, Store(milvus), "x").with_companions(version, WITH_TOKENS, NEVER)
    clock.now_s -= 30
    assert await resolved(catalogue) is version
    clock.now_s += 30
    assert tokens(await resolved(catalogue)) == KEPT
    clock.now_s += 31
    assert tokens(await resolved(catalogue)) == KEPT
    assert (catalogue.looks, store.loads) == (1, 1)


@pytest.mark.parametrize("failure", [Unavailable("away", reason="MILVUS_UNAVAILABLE"), KeyError("odd")])
async def test_a_look_that_fails_fails_nobody_and_is_not_repeated_at_once(
    known: Known, failure: Exception
) -> None:
    catalogue, _, clock, version = known
    catalogue.failure = failure
    assert await resolved(catalogue) is version
    assert await resolved(catalogue) is version
    assert catalogue.looks == 1
    clock.now_s += 31
    assert await resolved(catalogue) is version
    assert catalogue.looks == 2


async def test_a_slow_look_takes_a_part_of_the_time(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue, _, _, version = known
    given: list[float] = []

    async def describe(_version_id: str, deadline: Deadline) -> Version:
        given.append(deadline.remaining())
        return version

    monkeypatch.setattr(catalogue, "_describe", describe)
    assert await catalogue.resolve("v1", Deadline.after(2.0)) is version
    assert 0 < given[0] <= 0.5


async def test_a_look_that_saw_no_tokens_leaves_those_alone_that_came_meanwhile(known: Known) -> None:
    catalogue, _, _, version = known
    late = await held_up(catalogue)
    catalogue.forget(version)
    first = await held_up(catalogue)
    held, catalogue.gate = catalogue.gate, asyncio.Event()
    catalogue.gate.set()
    kept = await catalogue.with_companions(version, WITH_TOKENS, NEVER)
    held.set()
    assert [tokens(await late), tokens(await first)] == [KEPT, KEPT]
    assert await resolved(catalogue) is kept


async def test_a_late_look_that_saw_tokens_leaves_a_newer_one_alone(known: Known, milvus: Milvus) -> None:
    catalogue, _, _, version = known
    await Catalogue(milvus, Store(milvus), "x").with_companions(version, WITH_TOKENS, NEVER)
    late = await held_up(catalogue)
    catalogue.forget(version)
    held, catalogue.gate = catalogue.gate, asyncio.Event()
    catalogue.gate.set()
    newer = await resolved(catalogue)
    held.set()
    assert await late is newer
    assert await resolved(catalogue) is newer


async def held_up(catalogue: Watched) -> asyncio.Task[Version]:
    """A look that has read what is there, and has not said so yet."""
    catalogue.gate.clear()
    look = asyncio.create_task(resolved(catalogue))
    await catalogue.read.acquire()
    return look


@pytest.mark.parametrize("loss", ["release_collection", "drop_collection"])
async def test_a_version_whose_tokens_are_gone_is_looked_at_and_loaded_again_once(
    known: Known, milvus: Milvus, loss: str
) -> None:
    catalogue, store, _, version = known
    kept = await catalogue.with_companions(version, WITH_TOKENS, NEVER)
    await milvus.call(
        lambda client, timeout: getattr(client, loss)(kept.companion_collection("tokens"), timeout=timeout),
        deadline=NEVER,
        write=True,
    )
    with pytest.raises(CollectionMissing):
        await store.at(kept, NEVER).read_current("tokens", {"d0": "x"}, ())
    assert await resolved(catalogue) is kept
    store.loads = 0
    # Who finds the same later changes nothing.
    for _ in range(3):
        catalogue.forget(kept)
        found = await resolved(catalogue)
    assert store.loads == 1
    if loss == "drop_collection":
        assert tokens(found) is None
    else:
        assert await store.at(found, NEVER).read_current("tokens", {"d0": "x"}, ()) == {}
