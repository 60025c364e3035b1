"""One synthetic image: the same every time, and its record agrees with its pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nails.perception.crop_rules import CropRule
from nails.vocabulary import ATTRIBUTES
from training.synth import Sample, generate
from training.synth.image import KINDS

SIZE = 320


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [generate(seed, "designs", SIZE) for seed in range(16)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_photo(kind: str) -> None:
    first, second = generate(5, kind, SIZE), generate(5, kind, SIZE)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.record == second.record


def test_other_seeds_and_other_kinds_give_other_photos() -> None:
    base = generate(5, "designs", SIZE).image
    assert not np.array_equal(base, generate(6, "designs", SIZE).image)
    assert not np.array_equal(base, generate(5, "artists", SIZE).image)


def test_the_longer_side_is_the_size_asked_for(samples: list[Sample]) -> None:
    for sample in samples:
        height, width = sample.image.shape[:2]
        assert max(height, width) == SIZE
        assert sample.image.dtype == sample.mask.dtype == np.uint8
        assert sample.mask.shape == (height, width)
        assert sample.record["size"] == [width, height]


def test_the_mask_and_the_list_of_nails_agree(samples: list[Sample]) -> None:
    for sample in samples:
        listed = {nail["instance"]: nail for nail in sample.record["nails"]}
        assert set(np.unique(sample.mask)) - {0} == set(listed)
        for instance, nail in listed.items():
            ys, xs = np.nonzero(sample.mask == instance)
            assert nail["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            assert nail["area"] == len(ys)


def test_designs_show_their_nails(samples: list[Sample]) -> None:
    shown = [len(sample.record["nails"]) for sample in samples]
    assert np.mean([count >= 3 for count in shown]) > 0.8


def test_a_nail_lies_near_the_tip_of_its_own_finger(samples: list[Sample]) -> None:
    for sample in samples:
        for nail in sample.record["nails"]:
            if nail["hand"] < 0:
                continue
            joints = np.array(sample.record["hands"][nail["hand"]]["joints"])[:, :2]
            finger = ("thumb", "index", "middle", "ring", "pinky").index(nail["finger"])
            tip, last = joints[4 + 4 * finger], joints[3 + 4 * finger]
            palm = np.linalg.norm(joints[9] - joints[0])
            x0, y0, x1, y1 = nail["box"]
            gap = np.maximum(0, np.maximum([x0 - tip[0], y0 - tip[1]], [tip[0] - x1, tip[1] - y1]))
            assert np.linalg.norm(gap) < max(2.5 * np.linalg.norm(tip - last), 0.35 * palm) + 4


def test_joints_that_are_said_to_be_seen_lie_on_the_hand(samples: list[Sample]) -> None:
    for sample in samples:
        width, height = sample.record["size"]
        for hand in sample.record["hands"]:
            assert len(hand["joints"]) == 21
            x0, y0, x1, y1 = hand["box"]
            for x, y, visible in hand["joints"]:
                assert visible in (0, 1, 2)
                assert (visible > 0) == (0 <= x < width and 0 <= y < height)
                if visible == 2 and x1 > x0:
                    assert x0 - 3 <= x <= x1 + 3 and y0 - 3 <= y <= y1 + 3


def test_records_are_json_and_speak_the_vocabulary(samples: list[Sample]) -> None:
    for sample in samples:
        record = json.loads(json.dumps(sample.record, ensure_ascii=False))
        for look in [record["attributes"], *(nail["attributes"] for nail in record["nails"])]:
            for kind in ("shape", "length", "finish", "pattern", "colour", "part", "theme"):
                values = look.get(kind, [])
                values = [values] if isinstance(values, str) else values
                assert set(values) <= {term.name for term in ATTRIBUTES[kind]}
        assert sum(entry["weight"] for entry in record["palette"]) <= 1.001
        assert record["crop"]["rule"] in set(CropRule)


def test_left_and_right_hands_both_appear_as_do_two_hands_and_none() -> None:
    records = [generate(seed, "segmentation", 96).record for seed in range(40)]
    sides = {hand["side"] for record in records for hand in record["hands"]}
    assert sides == {"left", "right"}
    assert {0, 1, 2} <= {len(record["hands"]) for record in records}


def test_most_nails_of_the_segmentation_kind_wear_no_paint_or_some() -> None:
    nails = [nail for seed in range(30) for nail in generate(seed, "segmentation", 96).record["nails"]]
    bare = np.mean([nail["attributes"].get("bare") == "true" for nail in nails])
    assert 0.2 < bare < 0.7


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        generate(1, "toes")


def test_a_nail_that_fills_the_picture_can_be_drawn() -> None:
    """Seed 90028 shows a nail of more than 32,767 pixels, OpenCV's limit for one row."""
    sample = generate(90028, "segmentation", 1600)
    assert max((nail["area"] for nail in sample.record["nails"]), default=0) > 0
