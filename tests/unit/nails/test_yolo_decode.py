"""A YOLO-seg output built by hand decodes to exactly the pixels it says.

The prototypes are ramps: two that give a place's own x and y on the canvas, and a constant. A straight edge
between them stays straight under any interpolation, so every pixel of the expected masks is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nails.perception.nail_decode import decode_yolo_seg
from nails.photo.preprocess import letterbox

CANVAS, STRIDE = 64, 4
PHOTO = (128, 96)  # width, height: half as large on the canvas, with 8 rows of grey above and below
RAMP_X, RAMP_Y, ONE = 0, 1, 2


def ramps() -> NDArray[np.float32]:
    """protos f32 [32,16,16]."""
    protos = np.zeros((32, CANVAS // STRIDE, CANVAS // STRIDE), np.float32)
    centres = (np.arange(CANVAS // STRIDE) + 0.5) * STRIDE
    protos[RAMP_X], protos[RAMP_Y], protos[ONE] = centres[None], centres[:, None], 1.0
    return protos


def candidate(
    box: tuple[float, float, float, float], scores: tuple[float, ...], edge: tuple[float, float, float]
) -> NDArray[np.float32]:
    """One column: a box (x0, y0, x1, y1) of the canvas, and the half-plane x * a + y * b + c > 0."""
    x0, y0, x1, y1 = box
    coefficients = np.zeros(32, np.float32)
    coefficients[[RAMP_X, RAMP_Y, ONE]] = edge
    place = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
    return np.concatenate([np.array([*place, *scores], np.float32), coefficients])


def expected(box: tuple[float, float, float, float], edge: tuple[float, float, float]) -> NDArray[np.bool_]:
    """The photo's pixels whose centres lie in the box and on the right side of the edge."""
    x = (np.arange(PHOTO[0]) + 0.5)[None] / 2
    y = (np.arange(PHOTO[1]) + 0.5)[:, None] / 2 + 8
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    return inside & (edge[0] * x + edge[1] * y + edge[2] > 0)


LEFT, RIGHT = (8.0, 16.0, 24.0, 48.0), (28.0, 20.0, 56.0, 44.0)
SLANT, CUT = (-1.0, -1.0, 60.1), (0.0, 1.0, -30.1)


def decoded(columns: list[NDArray[np.float32]], min_score: float = 0.5) -> list[NDArray[np.bool_]]:
    _, placed = letterbox(np.zeros((PHOTO[1], PHOTO[0], 3), np.uint8), CANVAS)
    found = decode_yolo_seg(np.stack(columns, axis=1), ramps(), placed, PHOTO, min_score=min_score)
    return [nail.full_mask(PHOTO) for nail in found]


def test_masks_are_the_prototypes_weighted_and_cut_to_the_box_pixel_for_pixel() -> None:
    masks = decoded([candidate(LEFT, (0.7,), SLANT), candidate(RIGHT, (0.9,), CUT)])
    assert len(masks) == 2
    assert np.array_equal(masks[0], expected(RIGHT, CUT))  # the better score first
    assert np.array_equal(masks[1], expected(LEFT, SLANT))


def test_box_centroid_area_and_score_are_those_of_the_mask() -> None:
    _, placed = letterbox(np.zeros((PHOTO[1], PHOTO[0], 3), np.uint8), CANVAS)
    column = candidate(RIGHT, (0.75,), CUT)
    (nail,) = decode_yolo_seg(column[:, None], ramps(), placed, PHOTO)
    rows, columns = np.nonzero(expected(RIGHT, CUT))
    assert nail.score == 0.75
    assert nail.area == len(rows)
    assert nail.box == (56.0, rows.min(), 112.0, 72.0)
    assert nail.centroid == (columns.mean() + 0.5, rows.mean() + 0.5)


def test_a_nail_found_twice_is_given_once_and_the_better_one_stays() -> None:
    nearly = (9.0, 16.0, 24.0, 48.0)
    masks = decoded([candidate(nearly, (0.6,), SLANT), candidate(LEFT, (0.8,), SLANT)])
    assert len(masks) == 1
    assert np.array_equal(masks[0], expected(LEFT, SLANT))


def test_the_best_of_several_classes_is_the_score() -> None:
    columns = [candidate(LEFT, (0.2, 0.55), SLANT), candidate(RIGHT, (0.4, 0.45), CUT)]
    masks = decoded(columns)
    assert len(masks) == 1
    assert np.array_equal(masks[0], expected(LEFT, SLANT))
    assert len(decoded(columns, min_score=0.4)) == 2


def test_boxes_in_the_grey_around_the_photo_are_no_nails() -> None:
    assert decoded([candidate((8.0, 0.0, 24.0, 8.0), (0.9,), (0.0, 0.0, 1.0))]) == []
