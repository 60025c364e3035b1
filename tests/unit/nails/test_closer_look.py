"""The second look: where it goes, and that what it finds lies where it lay in the photo."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nails.perception.closer_look import closer_region, cut_region, merge_looks, shift_to_photo
from nails.perception.nail_decode import NailInstance, instance_from_mask
from nails.perception.nail_decoder import NailDecoder

SIZE = (600, 1000)


def nail(x: int, y: int, side: int = 20, score: float = 0.9) -> NailInstance:
    return instance_from_mask(np.ones((side, side), bool), score, (x, y))


def test_the_region_holds_every_nail_with_room_and_stays_in_the_photo() -> None:
    nails = [nail(20, 30), nail(150, 60), nail(90, 200)]
    region = closer_region(nails, SIZE)
    assert region is not None
    x0, y0, x1, y1 = region
    assert x0 >= 0 and y0 >= 0 and x1 <= SIZE[0] and y1 <= SIZE[1]
    for one in nails:
        assert x0 <= one.box[0] and y0 <= one.box[1] and one.box[2] <= x1 and one.box[3] <= y1
    assert x1 - x0 == pytest.approx(y1 - y0, abs=2)
    assert max(x1 - x0, y1 - y0) > 200


def test_nails_all_over_the_photo_need_no_second_look() -> None:
    assert closer_region([nail(10, 10), nail(500, 950)], SIZE) is None
    assert closer_region([], SIZE) is None


def test_one_small_nail_is_not_blown_up_to_fill_the_view() -> None:
    region = closer_region([nail(300, 500, side=20)], SIZE)
    assert region is not None
    assert region[2] - region[0] >= 20 / 0.3 - 1


def test_an_unsure_nail_far_away_does_not_pull_the_region() -> None:
    sure = [nail(300, 500), nail(340, 510)]
    assert closer_region([*sure, nail(10, 10, score=0.52)], SIZE) == closer_region(sure, SIZE)


def test_what_the_second_look_finds_replaces_what_the_first_found_there() -> None:
    first = [nail(100, 100, score=0.8), nail(500, 900, score=0.55)]
    region = (50, 60, 250, 260)
    second = [nail(52, 41, side=24, score=0.95)]
    found = merge_looks(first, second, region)
    assert [one.offset for one in found] == [(102, 101), (500, 900)]
    assert found[0].box == (102.0, 101.0, 126.0, 125.0)
    assert found[0].centroid == pytest.approx((114.0, 113.0))


def test_a_mask_moved_to_the_photo_covers_the_same_pixels() -> None:
    photo: NDArray[np.uint8] = np.zeros((120, 90, 3), np.uint8)
    photo[70:80, 40:52] = 255
    region = (30, 50, 80, 110)
    cut = cut_region(photo, region)
    placed = shift_to_photo([instance_from_mask(cut[..., 0] > 0)], region)[0]
    assert np.array_equal(placed.full_mask((90, 120)), photo[..., 0] > 0)


def test_the_model_says_how_often_it_wants_to_look() -> None:
    nails = [nail(300, 500)]
    assert NailDecoder.from_parameters({}).second_region(nails, SIZE) is None
    assert NailDecoder.from_parameters({"looks": "2"}).second_region(nails, SIZE) == closer_region(
        nails, SIZE
    )
    with pytest.raises(ValueError, match="looks"):
        NailDecoder.from_parameters({"looks": "3"})
