"""Segmentation figures are what their definitions say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluation.perception.labelled import LabelledNail, LabelledPhoto, labelled_nails
from evaluation.perception.segmentation import (
    MISSED,
    RIGHT,
    WRONG,
    evaluate,
    matched,
    painted,
    score_photo,
    summarise,
)
from nails.perception.nail_decode import NailInstance, instance_from_mask


def _square(x: int, y: int, side: int = 20, size: int = 100) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def _photo(mask: np.ndarray, name: str = "a") -> LabelledPhoto:
    return LabelledPhoto(name, np.zeros((*mask.shape, 3), np.uint8), mask, tuple(labelled_nails(mask)))


def test_a_perfect_answer_scores_one_everywhere() -> None:
    mask = _square(10, 10) | _square(60, 60)
    score = score_photo(
        _photo(mask), [instance_from_mask(_square(10, 10)), instance_from_mask(_square(60, 60))]
    )
    assert (score.iou, score.dice, score.right, score.found, score.labelled) == (1, 1, 2, 2, 2)


def test_half_an_overlap_has_iou_a_third_and_dice_a_half() -> None:
    score = score_photo(_photo(_square(10, 10)), [instance_from_mask(_square(20, 10))])
    assert score.iou == pytest.approx(1 / 3)
    assert score.dice == pytest.approx(1 / 2)
    assert score.right == 0


def test_nothing_found_where_nothing_is_counts_as_right() -> None:
    score = score_photo(_photo(np.zeros((50, 50), bool)), [])
    assert (score.iou, score.dice) == (1, 1)


def test_a_labelled_nail_is_used_by_one_found_nail_only() -> None:
    twice = [instance_from_mask(_square(10, 10)), instance_from_mask(_square(11, 10))]
    assert matched(twice, [instance_from_mask(_square(10, 10))]) == 1


def test_the_iou_of_a_labelled_nail_is_that_with_the_found_nail_that_overlaps_it_best() -> None:
    photo = _photo(_square(10, 10) | _square(60, 60))
    found = [
        instance_from_mask(_square(20, 10)),
        instance_from_mask(_square(10, 15)),
        instance_from_mask(_square(5, 80, side=5)),
    ]
    first, second = score_photo(photo, found).nails
    assert first.iou == pytest.approx(15 / 25)
    assert second.iou == 0


def test_groups_are_refused_where_the_labels_lack_them() -> None:
    report = summarise([score_photo(_photo(_square(10, 10)), [])])
    assert not report.is_grouped
    with pytest.raises(ValueError, match="no skin tone"):
        report.groups("tone")


def test_groups_compare_with_the_mean() -> None:
    mask = _square(10, 10)
    nail = LabelledNail(instance_from_mask(mask), "red")
    photos = [LabelledPhoto("a", np.zeros((100, 100, 3), np.uint8), mask, (nail,), tone) for tone in (2, 9)]
    report = summarise([score_photo(photos[0], [instance_from_mask(mask)]), score_photo(photos[1], [])])
    good, bad = report.groups("tone")
    assert (good.name, good.photos, good.iou, good.iou_gap) == ("tone 2", 1, 1.0, 0.5)
    assert (bad.name, bad.nails, bad.nail_iou, bad.nail_iou_gap) == ("tone 9", 1, 0.0, -0.5)
    assert report.as_dict(["family"])["by_family"][0]["name"] == "red"


def test_the_picture_shows_what_is_right_what_is_wrong_and_what_was_missed() -> None:
    photo = _photo(_square(0, 0, side=40))
    image = painted(photo, [instance_from_mask(_square(20, 0, side=60))], side=100)
    for (x, y), colour in (((30, 30), RIGHT), ((60, 50), WRONG), ((8, 30), MISSED)):
        assert np.allclose(image[y, x], 0.55 * np.array(colour), atol=2)
    assert image[95, 95].tolist() == [0, 0, 0]


def test_means_run_over_photos_and_nails_are_counted_over_all() -> None:
    good = score_photo(_photo(_square(10, 10), "good"), [instance_from_mask(_square(10, 10))])
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
        return [instance_from_mask(_square(30, 30))]

    report = evaluate(tmp_path, predict, page=tmp_path / "pages" / "overlay.png")
    assert report.mean_iou > 0.9  # JPEG masks ring at the edge
    assert report.f1 == 1
    assert cv2.imread(str(tmp_path / "pages" / "overlay.png")) is not None
