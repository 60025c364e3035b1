"""Segmentation figures are what their definitions say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluation.segmentation import (
    LabelledPhoto,
    evaluate,
    labelled_nails,
    matched,
    read_labelled,
    score_photo,
    summarise,
)
from nails.nail_decode import NailInstance, instance_of


def _square(x: int, y: int, side: int = 20, size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def _photo(mask: np.ndarray, name: str = "a") -> LabelledPhoto:
    return LabelledPhoto(name, np.zeros((*mask.shape, 3), np.uint8), mask)


def test_a_perfect_answer_scores_one_everywhere() -> None:
    mask = _square(10, 10) | _square(60, 60)
    score = score_photo(_photo(mask), [instance_of(_square(10, 10)), instance_of(_square(60, 60))])
    assert (score.iou, score.dice, score.right, score.found, score.labelled) == (1, 1, 2, 2, 2)


def test_half_an_overlap_has_iou_a_third_and_dice_a_half() -> None:
    score = score_photo(_photo(_square(10, 10)), [instance_of(_square(20, 10))])
    assert score.iou == pytest.approx(1 / 3)
    assert score.dice == pytest.approx(1 / 2)
    assert score.right == 0


def test_nothing_found_where_nothing_is_counts_as_right() -> None:
    score = score_photo(_photo(np.zeros((50, 50), bool)), [])
    assert (score.iou, score.dice) == (1, 1)


def test_a_labelled_nail_is_used_by_one_found_nail_only() -> None:
    twice = [instance_of(_square(10, 10)), instance_of(_square(11, 10))]
    assert matched(twice, [instance_of(_square(10, 10))]) == 1


def test_specks_of_the_labelling_are_no_nails() -> None:
    mask = _square(10, 10)
    mask[90, 90] = True
    assert len(labelled_nails(mask)) == 1


def test_means_run_over_photos_and_nails_are_counted_over_all() -> None:
    good = score_photo(_photo(_square(10, 10), "good"), [instance_of(_square(10, 10))])
    bad = score_photo(_photo(_square(10, 10), "bad"), [])
    report = summarise([good, bad])
    assert report.mean_iou == pytest.approx(0.5)
    assert (report.precision, report.recall) == (1.0, 0.5)
    assert report.f1 == pytest.approx(2 / 3)
    assert [photo.name for photo in report.photos] == ["bad", "good"]


def test_no_photos_are_refused() -> None:
    with pytest.raises(ValueError, match="no labelled photos"):
        summarise([])


def test_a_folder_is_scored_and_drawn(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for name in ("one", "two"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.full((100, 100, 3), 128, np.uint8))
        cv2.imwrite(str(tmp_path / "masks" / f"{name}.jpg"), _square(30, 30).astype(np.uint8) * 255)

    def predict(_image: np.ndarray) -> list[NailInstance]:
        return [instance_of(_square(30, 30))]

    report = evaluate(tmp_path, predict, page=tmp_path / "pages" / "overlay.png")
    assert report.mean_iou > 0.9  # JPEG masks ring at the edge
    assert report.f1 == 1
    assert cv2.imread(str(tmp_path / "pages" / "overlay.png")) is not None


def test_a_photo_without_a_mask_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "one.jpg"), np.full((50, 50, 3), 128, np.uint8))
    with pytest.raises(FileNotFoundError, match="no mask"):
        list(read_labelled(tmp_path))
