"""The figures of hands say what was right and what was not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.errors import DataError
from evaluation.perception.hands import HandsReport, count_photo, look, read_truth
from evaluation.perception.labelled import Entry
from nails.perception.crop_rules import CropRule
from nails.perception.hands import JOINTS, Hand
from nails.perception.nail_decode import NailInstance, instance_from_mask

LEFT, RIGHT = (10, 40, 90, 190), (110, 40, 190, 190)
PHOTO = np.zeros((200, 200, 3), np.uint8)


def joints_in(box: Sequence[int]) -> np.ndarray:
    """21 joints on the diagonal of a box."""
    steps = np.linspace(0.1, 0.9, JOINTS)[:, None]
    low, high = np.array(box[:2], float), np.array(box[2:], float)
    return low + steps * (high - low)


def nail_boxes(box: Sequence[int], count: int) -> list[list[int]]:
    """Nails in a row along the top of a hand's box."""
    return [[box[0] + 12 * i, box[1], box[0] + 12 * i + 10, box[1] + 16] for i in range(count)]


def record(hands: Sequence[tuple[Sequence[int], int]], *, target: int, rule: CropRule) -> dict[str, Any]:
    """A line of the index for hands (box, nails); joint 3 is hidden, joint 4 outside."""
    visibility = [1 if joint == 3 else 0 if joint == 4 else 2 for joint in range(JOINTS)]
    nails = [(box, index) for index, (hand, count) in enumerate(hands) for box in nail_boxes(hand, count)]
    chosen = [box for box, index in nails if index == target] or [[0, 0, 200, 200]]
    around = [min(b[0] for b in chosen), min(b[1] for b in chosen)]
    around += [max(b[2] for b in chosen), max(b[3] for b in chosen)]
    return {
        "size": [200, 200],
        "hands": [
            {
                "box": list(box),
                "joints": [
                    [x, y, seen] for (x, y), seen in zip(joints_in(box).tolist(), visibility, strict=True)
                ],
            }
            for box, _ in hands
        ],
        "nails": [
            {
                "box": box,
                "centroid": [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2],
                "area": 160,
                "hand": index,
            }
            for box, index in nails
        ],
        "crop": {"box": around, "rule": int(rule), "target_hand": target},
    }


def entry(fields: dict[str, Any] | None) -> Entry:
    return Entry("photo", Path("photo.jpg"), Path("photo.png"), fields)


def hand(box: Sequence[int], *, score: float = 0.9, shift: float = 0.0) -> Hand:
    joints = (joints_in(box) + np.array([shift, 0])).astype(np.float32)
    return Hand(np.array(box, np.float32), score, joints, np.full(JOINTS, 0.8, np.float32))


class Given:
    """A perception that answers what it was given; posed joints are right up to `shift` pixels."""

    def __init__(self, hands: list[Hand], nails: list[list[int]], *, shift: float = 0.0) -> None:
        self._hands, self._nails, self._shift = hands, nails, shift

    def nails(self, image: np.ndarray) -> list[NailInstance]:
        assert image.shape == PHOTO.shape
        return [
            instance_from_mask(np.ones((b[3] - b[1], b[2] - b[0]), bool), offset=(b[0], b[1]))
            for b in self._nails
        ]

    def hands(self, image: np.ndarray) -> list[Hand]:
        assert image.shape == PHOTO.shape
        return self._hands

    def posed(self, image: np.ndarray, boxes: np.ndarray) -> list[Hand]:
        assert image.shape == PHOTO.shape
        return [hand(box, score=1.0, shift=self._shift) for box in boxes.astype(int).tolist()]


TWO = record([(LEFT, 5), (RIGHT, 4)], target=0, rule=CropRule.TARGET_HAND)
ALL_NAILS = nail_boxes(LEFT, 5) + nail_boxes(RIGHT, 4)


def counted(fields: dict[str, Any], perception: Given) -> HandsReport:
    report = HandsReport()
    count_photo(report, read_truth(entry(fields)), PHOTO, perception)
    return report


def test_perfect_perception_has_every_figure_at_one() -> None:
    facts = counted(TWO, Given([hand(LEFT), hand(RIGHT)], ALL_NAILS)).as_dict()
    for name in ("hand_precision", "hand_recall", "hand_f1"):
        assert facts[name] == 1
    for name in ("joints_given_box", "joints_end_to_end"):
        assert facts[name] == {"pck": 1, "pck_visible": 1, "joints": 40, "visible": 38}
    for name in ("crop_from_true_nails", "crop_from_found_nails"):
        assert facts[name]["target_hand"] == facts[name]["crop_iou"] == facts[name]["same_rule"] == 1
        assert facts[name]["rules"] == {"TARGET_HAND": 1}


def test_a_joint_is_right_within_a_tenth_of_the_longer_side() -> None:
    # The longer side of each hand is 150 pixels.
    for shift, share in ((14.9, 1.0), (15.1, 0.0)):
        report = counted(TWO, Given([hand(LEFT), hand(RIGHT)], ALL_NAILS, shift=shift))
        assert report.given_box.as_dict()["pck"] == share


def test_a_missed_hand_has_no_joint_right_end_to_end() -> None:
    report = counted(TWO, Given([hand(LEFT)], ALL_NAILS))
    assert (report.recall, report.precision) == (0.5, 1.0)
    assert report.given_box.as_dict()["pck"] == 1.0
    assert report.end_to_end.as_dict()["pck"] == 0.5


def test_a_joint_the_model_does_not_see_is_not_found() -> None:
    blind = hand(LEFT)
    blind.joint_scores[5:] = 0
    report = counted(TWO, Given([blind, hand(RIGHT)], ALL_NAILS))
    # Of joints 0-4 of the left hand four lie in the photo.
    assert report.end_to_end.right == 20 + 4


def test_two_findings_of_one_hand_are_one_right_and_one_wrong() -> None:
    report = counted(TWO, Given([hand(LEFT), hand(LEFT, score=0.8), hand(RIGHT)], ALL_NAILS))
    assert (report.right, report.found) == (2, 3)


def test_a_hand_in_a_photo_without_one_is_a_phantom() -> None:
    empty = record([], target=-1, rule=CropRule.WHOLE_PHOTO)
    assert counted(empty, Given([], [])).as_dict()["phantom_share"] == 0
    facts = counted(empty, Given([hand(LEFT), hand(RIGHT)], [])).as_dict()
    assert facts["phantom_share"] == 1
    assert facts["hand_precision"] == 0


def test_the_other_hand_as_target_is_wrong() -> None:
    # The nails of the left hand are missed, so the right one has most.
    report = counted(TWO, Given([hand(LEFT), hand(RIGHT)], nail_boxes(RIGHT, 4)))
    assert report.found_nails.as_dict()["target_hand"] == 0
    assert report.true_nails.as_dict()["target_hand"] == 1
    assert report.found_nails.as_dict()["crop_iou"] == 0


def test_one_finding_around_both_hands_is_no_target_when_it_takes_the_nails_of_both_alike() -> None:
    alike = record([(LEFT, 4), (RIGHT, 4)], target=0, rule=CropRule.TARGET_HAND)
    both = hand((10, 40, 190, 190))
    assert counted(alike, Given([both], nail_boxes(LEFT, 4) + nail_boxes(RIGHT, 4))).true_nails.targets == 1
    assert counted(alike, Given([both], [])).true_nails.targets_right == 0


def test_a_photo_of_one_hand_asks_for_no_choice() -> None:
    one = record([(LEFT, 5)], target=0, rule=CropRule.TARGET_HAND)
    assert counted(one, Given([hand(LEFT)], nail_boxes(LEFT, 5))).found_nails.targets == 0


def test_a_found_nail_that_is_none_belongs_to_no_hand() -> None:
    glints = [[120, 150, 130, 160], [140, 150, 150, 160], [160, 150, 170, 160], [120, 170, 130, 180]]
    report = counted(TWO, Given([hand(LEFT), hand(RIGHT)], glints))
    assert report.found_nails.targets_right == 0


def test_hands_of_which_nothing_is_seen_are_not_asked_for() -> None:
    fields = record([(LEFT, 5)], target=0, rule=CropRule.TARGET_HAND)
    fields["hands"].append({"box": [0, 0, 0, 0], "joints": [[-5.0, -5.0, 0]] * JOINTS})
    truth = read_truth(entry(fields))
    assert len(truth.hands) == 1
    assert not truth.many


def test_what_is_looked_at_has_its_crop() -> None:
    seen = look(Given([hand(LEFT), hand(RIGHT)], ALL_NAILS), PHOTO)
    assert seen.crop.rule is CropRule.TARGET_HAND
    assert seen.crop.target_hand == 0


@pytest.mark.parametrize(
    "fields", [None, {"size": [4, 4]}, {**TWO, "crop": {"box": [0, 0, 1, 1], "rule": 9}}]
)
def test_labels_that_do_not_say_enough_are_refused(fields: dict[str, Any] | None) -> None:
    with pytest.raises(DataError, match="photo"):
        read_truth(entry(fields))
