"""Pictures for people: what is drawn, where, and in which colour."""

from __future__ import annotations

import numpy as np
import pytest

from nails.colour.palette import validate_palette
from nails.perception.crop_rules import Crop, CropRule, choose_crop, expand_square
from nails.perception.hands import Hand
from nails.perception.nail_decode import NailInstance, instance_from_mask
from nails.perception.overlay import contact_sheet, draw_overlay, palette_strip

SIZE = (640, 480)


def nail_at(x: int, y: int, score: float = 0.9) -> NailInstance:
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[y - 30 : y + 30, x - 18 : x + 18] = True
    return instance_from_mask(mask, score)


def hand_at(x: float, y: float) -> Hand:
    joints = np.stack([np.linspace(x - 80, x + 80, 21), np.linspace(y, y + 100, 21)], axis=1).astype(
        np.float32
    )
    box = np.array([x - 90, y - 20, x + 90, y + 120], np.float32)
    return Hand(box, 0.8, joints, np.full(21, 0.9, np.float32))


def scene() -> tuple[np.ndarray, list[NailInstance], list[Hand], Crop]:
    photo = np.full((SIZE[1], SIZE[0], 3), 200, np.uint8)
    nails = [nail_at(100 + 60 * index, 120) for index in range(4)]
    hands = [hand_at(190, 200)]
    crop = choose_crop(
        np.array([nail.box for nail in nails]),
        np.array([nail.centroid for nail in nails]),
        np.array([nail.area for nail in nails]),
        [hand.scored_joints for hand in hands],
        SIZE,
    )
    return photo, nails, hands, crop


def is_red(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 200) & (image[..., 1] < 90) & (image[..., 2] < 110)


def test_the_photo_stays_untouched_and_the_picture_has_its_size() -> None:
    photo, nails, hands, crop = scene()
    before = photo.copy()
    found = draw_overlay(photo, nails, hands, crop)
    assert np.array_equal(photo, before)
    assert found.shape == photo.shape
    assert found.dtype == np.uint8


def test_nails_are_tinted_and_the_rest_is_not() -> None:
    photo, nails, _, _ = scene()
    found = draw_overlay(photo, nails)
    for nail in nails:
        x, y = int(nail.centroid[0]), int(nail.centroid[1]) + 22
        assert (found[y, x] != 200).any()
    assert (found[400:, 400:] == 200).all()


def test_nails_have_the_colour_of_their_hand() -> None:
    photo, nails, hands, crop = scene()
    with_hand, without = draw_overlay(photo, nails, hands, crop), draw_overlay(photo, nails)
    at = (int(nails[0].centroid[1]) + 22, int(nails[0].centroid[0]))
    assert np.ptp(without[at].astype(int)) < 5
    assert np.ptp(with_hand[at].astype(int)) > 40


def test_the_crop_box_is_red_where_the_rule_put_it() -> None:
    photo, nails, hands, crop = scene()
    square = expand_square(crop.box, SIZE)
    found = is_red(draw_overlay(photo, nails, hands, crop, square))
    x0, y0, x1, y1 = (round(value) for value in square)
    assert found[y1 - 2 : y1 + 3, (x0 + x1) // 2].any()
    assert found[(y0 + y1) // 2, x1 - 2 : x1 + 3].any()
    assert found[(y0 + y1) // 2, x0 - 2 : x0 + 3].any()


def test_the_rule_is_named_on_a_bar_at_the_top() -> None:
    photo, nails, hands, crop = scene()
    assert crop.rule is CropRule.TARGET_HAND
    bar = draw_overlay(photo, nails, hands, crop)[:14]
    assert is_red(bar).sum() > 1000
    assert (bar == 255).all(axis=2).any()


def test_joints_that_were_not_seen_are_not_drawn() -> None:
    photo, _, hands, _ = scene()
    unseen = Hand(hands[0].box, 0.8, hands[0].joints, np.zeros(21, np.float32))
    x, y = (int(value) for value in hands[0].joints[4])
    assert (draw_overlay(photo, [], hands)[y, x] != 200).any()
    assert (draw_overlay(photo, [], [unseen])[y, x] == 200).all()


@pytest.mark.parametrize(("size", "expected"), [((4000, 3000), (1280, 960)), ((96, 64), (480, 320))])
def test_pictures_are_brought_to_a_readable_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    photo = np.zeros((size[1], size[0], 3), np.uint8)
    assert draw_overlay(photo, []).shape == (expected[1], expected[0], 3)


def test_a_crop_of_the_whole_photo_is_still_visible() -> None:
    photo = np.full((480, 640, 3), 200, np.uint8)
    found = draw_overlay(photo, [], [], Crop((0, 0, 640, 480), CropRule.WHOLE_PHOTO, -1, ()))
    assert is_red(found[:, :6]).any()
    assert is_red(found[:, -6:]).any()


def test_the_same_findings_give_the_same_picture() -> None:
    photo, nails, hands, crop = scene()
    assert np.array_equal(draw_overlay(photo, nails, hands, crop), draw_overlay(photo, nails, hands, crop))


def test_a_strip_shows_each_colour_as_wide_as_its_share() -> None:
    strip = palette_strip(
        validate_palette([(44.2, 66.7, 42.4), (16.3, 6.8, -22.1)], [0.75, 0.25]), width=400, height=60
    )
    assert strip.shape == (60, 400, 3)
    row = strip[58].astype(int)
    assert (row[:, 0] > row[:, 2] + 30).sum() == 300
    assert (row[:, 2] > row[:, 0]).sum() == 100


def test_a_strip_of_nothing_says_so() -> None:
    assert len(np.unique(palette_strip([]))) > 1


def test_a_strip_of_a_sliver_does_not_fail() -> None:
    assert palette_strip(validate_palette([(90, 0, 0)] * 12, [0.9] + [0.001] * 11), width=120).shape == (
        64,
        120,
        3,
    )


def test_a_contact_sheet_holds_every_image_in_its_cell() -> None:
    images = [np.full((height, width, 3), 10 * index, np.uint8) for index, (height, width) in
              enumerate([(50, 100), (300, 20), (64, 64)], start=1)]  # fmt: skip
    sheet = contact_sheet(images, columns=2, cell=100, gap=4)
    assert sheet.shape == (212, 212, 3)
    for index, (x, y) in enumerate([(54, 54), (158, 54), (54, 158)], start=1):
        assert (sheet[y, x] == 10 * index).all()
    assert contact_sheet([]).min() == 255
