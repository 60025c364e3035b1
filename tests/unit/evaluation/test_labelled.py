"""Labelled folders are read as they are meant, and what is wrong with one is reported by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.perception.labelled import labelled_nails, list_entries, read_labelled


def square(x: int, y: int, side: int = 20, size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[y : y + side, x : x + side] = 255
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos, the first with two nails, the second with none."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name, mask in (("one", square(10, 10) | square(60, 60)), ("two", square(0, 0, side=0))):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.full((100, 100, 3), 128, np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.png"), mask)
    return tmp_path


def index(folder: Path, *records: dict[str, Any]) -> None:
    lines = [json.dumps(record) for record in records]
    (folder / "index.jsonl").write_text("\n".join(lines), encoding="utf-8")


def record(name: str, nails: list[dict[str, Any]], tone: int = 4) -> dict[str, Any]:
    paths = {"image": f"images/{name}.jpg", "mask": f"masks/{name}.png"}
    return {"id": name, **paths, "tone": tone, "nails": nails}


def test_the_parts_of_a_mask_are_the_nails(folder: Path) -> None:
    one, two = read_labelled(folder)
    assert (one.name, len(one.nails), len(two.nails)) == ("one", 2, 0)
    assert one.nails[0].instance.box == (10, 10, 30, 30)
    assert one.tone is None and one.nails[0].colour == ""


def test_specks_of_the_labelling_are_no_nails() -> None:
    mask = square(10, 10) > 0
    mask[90, 90] = True
    assert len(labelled_nails(mask)) == 1


def test_an_index_says_which_pixel_is_which_nail_and_what_is_painted_on_it(folder: Path) -> None:
    touching = np.where(square(10, 10) > 0, 1, 0) + np.where(square(30, 10) > 0, 2, 0)
    cv2.imwrite(str(folder / "masks" / "one.png"), touching.astype(np.uint8))
    nails = [
        {"instance": 1, "attributes": {"colour": "wine"}},
        {"instance": 2, "attributes": {"colour": "clear", "bare": "true"}},
    ]
    index(folder, record("one", nails, tone=7), record("two", [], tone=0))
    one, two = read_labelled(folder)
    assert [nail.colour for nail in one.nails] == ["wine", "bare"]
    assert [nail.instance.box for nail in one.nails] == [(10, 10, 30, 30), (30, 10, 50, 30)]
    assert (one.tone, two.tone, int(one.mask.sum())) == (7, 0, 800)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        list_entries(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_a_folder_without_images_or_masks_is_reported(tmp_path: Path, missing: str) -> None:
    (tmp_path / ({"images", "masks"} - {missing}).pop()).mkdir()
    with pytest.raises(DataError, match=f"no folder {missing}/"):
        list_entries(tmp_path)


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="no labelled photos"):
        list_entries(tmp_path)


def test_missing_masks_are_reported_before_any_photo_is_read(folder: Path) -> None:
    for path in (folder / "masks").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no mask for one\.jpg \(and 1 others\)"):
        list_entries(folder)


def test_an_unreadable_photo_is_reported_by_name(folder: Path) -> None:
    (folder / "images" / "two.jpg").write_bytes(b"not a photo")
    with pytest.raises(DataError, match=r"two\.jpg: not a readable photo"):
        list(read_labelled(folder))


@pytest.mark.parametrize("content", [b"", b"not a mask"])
def test_an_unreadable_mask_is_reported_by_name(folder: Path, content: bytes) -> None:
    (folder / "masks" / "one.png").write_bytes(content)
    with pytest.raises(DataError, match=r"one\.png: not a readable mask"):
        list(read_labelled(folder))


def test_a_mask_of_another_size_is_reported_with_both_sizes(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks" / "one.png"), square(1, 1, size=50))
    with pytest.raises(DataError, match="mask is 50 x 50, the photo 100 x 100"):
        list(read_labelled(folder))


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "one"}'])
def test_an_index_of_another_form_is_reported_with_its_line(folder: Path, line: str) -> None:
    (folder / "index.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(DataError, match=r"index\.jsonl:1"):
        list_entries(folder)


def test_a_record_without_tone_is_reported_by_name(folder: Path) -> None:
    broken = record("one", [])
    del broken["tone"]
    index(folder, broken)
    with pytest.raises(DataError, match="one of index"):
        list(read_labelled(folder))
