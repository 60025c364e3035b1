"""Nail maps to nails: round trips on drawn nails."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from nails.perception.masks import iou
from nails.perception.nail_decode import (
    NailInstance,
    decode_interior,
    decode_yolo_seg,
    instance_from_mask,
    instance_iou,
    suppress_instances,
)
from nails.photo.preprocess import Letterbox, letterbox

MAP = 256
CANVAS = 512


def ellipse(
    size: tuple[int, int], centre: tuple[float, float], axes: tuple[float, float], angle: float = 0
) -> NDArray[np.bool_]:
    """A filled ellipse in a mask of `size` (width, height)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    middle = (round(centre[0]), round(centre[1]))
    cv2.ellipse(mask, middle, (round(axes[0]), round(axes[1])), angle, 0, 360, 1, -1)
    return mask.astype(bool)


def maps_of(
    nails: list[NDArray[np.bool_]], photo_size: tuple[int, int], level: float = 0.95
) -> tuple[NDArray[np.float32], Letterbox]:
    """What a perfect model would answer for nails drawn in the photo."""
    width, height = photo_size
    _, placed = letterbox(np.zeros((height, width, 3), np.uint8), CANVAS)
    maps = np.full((2, MAP, MAP), 0.02, np.float32)
    for nail in nails:
        image = np.repeat(nail[:, :, None], 3, axis=2).astype(np.uint8) * 255
        canvas, _ = letterbox(image, CANVAS)
        # Padding is grey 127 in a letterbox; nails are bright.
        small = cv2.resize(
            (canvas[..., 0] > 140).astype(np.float32), (MAP, MAP), interpolation=cv2.INTER_AREA
        )
        maps[0] = np.maximum(maps[0], small * level)
        depth = cv2.distanceTransform((small > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        maps[1] = np.maximum(maps[1], (depth > 0.4 * depth.max()).astype(np.float32) * level)
    return maps, placed


def matched(found: list[NailInstance], drawn: list[NDArray[np.bool_]]) -> list[float]:
    size = (drawn[0].shape[1], drawn[0].shape[0])
    return [max(iou(nail.full_mask(size), mask) for nail in found) for mask in drawn]


PHOTOS = [(1280, 960), (700, 1100), (512, 512), (300, 200), (640, 37 * 16)]


@pytest.mark.parametrize("size", PHOTOS)
def test_drawn_nails_come_back_in_photo_pixels(size: tuple[int, int]) -> None:
    width, height = size
    drawn = [
        ellipse(size, (width * x, height * y), (width * 0.05, height * 0.09), angle)
        for x, y, angle in [(0.2, 0.3, 10), (0.4, 0.2, 0), (0.6, 0.25, -15), (0.8, 0.5, -30), (0.3, 0.8, 80)]
    ]
    maps, placed = maps_of(drawn, size)
    found = decode_interior(maps, placed, size)
    assert len(found) == len(drawn)
    assert min(matched(found, drawn)) > 0.85
    for nail in found:
        rows, columns = np.nonzero(nail.full_mask(size))
        assert nail.area == len(rows)
        assert nail.centroid == pytest.approx((columns.mean() + 0.5, rows.mean() + 0.5))
        assert nail.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert nail.score == pytest.approx(0.95, abs=0.12)


@pytest.mark.parametrize("gap", [-2, 0, 1, 2])
def test_touching_nails_stay_apart(gap: int) -> None:
    size = (512, 512)
    width = 40
    lefts = [60 + index * (2 * width + gap) for index in range(4)]
    drawn = [ellipse(size, (left + width, 250), (width, 90)) for left in lefts]
    maps, placed = maps_of(drawn, size)
    found = decode_interior(maps, placed, size)
    assert len(found) == 4
    assert min(matched(found, drawn)) > 0.85
    for first, second in pairwise(sorted(found, key=lambda nail: nail.centroid[0])):
        assert instance_iou(first, second) < 0.02


def test_without_interiors_touching_nails_are_one() -> None:
    size = (512, 512)
    drawn = [ellipse(size, (200, 250), (40, 90)), ellipse(size, (279, 250), (40, 90))]
    maps, placed = maps_of(drawn, size)
    maps[1] = 0
    assert len(decode_interior(maps, placed, size)) == 1


def test_a_nail_too_small_to_have_an_interior_is_still_found() -> None:
    size = (512, 512)
    small, large = ellipse(size, (100, 100), (7, 9)), ellipse(size, (300, 300), (60, 80))
    maps, placed = maps_of([small, large], size)
    maps[1, :70, :70] = 0
    assert len(decode_interior(maps, placed, size)) == 2


def test_an_interior_never_claims_pixels_of_another_nail_across_a_gap() -> None:
    # A thin long nail beside a thick one: by plain nearness the thick core would take the thin one's end.
    size = (512, 512)
    thick, thin = ellipse(size, (200, 250), (80, 80)), ellipse(size, (300, 250), (8, 200))
    maps, placed = maps_of([thick, thin], size)
    found = decode_interior(maps, placed, size)
    assert min(matched(found, [thick, thin])) > 0.8


def test_scores_are_the_mean_probability_and_order_the_nails() -> None:
    size = (512, 512)
    sure, unsure = ellipse(size, (150, 250), (50, 90)), ellipse(size, (350, 250), (50, 90))
    maps, placed = maps_of([sure], size, 0.98)
    weak, _ = maps_of([unsure], size, 0.7)
    found = decode_interior(np.maximum(maps, weak), placed, size)
    assert [round(nail.score, 1) for nail in found] == [1.0, 0.7]
    assert len(decode_interior(np.maximum(maps, weak), placed, size, min_score=0.8)) == 1


def test_specks_and_padding_are_no_nails() -> None:
    size = (800, 400)
    maps, placed = maps_of([ellipse(size, (400, 200), (50, 90))], size)
    maps[0, 120, 5:7] = 0.9
    maps[:, 2:20, 40:80] = 0.9  # in the grey above the photo
    assert len(decode_interior(maps, placed, size)) == 1


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_empty_or_broken_maps_give_no_nails(value: float) -> None:
    _, placed = letterbox(np.zeros((100, 100, 3), np.uint8), CANVAS)
    assert decode_interior(np.full((2, MAP, MAP), value, np.float32), placed, (100, 100)) == []


def test_a_map_full_of_nail_is_bounded_by_the_photo() -> None:
    _, placed = letterbox(np.zeros((100, 200, 3), np.uint8), CANVAS)
    (nail,) = decode_interior(np.full((2, MAP, MAP), 0.9, np.float32), placed, (200, 100))
    assert nail.box == (0, 0, 200, 100)


def test_noise_gives_a_bounded_number_of_nails() -> None:
    noise = np.random.default_rng(0).random((2, MAP, MAP), np.float32)
    noise = np.stack([cv2.GaussianBlur(layer, (0, 0), 1.5) for layer in noise])
    noise = (noise - noise.mean()) * 8 + 0.5
    _, placed = letterbox(np.zeros((600, 600, 3), np.uint8), CANVAS)
    assert len(decode_interior(noise, placed, (600, 600))) <= 100


def test_maps_of_another_shape_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="maps"):
        decode_interior(np.zeros((3, 8, 8), np.float32), Letterbox(1, 0, 0), (8, 8))


def yolo_output(
    nails: list[NDArray[np.bool_]], photo_size: tuple[int, int], scores: list[float], copies: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.float32], Letterbox]:
    """An export that finds each nail several times, one prototype a nail."""
    width, height = photo_size
    size, proto = 640, 160
    _, placed = letterbox(np.zeros((height, width, 3), np.uint8), size)
    protos = np.full((32, proto, proto), -1.0, np.float32)
    columns = []
    for index, nail in enumerate(nails):
        canvas, _ = letterbox(np.repeat(nail[:, :, None], 3, axis=2).astype(np.uint8) * 255, size)
        shape = cv2.resize(
            (canvas[..., 0] > 140).astype(np.float32), (proto, proto), interpolation=cv2.INTER_AREA
        )
        protos[index] = shape * 2 - 1
        rows, cells = np.nonzero(nail)
        corners = np.array([cells.min(), rows.min(), cells.max() + 1, rows.max() + 1], float)
        x0, y0, x1, y1 = placed.to_canvas(corners)
        for copy in range(copies):
            column = np.zeros(4 + 1 + 32, np.float32)
            column[:4] = (x0 + x1) / 2 + copy, (y0 + y1) / 2, x1 - x0 + 2, y1 - y0 + 2
            column[4] = scores[index] - 0.1 * copy
            column[5 + index] = 8.0
            columns.append(column)
    columns.append(np.zeros(37, np.float32))
    return np.stack(columns, axis=1), protos, placed


@pytest.mark.parametrize("size", PHOTOS[:3])
def test_a_yolo_export_comes_back_in_photo_pixels_and_once_per_nail(size: tuple[int, int]) -> None:
    width, height = size
    drawn = [
        ellipse(size, (width * x, height * 0.4), (width * 0.05, height * 0.12), angle)
        for x, angle in [(0.2, 0), (0.31, 5), (0.6, -30), (0.8, 45)]
    ]
    boxes, protos, placed = yolo_output(drawn, size, [0.9, 0.95, 0.8, 0.7])
    found = decode_yolo_seg(boxes, protos, placed, size)
    assert [round(nail.score, 2) for nail in found] == [0.95, 0.9, 0.8, 0.7]
    assert min(matched(found, drawn)) > 0.85


def test_slanted_neighbours_with_overlapping_boxes_are_both_kept() -> None:
    size = (640, 640)
    drawn = [ellipse(size, (300, 300), (18, 150), 45), ellipse(size, (330, 330), (18, 150), 45)]
    boxes, protos, placed = yolo_output(drawn, size, [0.9, 0.8])
    assert len(decode_yolo_seg(boxes, protos, placed, size)) == 2


def test_unsure_and_broken_yolo_candidates_are_dropped() -> None:
    size = (640, 640)
    boxes, protos, placed = yolo_output([ellipse(size, (300, 300), (40, 60))], size, [0.9])
    assert decode_yolo_seg(boxes, protos, placed, size, min_score=0.95) == []
    boxes[6] = np.nan
    assert decode_yolo_seg(boxes, protos, placed, size) == []


def test_suppression_keeps_the_better_of_two_masks() -> None:
    base = ellipse((100, 100), (50, 50), (20, 30))
    moved = ellipse((100, 100), (53, 50), (20, 30))
    apart = ellipse((100, 100), (10, 10), (6, 6))
    found = [instance_from_mask(moved, 0.6), instance_from_mask(base, 0.9), instance_from_mask(apart, 0.7)]
    assert [nail.score for nail in suppress_instances(found)] == [0.9, 0.7]
    assert len(suppress_instances(found, max_iou=1.0)) == 3


def test_an_empty_mask_is_no_nail() -> None:
    with pytest.raises(ValueError, match="empty"):
        instance_from_mask(np.zeros((4, 4), bool))
