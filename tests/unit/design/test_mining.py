"""Mined pairs: the nearest photos of each text, looked up in a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.design.mining import main, mine
from training.kit.data.mined_pairs import ALPHA, Mined, read_records

TEXTS, PHOTOS, DIM = 60, 25, 6


def embeddings(seed: int, texts: int = TEXTS, photos: int = PHOTOS) -> tuple[NDArray[Any], ...]:
    rng = np.random.default_rng(seed)
    queries = rng.normal(size=(texts, DIM)).astype(np.float32)
    designs = rng.normal(size=(photos, DIM)).astype(np.float32)
    return queries, designs, rng.integers(0, photos, texts)


def pairs(*found: tuple[int, int, float], texts: int = 4, photos: int = 10) -> Mined:
    text, photo, confidence = (list(column) for column in zip(*found, strict=True))
    return Mined(
        np.array(text, np.int32),
        np.array(photo, np.int32),
        np.full(len(text), 0.5, np.float32),
        np.array(confidence, np.float32),
        texts,
        photos,
    )


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), top=st.integers(1, 30), memory=st.sampled_from([1, 3000, 1 << 20]))
def test_the_nearest_photos_are_found_whatever_the_block(seed: int, top: int, memory: int) -> None:
    queries, designs, owner = embeddings(seed)
    mined = mine(queries, designs, owner, top=top, memory=memory)
    kept = min(top, PHOTOS - 1)
    assert mined.text.tolist() == np.repeat(np.arange(TEXTS), kept).tolist()
    for text in range(TEXTS):
        cosines = designs @ queries[text]
        cosines /= np.linalg.norm(designs, axis=1) * np.linalg.norm(queries[text])
        others = [photo for photo in np.argsort(-cosines) if photo != owner[text]]
        mine_of_text = mined.text == text
        assert mined.photo[mine_of_text].tolist() == others[:kept]
        np.testing.assert_allclose(mined.cosine[mine_of_text], cosines[others[:kept]], atol=1e-5)


def test_of_equal_photos_the_first_ones_are_taken() -> None:
    designs = np.ones((6, 2), np.float32)
    designs[4] = [1, 0]
    mined = mine(np.array([[1, 0]], np.float32), designs, np.array([1]), top=3)
    assert mined.photo.tolist() == [4, 0, 2]


def test_no_more_memory_is_used_than_asked_for() -> None:
    held: list[int] = []
    queries, designs, owner = embeddings(0)
    mine(queries, designs, owner, memory=20 * PHOTOS * 7, advanced=held.append)
    assert held == [7] * 8 + [4]


def test_one_photo_has_no_other() -> None:
    mined = mine(np.ones((3, 2), np.float32), np.ones((1, 2), np.float32), np.zeros(3, np.int64))
    assert len(mined.text) == 0
    assert not mined.mask(np.arange(3), np.zeros(3, np.int64)).any()


@pytest.mark.parametrize(
    ("queries", "designs", "owner", "words"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), np.zeros(2, int), "expected, found"),
        (np.ones((2, 3)), np.ones((2, 3)), np.zeros(3, int), r"owner: \[2\]"),
        (np.ones((2, 3)), np.ones((2, 3)), np.array([0, 2]), "owner: numbers from 0 to 1"),
        (np.zeros((2, 3)), np.ones((2, 3)), np.zeros(2, int), "queries: finite"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), np.zeros(2, int), "designs: finite"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(
    queries: NDArray[np.float32], designs: NDArray[np.float32], owner: NDArray[np.int64], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        mine(queries, designs, owner)


def test_membership_is_read_by_rows_and_absent_photos_are_passed_over() -> None:
    mined = pairs((0, 1, 0.9), (0, 7, 0.8), (2, 0, 0.6))
    texts, photos = np.array([0, 1, 2]), np.array([0, 1, 2])
    # Text 0 has photo 1, but text 1 not photo 0; photo 7 is not in the batch.
    assert mined.mask(texts, photos).tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    np.testing.assert_allclose(mined.confidences(texts, photos), [[0, 0.9, 0], [0, 0, 0], [0.6, 0, 0]])


@settings(max_examples=50)
@given(seed=st.integers(0, 1000), rows=st.integers(0, 12), columns=st.integers(0, 12))
def test_a_batch_with_repeats_says_what_the_pairs_say(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    mined = mine(*embeddings(seed), top=7)
    mined = mined.rated(rng.random(len(mined.text), np.float32), 0.3)
    stored = {
        (int(text), int(photo)): float(confidence)
        for text, photo, confidence in zip(mined.text, mined.photo, mined.confidence, strict=True)
    }
    texts, photos = rng.integers(0, TEXTS, rows), rng.integers(0, PHOTOS, columns)
    mask, confidence = mined.mask(texts, photos), mined.confidences(texts, photos)
    assert (mask.shape, confidence.shape, confidence.dtype) == ((rows, columns), (rows, columns), np.float32)
    for row, text in enumerate(texts.tolist()):
        for column, photo in enumerate(photos.tolist()):
            assert mask[row, column] == ((text, photo) in stored)
            assert confidence[row, column] == pytest.approx(stored.get((text, photo), 0))


def test_without_a_judge_the_confidence_is_that_of_drc() -> None:
    mined = mine(*embeddings(3))
    assert np.all(mined.confidence == np.float32(ALPHA))


def test_a_judge_keeps_what_reaches_its_threshold() -> None:
    mined = pairs((0, 1, 0.7), (0, 2, 0.7), (1, 3, 0.7), (3, 9, 0.7))
    asked: list[list[int]] = []

    def judge(texts: NDArray[np.int64], photos: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.append(texts.tolist())
        return np.asarray(photos / 10, np.float32)

    kept = mined.judged(judge, 0.3, block=3)
    assert asked == [[0, 0, 1], [3]]
    assert list(zip(kept.text.tolist(), kept.photo.tolist(), strict=True)) == [(1, 3), (3, 9)]
    assert kept.confidence.tolist() == pytest.approx([0.3, 0.9])
    assert mined.rated(np.array([np.nan, 0.3, 0.2, 1], np.float32), 0.3).photo.tolist() == [2, 9]


def test_pairs_come_back_from_a_file(tmp_path: Path) -> None:
    mined = mine(*embeddings(1), top=3)
    mined.save(tmp_path / "mined.npz")
    again = Mined.load(tmp_path / "mined.npz")
    for name in ("text", "photo", "cosine", "confidence"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mined, name))
    assert (again.texts, again.photos) == (TEXTS, PHOTOS)
    assert [path.name for path in tmp_path.iterdir()] == ["mined.npz"]


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.npz"
    if content is None:
        np.savez(path, text=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.npz: not mined pairs"):
        Mined.load(path)


def test_pairs_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="photo: numbers from 0 to 9"):
        pairs((0, 10, 0.5))
    with pytest.raises(ValueError, match="not sorted"):
        pairs((1, 1, 0.5), (0, 1, 0.5))
    with pytest.raises(ValueError, match="confidence"):
        pairs((0, 1, 1.5))


def write_files(folder: Path, photos: int = 3) -> list[str]:
    designs = np.eye(photos, dtype=np.float32) + 0.1
    np.save(folder / "q.npy", designs)
    np.save(folder / "d.npy", designs)
    np.save(folder / "o.npy", np.arange(photos))
    return [
        "--queries", str(folder / "q.npy"), "--designs", str(folder / "d.npy"),
        "--owner", str(folder / "o.npy"), "--out", str(folder / "mined.npz"),
    ]  # fmt: skip


def test_the_command_mines_and_judges_by_the_claims(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write_files(tmp_path)
    records = [
        {
            "id": str(i),
            "split": split,
            "attributes": {"colour": colour},
            "texts": [{"claims": [["main", "colour", colour]]}],
        }
        for i, (split, colour) in enumerate(
            [("train", "red"), ("test", "red"), ("train", "blue"), ("train", "red")]
        )
    ]
    lines = [json.dumps(record) + "\n" for record in records]
    (tmp_path / "index.jsonl").write_text("".join(lines) + '{"id": "unfin')
    main([*arguments, "--data", str(tmp_path), "--split", "train"])
    mined = Mined.load(tmp_path / "mined.npz")
    assert list(zip(mined.text.tolist(), mined.photo.tolist(), strict=True)) == [(0, 2), (2, 0)]
    assert "2 pairs, 0.7 a text, 2 of 3 texts have some" in capsys.readouterr().out


def test_the_command_says_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write_files(tmp_path)
    (tmp_path / "index.jsonl").write_text('{"id": "0", "attributes": {}}\n')
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--data", str(tmp_path)])
    assert left.value.code == 1
    assert "0 texts and 1 photos, embedded were 3 and 3" in capsys.readouterr().err


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text('{"id": "0"}\n{"id"\n')
    with pytest.raises(ValueError, match=r"index\.jsonl:2: not JSON"):
        list(read_records([tmp_path]))
