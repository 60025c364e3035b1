"""Labelled photos in ultralytics' form: outlines that fill to the mask they were taken from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from nails.perception.masks import iou
from nails.perception.nail_decode import instance_from_mask
from training.seg.yolo_data import convert, label_lines, numbered_nails, outline

SIDE = 160


def ellipse(centre: tuple[int, int], axes: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, centre, axes, 20, 0, 360, 1, -1)
    return mask.astype(bool)


def filled(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """As ultralytics fills: corners cut down to whole pixels, the outline included."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)
    return canvas.astype(bool)


def labelled_folder(folder: Path, count: int) -> Path:
    """`count` photos of two nails each, as labelled photos come: JPEG masks, nails white."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        mask = ellipse((50, 60), (12, 20)) | ellipse((110, 60 + number), (10, 18))
        image = np.full((SIDE, SIDE, 3), 150, np.uint8)
        image[mask] = (40, 40, 200)
        cv2.imwrite(str(folder / "images" / f"photo {number}.jpg"), image)
        cv2.imwrite(str(folder / "masks" / f"photo {number}.jpg"), mask.astype(np.uint8) * 255)
    return folder


@pytest.mark.parametrize("axes", [(30, 50), (9, 14), (3, 5)])
def test_an_outline_fills_to_the_nail(axes: tuple[int, int]) -> None:
    mask = ellipse((80, 70), axes)
    assert iou(filled(outline(instance_from_mask(mask))), mask) > 0.93


def test_a_nail_in_two_parts_is_one_polygon_around_both() -> None:
    mask = ellipse((80, 70), (30, 50))
    mask[60:75] = False  # a strand of hair over it
    found = filled(outline(instance_from_mask(mask)))
    assert iou(found, mask) > 0.93
    assert found[:60].any() and found[75:].any()


def test_a_speck_has_an_outline_with_an_area() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[10, 20:22] = True
    points = outline(instance_from_mask(mask))
    assert len(points) >= 3
    assert cv2.contourArea(points.astype(np.float32)) > 0


def test_lines_give_the_class_and_shares_of_the_photos_size() -> None:
    mask = np.zeros((80, 160), bool)
    mask[20:60, 40:120] = True
    (line,) = label_lines([instance_from_mask(mask)], (160, 80)).splitlines()
    numbers = [float(value) for value in line.split()]
    assert numbers[0] == 0
    shares = np.array(numbers[1:]).reshape(-1, 2)
    assert shares.min(axis=0) == pytest.approx([40.5 / 160, 20.5 / 80])
    assert shares.max(axis=0) == pytest.approx([119.5 / 160, 59.5 / 80])


def test_numbered_masks_keep_touching_nails_apart() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[5:15, 2:10], mask[5:15, 10:18] = 3, 7
    assert [nail.box for nail in numbered_nails(mask)] == [(2, 5, 10, 15), (10, 5, 18, 15)]


def test_every_tenth_photo_is_kept_for_validation_and_every_nail_has_its_line(tmp_path: Path) -> None:
    photos = labelled_folder(tmp_path / "mine", 12)
    result = convert([photos], [], tmp_path / "data")
    assert (result.train, result.val, result.nails) == (10, 2, 24)
    written = sorted((tmp_path / "data" / "images" / "train").iterdir())
    assert len(written) == 10
    source = photos / "images" / "photo 1.jpg"
    assert (tmp_path / "data" / "images" / "train" / "p0-photo 1.jpg").read_bytes() == source.read_bytes()
    for path in written:
        label = tmp_path / "data" / "labels" / "train" / f"{path.stem}.txt"
        assert len(label.read_text().splitlines()) == 2


def test_a_folder_that_holds_a_data_set_is_left_alone(tmp_path: Path) -> None:
    photos = labelled_folder(tmp_path / "mine", 2)
    convert([photos], [], tmp_path / "data")
    with pytest.raises(FileExistsError, match="already holds"):
        convert([photos], [], tmp_path / "data")


def test_one_photo_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too few"):
        convert([labelled_folder(tmp_path / "mine", 1)], [], tmp_path / "data")
