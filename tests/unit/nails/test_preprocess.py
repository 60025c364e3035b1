"""From photos to tensors and coordinates back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.photo.preprocess import (
    Letterbox,
    backbone_input,
    hand_detect_input,
    hand_pose_input,
    letterbox,
    nail_seg_input,
)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([32, 224, 320]))
def test_a_letterbox_maps_the_photo_onto_its_canvas_and_back(width: int, height: int, size: int) -> None:
    canvas, placed = letterbox(np.zeros((height, width, 3), np.uint8), size)
    assert canvas.shape == (size, size, 3)
    corners = np.array([[0.0, 0.0], [width, height]])
    on_canvas = placed.to_canvas(corners)
    assert (on_canvas >= 0).all()
    assert (on_canvas <= size).all()
    # The corners land exactly where black begins and ends.
    dark = np.flatnonzero((canvas == 0).all(axis=2).any(axis=0))
    assert (dark[0], dark[-1] + 1) == tuple(np.rint(on_canvas[:, 0]))
    assert np.allclose(placed.to_photo(on_canvas), corners, atol=1e-3)
    box = np.array([0.0, 0.0, width, height])
    assert np.allclose(placed.to_photo(placed.to_canvas(box)), box, atol=1e-3)


def test_a_letterbox_of_three_numbers_uses_one_scale_for_both_axes() -> None:
    placed = Letterbox(0.5, 10, 20)
    assert placed.to_photo(np.array([20.0, 30.0])).tolist() == [20.0, 20.0]


def test_padding_is_zero_to_the_models_and_range_is_about_one() -> None:
    image = np.full((100, 200, 3), 255, np.uint8)
    for tensor in (backbone_input(image, 64), nail_seg_input(image, 64)[0], hand_detect_input(image, 64)[0]):
        assert tensor.shape == (3, 64, 64)
        assert tensor.dtype == np.float32
        assert tensor.flags.c_contiguous
        assert (tensor[:, :16] == 0).all()
        assert (tensor[:, 16:48] == 1.0).all()


def test_channels_stay_red_green_blue() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 255
    assert backbone_input(image, 8)[:, 0, 0].tolist() == [1.0, -127 / 128, -127 / 128]


def test_a_pose_input_shows_the_padded_box_and_maps_back() -> None:
    image = np.zeros((400, 500, 3), np.uint8)
    image[150:152, 220:222] = 255
    tensor, placed = hand_pose_input(image, np.array([200.0, 100.0, 260.0, 200.0]))
    assert tensor.shape == (3, 256, 256)
    assert placed.side == pytest.approx(125)
    assert placed.to_photo(np.array([0.0, 0.0])).tolist() == pytest.approx([167.5, 87.5])
    row, column = np.unravel_index(int(tensor[0].argmax()), (256, 256))
    found = placed.to_photo(np.array([column + 0.5, row + 0.5]))
    assert np.abs(found - (221, 151)).max() < 1.0


@pytest.mark.parametrize("reduction", [1, 3, 9])
def test_the_middle_of_a_pose_input_is_the_middle_of_its_box_at_any_scale(reduction: int) -> None:
    side = 250 * reduction
    image = np.zeros((side, side, 3), np.uint8)
    image[: side // 2, : side // 2] = 255
    tensor, _ = hand_pose_input(image, np.array([0.0, 0.0, side, side]) * 0.8 + 0.1 * side)
    assert tensor[0, 100, 100] > 2
    assert tensor[0, 100, 156] < -2
    # The edge runs through the middle pixel pair.
    edge = tensor[0, 100]
    assert abs(int(np.flatnonzero(edge < 0)[0]) - 128) <= 1


def test_what_lies_outside_the_photo_is_the_mean_colour() -> None:
    tensor, _ = hand_pose_input(np.full((100, 100, 3), 255, np.uint8), np.array([60.0, 60.0, 140.0, 140.0]))
    assert np.abs(tensor[:, 250, 250]).max() < 0.02


def test_points_go_to_the_input_and_back() -> None:
    _, placed = hand_pose_input(np.zeros((90, 90, 3), np.uint8), np.array([10.0, 20.0, 50.0, 60.0]))
    points = np.array([[12.0, 33.0], [49.0, 21.0]])
    assert np.allclose(placed.to_photo(placed.to_input(points)), points, atol=1e-4)
