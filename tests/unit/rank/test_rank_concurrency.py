"""Coalescing of small calls, locks by key, and photos that come and go at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nails.photo.codec import PhotoLimits, encode_png
from services.intake.uris import UriReader
from services.kit.concurrency.coalesce import Coalescer
from services.kit.concurrency.locks import KeyedLocks
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import Internal, NotFound, Unavailable
from services.rank.photos.blobs import FsspecBlobs
from services.rank.photos.store import PhotoInput, Photos


class Recorder:
    """Work that notes what it was given and waits until it is let go."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []
        self.started = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, items: Sequence[str]) -> list[str]:
        self.lists.append(list(items))
        self.started.set()
        await self.go.wait()
        if "dead" in items:
            raise Unavailable("away")
        if "poison" in items:
            raise Internal("cannot write poison")
        return [item.upper() for item in items]


async def test_what_arrives_during_a_call_goes_together_into_the_next() -> None:
    work = Recorder()
    coalescer: Coalescer[str, str] = Coalescer(work, max_items=3, group=lambda _: 0)
    first = asyncio.create_task(coalescer.submit("a"))
    await work.started.wait()
    rest = [asyncio.create_task(coalescer.submit(item)) for item in "bcdef"]
    await asyncio.sleep(0)
    work.go.set()
    assert [await first, *[await task for task in rest]] == list("ABCDEF")
    assert work.lists == [["a"], ["b", "c", "d"], ["e", "f"]]


async def test_groups_do_not_mix_and_keep_their_order() -> None:
    work = Recorder()
    coalescer: Coalescer[str, str] = Coalescer(work, max_items=8, group=lambda item: item[0])
    first = asyncio.create_task(coalescer.submit("x0"))
    await work.started.wait()
    rest = [asyncio.create_task(coalescer.submit(item)) for item in ("a1", "b1", "a2", "b2")]
    await asyncio.sleep(0)
    work.go.set()
    await asyncio.gather(first, *rest)
    assert work.lists == [["x0"], ["a1", "a2"], ["b1", "b2"]]


async def test_one_bad_item_does_not_fail_the_others() -> None:
    work = Recorder()
    coalescer: Coalescer[str, str] = Coalescer(work, max_items=8, group=lambda _: 0)
    first = asyncio.create_task(coalescer.submit("a"))
    await work.started.wait()
    rest = [asyncio.create_task(coalescer.submit(item)) for item in ("b", "poison", "c")]
    await asyncio.sleep(0)
    work.go.set()
    answers = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [answers[0], answers[1], answers[3]] == ["A", "B", "C"]
    assert isinstance(answers[2], Internal)


async def test_a_part_that_is_away_fails_the_list_at_once_and_the_next_call_is_made() -> None:
    work = Recorder()
    work.go.set()
    coalescer: Coalescer[str, str] = Coalescer(work, max_items=8, group=lambda _: 0)
    answers = await asyncio.gather(
        *[coalescer.submit(item) for item in ("dead", "a")], return_exceptions=True
    )
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert await coalescer.submit("b") == "B"
    assert len(work.lists) == 2


async def test_an_item_whose_caller_has_gone_is_not_worked_on() -> None:
    work = Recorder()
    coalescer: Coalescer[str, str] = Coalescer(work, max_items=8, group=lambda _: 0)
    first = asyncio.create_task(coalescer.submit("a"))
    await work.started.wait()
    gone, stays = (asyncio.create_task(coalescer.submit(item)) for item in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    work.go.set()
    assert [await first, await stays] == ["A", "STAYS"]
    assert work.lists == [["a"], ["stays"]]


async def test_holders_of_a_key_take_turns_in_the_order_of_asking() -> None:
    locks, order = KeyedLocks(), []

    async def hold(name: str, keys: list[str]) -> None:
        async with locks.hold(keys):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    await asyncio.gather(hold("1", ["a"]), hold("2", ["a", "b"]), hold("3", ["b", "a", "a"]))
    assert order == ["1 in", "1 out", "2 in", "2 out", "3 in", "3 out"]
    assert not locks._locks


class SlowBlobs(FsspecBlobs):
    """Deletes when it is told to."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.deleting, self.go = threading.Event(), threading.Event()

    def delete(self, key: str) -> None:
        self.deleting.set()
        assert self.go.wait(30)
        super().delete(key)


@pytest.fixture
def threads() -> WorkThreads:
    """Enough for a put during a delete."""
    return WorkThreads(4)


async def nobody(_: list[str]) -> set[str]:
    return set()


async def test_a_photo_that_comes_back_while_it_is_dropped_is_kept(
    tmp_path: Path, threads: WorkThreads
) -> None:
    blobs = SlowBlobs(str(tmp_path))
    photos = Photos(blobs=blobs, limits=PhotoLimits(), uris=UriReader((), 100), threads=threads)
    data = encode_png(np.zeros((32, 32, 3), np.uint8))
    file = await photos.read(PhotoInput(data=data), "photo", Deadline.never())
    async with photos.kept(file) as key:
        # Held by a design that is being written: not dropped.
        await photos.drop_unused([key], nobody)
        assert not blobs.deleting.is_set()
    dropping = asyncio.create_task(photos.drop_unused([key], nobody))
    assert await asyncio.to_thread(blobs.deleting.wait, 30)

    async def keep() -> bytes:
        async with photos.kept(file) as kept:
            return await photos.get(kept)

    keeping = asyncio.create_task(keep())
    await asyncio.sleep(0)
    assert not keeping.done()
    blobs.go.set()
    assert await keeping == data
    await dropping
    assert await photos.get(key) == data
    await photos.drop_unused([key], nobody)
    with pytest.raises(NotFound):
        await photos.get(key)
    threads.close()
