"""The store of enrolled artists: what survives, what is refused, and that disk and memory agree."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nails.artist.text_vectors import EMPTY, SparseRows, compute_rarities, vectorise
from services.classify.enrolment import records
from services.classify.enrolment.records import Record, RecordDamaged
from services.classify.enrolment.store import EnrolmentStore
from services.kit.concurrency.threads import WorkThreads
from services.kit.errors import FailedPrecondition, NotFound, Unavailable

RARITY = compute_rarities(["milky pink pearl", "black gold"])


def record(artist: str = "fumi 花", space: str = "space", works: int = 3) -> Record:
    image = np.zeros((works, 8), np.float16)
    image[:, 0] = 1
    image[-1] = 0  # a work without a photo
    texts = [vectorise("milky pink", RARITY), *[EMPTY] * (works - 2), vectorise("lemon", RARITY)]
    names = tuple(f"w{number}" for number in range(works))
    return Record(artist, space, 1_700_000_000_000, names, image, SparseRows.stack(texts))


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("*.part"))


@pytest.fixture
def threads() -> Iterator[WorkThreads]:
    opened = WorkThreads(1)
    yield opened
    opened.close()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    records.write(tmp_path / "new" / "folder", record())
    found = records.read_all(tmp_path / "new" / "folder")["fumi 花"]
    assert (found.space, found.enrolled_ms, found.work_ids) == (
        "space",
        1_700_000_000_000,
        ("w0", "w1", "w2"),
    )
    assert (found.photos, found.texts) == (2, 2)
    np.testing.assert_array_equal(found.image, record().image)
    for name in ("starts", "indices", "values"):
        np.testing.assert_array_equal(getattr(found.text, name), getattr(record().text, name))
    assert np.linalg.norm(found.image_prototype()) == pytest.approx(1)


def test_a_file_that_was_cut_or_changed_is_refused_by_name(tmp_path: Path) -> None:
    records.write(tmp_path, record())
    path = next(tmp_path.glob("*.npz"))
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 25)):
        path.write_bytes(whole[:length])
        with pytest.raises(RecordDamaged, match=path.name):
            records.read(path)
    moved = path.with_name("0" * 40 + ".npz")
    moved.write_bytes(whole)
    with pytest.raises(RecordDamaged, match="another name"):
        records.read(moved)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": np.full((3, 8), np.nan, np.float16)},
        {"image": np.zeros((2, 8), np.float16)},
        {"image": np.zeros((3, 8), np.float64)},
        {"image": np.array([{"a": 1}] * 3, object)},
        {"text": SparseRows(np.array([0, 1, 2, 9]), np.zeros(2, np.int32), np.ones(2, np.float32))},
        {"text": SparseRows(np.array([0, 1, 1, 2]), np.array([0, -5], np.int32), np.ones(2, np.float32))},
        {"work_ids": ()},
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    records.write(tmp_path, replace(record(), **wrong))
    with pytest.raises(RecordDamaged):
        records.read(next(tmp_path.glob("*.npz")))


async def test_an_artist_survives_and_the_same_again_changes_nothing(
    tmp_path: Path, threads: WorkThreads
) -> None:
    store = EnrolmentStore(tmp_path, most=5, threads=threads)
    assert not await store.put(record())
    assert await store.put(record())
    store.close()
    again = EnrolmentStore(tmp_path, most=5, threads=threads)
    assert list(again.kept) == ["fumi 花"]
    assert again.gallery("space").prototypes is not None
    with pytest.raises(FailedPrecondition, match="'fumi 花'") as caught:
        again.gallery("another space")
    assert caught.value.reason == "FINGERPRINT_MISMATCH"
    await again.remove("fumi 花")
    assert not again.kept and not records.read_all(tmp_path) and not again.gallery("space").records
    with pytest.raises(NotFound):
        await again.remove("fumi 花")
    again.close()


async def test_a_disk_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, threads: WorkThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EnrolmentStore(tmp_path, most=5, threads=threads)
    await store.put(record())

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="No space left") as caught:
            await store.put(record("gen", works=2))
        assert caught.value.reason == "ENROLMENT_STORE_UNAVAILABLE"
    assert list(store.kept) == ["fumi 花"] == list(records.read_all(tmp_path))
    assert not unfinished(tmp_path)
    assert not await store.put(record("gen", works=2))
    store.close()


async def test_a_caller_who_leaves_does_not_part_disk_and_memory(
    tmp_path: Path, threads: WorkThreads
) -> None:
    store = EnrolmentStore(tmp_path, most=50, threads=threads)
    for number in range(20):
        task = asyncio.create_task(store.put(record(f"artist-{number}")))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.put(record("last"))  # stands behind all others
    assert sorted(store.kept) == sorted(records.read_all(tmp_path))
    assert "last" in store.kept
    store.close()


async def test_readers_keep_the_gallery_that_they_took(tmp_path: Path, threads: WorkThreads) -> None:
    store = EnrolmentStore(tmp_path, most=5, threads=threads)
    before = store.gallery("space")
    await store.put(record())
    assert not before.records and len(store.gallery("space").records) == 1
    store.close()
