"""The crop rules against a second, plain writing of the paper's text, and cases worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lunula.crop.v1 import crop_service_pb2 as pb
from nails.perception.crop_rules import Crop, CropRule, assign_hands, choose_crop, cut_square, expand_square

SIZE = (1000, 800)
Nail = tuple[float, float, float, float]  # x, y, width, height


def hand_at(x: float, y: float, spread: float = 60.0, score: float = 0.9) -> np.ndarray:
    """21 joints around a point."""
    angles = np.linspace(0, 2 * math.pi, 21, endpoint=False)
    points = np.stack([x + spread * np.cos(angles), y + spread * np.sin(angles)], axis=1)
    return np.concatenate([points, np.full((21, 1), score)], axis=1)


def crop(nails: Sequence[Nail], hands: Sequence[np.ndarray] = (), size: tuple[int, int] = SIZE) -> Crop:
    table = np.array(nails, float).reshape(-1, 4)
    boxes = np.stack(
        [
            table[:, 0] - table[:, 2] / 2,
            table[:, 1] - table[:, 3] / 2,
            table[:, 0] + table[:, 2] / 2,
            table[:, 1] + table[:, 3] / 2,
        ],
        axis=1,
    )
    return choose_crop(boxes, table[:, :2], table[:, 2] * table[:, 3], hands, size)


def oracle(
    nails: Sequence[Nail], hands: Sequence[np.ndarray], size: tuple[int, int]
) -> tuple[list[int], int, int]:
    """(nails in the box or all, rule, target hand), written as the paper says it, with plain loops."""
    everything = list(range(len(nails)))
    if len(nails) <= 2:
        return everything, 1, -1
    members: dict[int, list[int]] = {}
    for nail, (x, y, _, _) in enumerate(nails):
        nearest, owner = math.inf, -1
        for hand, joints in enumerate(hands):
            for joint_x, joint_y, score in joints:
                distance = math.hypot(x - joint_x, y - joint_y)
                if score >= 0.3 and distance < nearest:
                    nearest, owner = distance, hand
        if owner >= 0:
            members.setdefault(owner, []).append(nail)
    if not members:
        return everything, 2, -1
    most = max(len(group) for group in members.values())
    candidates = [hand for hand in sorted(members) if len(members[hand]) == most]

    def from_centre(hand: int) -> float:
        gaps = [math.hypot(nails[n][0] - size[0] / 2, nails[n][1] - size[1] / 2) for n in members[hand]]
        return sum(gaps) / len(gaps)

    closest = min(from_centre(hand) for hand in candidates)
    candidates = [hand for hand in candidates if math.isclose(from_centre(hand), closest, abs_tol=1e-6)]
    widest = max(sum(nails[n][2] * nails[n][3] for n in members[hand]) for hand in candidates)
    candidates = [
        hand for hand in candidates if sum(nails[n][2] * nails[n][3] for n in members[hand]) == widest
    ]
    target = candidates[0]
    group = members[target]
    if len(group) <= 2:
        return everything, 2, target
    if len(group) > 3:
        return group, 4, target
    others = [nail for nail in everything if nail not in group]
    if others:
        middle_x = sum(nails[n][0] for n in group) / 3
        middle_y = sum(nails[n][1] for n in group) / 3
        gaps = {n: math.hypot(nails[n][0] - middle_x, nails[n][1] - middle_y) for n in others}
        group = [*group, min(gaps, key=lambda n: gaps[n])]
    return group, 3, target


def around(nails: Sequence[Nail], chosen: Sequence[int]) -> tuple[float, ...]:
    return (
        min(nails[n][0] - nails[n][2] / 2 for n in chosen),
        min(nails[n][1] - nails[n][3] / 2 for n in chosen),
        max(nails[n][0] + nails[n][2] / 2 for n in chosen),
        max(nails[n][1] + nails[n][3] / 2 for n in chosen),
    )


def agrees_with_oracle(nails: Sequence[Nail], hands: Sequence[np.ndarray]) -> Crop:
    found = crop(nails, hands)
    chosen, rule, target = oracle(nails, hands, SIZE)
    assert (int(found.rule), found.target_hand) == (rule, target)
    expected = (0.0, 0.0, *map(float, SIZE)) if rule == 1 else around(nails, chosen)
    assert found.box == pytest.approx(expected)
    return found


class TestTruthTable:
    """0 to 10 nails, 0 to 5 of them on the first hand, with no, one and two hands."""

    @pytest.mark.parametrize("hands", [0, 1, 2])
    @pytest.mark.parametrize(
        ("count", "on_hand"), [(count, near) for count in range(11) for near in range(min(count, 5) + 1)]
    )
    def test_the_rule_follows_from_the_counts(self, count: int, on_hand: int, hands: int) -> None:
        near = [(250.0 + 12 * i, 300.0 + 7 * i, 20.0, 30.0) for i in range(on_hand)]
        far = [(760.0 + 12 * i, 420.0 + 5 * i, 22.0, 28.0) for i in range(count - on_hand)]
        nails = [*near, *far]
        present = [hand_at(280, 320), hand_at(790, 440)][:hands]
        found = agrees_with_oracle(nails, present)
        # Worked from the counts alone, without the oracle.
        on_target = 0 if hands == 0 else count if hands == 1 else max(on_hand, count - on_hand)
        if count <= 2:
            expected = CropRule.WHOLE_PHOTO
        elif on_target <= 2:
            expected = CropRule.ALL_NAILS
        else:
            expected = CropRule.THREE_PLUS_NEAREST if on_target == 3 else CropRule.TARGET_HAND
        assert found.rule is expected

    @settings(max_examples=300, deadline=None)
    @given(
        nails=st.lists(
            st.tuples(st.floats(0, 1000), st.floats(0, 800), st.integers(4, 60), st.integers(4, 60)),
            max_size=12,
        ),
        hands=st.lists(
            st.tuples(st.floats(0, 1000), st.floats(0, 800), st.sampled_from([0.1, 0.29, 0.3, 0.9])),
            max_size=4,
        ),
    )
    def test_random_photos_agree_with_the_oracle(
        self, nails: list[Nail], hands: list[tuple[float, float, float]]
    ) -> None:
        agrees_with_oracle(nails, [hand_at(x, y, score=score) for x, y, score in hands])


class TestTies:
    """Hands with equally many nails."""

    def test_the_hand_nearer_the_middle_wins(self) -> None:
        left = [(100.0 + 10 * i, 400.0, 8.0, 8.0) for i in range(4)]
        right = [(600.0 + 10 * i, 400.0, 8.0, 8.0) for i in range(4)]
        found = agrees_with_oracle([*left, *right], [hand_at(110, 400), hand_at(615, 400)])
        assert found.target_hand == 1

    def test_of_mirrored_hands_the_one_with_larger_nails_wins(self) -> None:
        left = [(400.0 - 30 * i, 400.0, 8.0, 8.0) for i in range(4)]
        right = [(600.0 + 30 * i, 400.0, 9.0, 9.0) for i in range(4)]
        found = agrees_with_oracle([*left, *right], [hand_at(350, 400), hand_at(650, 400)])
        assert found.target_hand == 1

    def test_of_equal_hands_the_lower_index_wins(self) -> None:
        left = [(400.1 - 30.7 * i, 400.0, 8.0, 8.0) for i in range(4)]
        right = [(599.9 + 30.7 * i, 400.0, 8.0, 8.0) for i in range(4)]
        hands = [hand_at(350, 400), hand_at(650, 400)]
        assert crop([*left, *right], hands).target_hand == 0
        assert crop([*right, *left], hands).target_hand == 0
        assert crop([*left, *right], hands[::-1]).target_hand == 0

    def test_three_hands_of_three_go_through_the_tie_and_then_rule_three(self) -> None:
        groups = [
            [(x + 10.0 * i, y, 8.0, 8.0) for i in range(3)] for x, y in ((50, 50), (480, 420), (900, 700))
        ]
        nails = [nail for group in groups for nail in group]
        found = agrees_with_oracle(nails, [hand_at(60, 50), hand_at(490, 420), hand_at(910, 700)])
        assert found.rule is CropRule.THREE_PLUS_NEAREST
        assert found.target_hand == 1

    def test_equally_near_joints_give_the_nail_to_the_lower_hand(self) -> None:
        joints = [np.array([[100.0, 100.0, 1.0]]), np.array([[300.0, 100.0, 1.0]])]
        assert assign_hands(np.array([[200.0, 100.0]]), joints) == [0]


class TestByHand:
    """Cases small enough to work out on paper."""

    def test_three_on_the_hand_take_the_nearest_other_nail_along(self) -> None:
        nails = [
            (100, 100, 10, 10),
            (120, 100, 10, 10),
            (140, 100, 10, 10),
            (900, 100, 10, 10),
            (700, 90, 10, 10),
        ]
        found = crop(nails, [hand_at(120, 100, 20), hand_at(800, 100, 20)])
        assert found.rule is CropRule.THREE_PLUS_NEAREST
        assert found.box == (95, 85, 705, 105)
        assert found.hand_of_nail == (0, 0, 0, 1, 1)

    def test_three_nails_on_the_only_hand_have_no_other_to_add(self) -> None:
        found = crop([(100, 100, 10, 10), (120, 100, 10, 10), (140, 120, 10, 10)], [hand_at(120, 100)])
        assert found == Crop((95, 95, 145, 125), CropRule.THREE_PLUS_NEAREST, 0, (0, 0, 0))

    def test_four_on_the_hand_leave_the_other_hand_out(self) -> None:
        near = [(100.0 + 20 * i, 100.0, 10.0, 10.0) for i in range(4)]
        found = crop([*near, (800, 700, 10, 10)], [hand_at(130, 100, 40), hand_at(800, 700, 20)])
        assert found.box == (95, 95, 165, 105)

    def test_two_and_two_take_all_nails(self) -> None:
        nails = [(100, 100, 10, 10), (120, 100, 10, 10), (800, 600, 10, 10), (820, 600, 10, 10)]
        found = crop(nails, [hand_at(110, 100), hand_at(810, 600)])
        assert (found.rule, found.box) == (CropRule.ALL_NAILS, (95, 95, 825, 605))

    def test_the_nearest_joint_decides_and_not_the_nearest_wrist(self) -> None:
        # The long finger of hand 0 reaches over to where hand 1 rests.
        reaching = np.array([[0.0, 0.0, 0.9], [500.0, 0.0, 0.9]])
        resting = np.array([[560.0, 0.0, 0.9]])
        assert assign_hands(np.array([[510.0, 0.0]]), [reaching, resting]) == [0]

    def test_joints_below_three_tenths_are_ignored(self) -> None:
        unsure = np.array([[100.0, 100.0, 0.29]])
        sure = np.array([[700.0, 100.0, 0.3]])
        assert assign_hands(np.array([[100.0, 100.0]]), [unsure, sure]) == [1]

    def test_hands_without_a_usable_joint_are_no_hands(self) -> None:
        nails = [(100.0 + 20 * i, 100.0, 10.0, 10.0) for i in range(5)]
        found = crop(nails, [hand_at(130, 100, score=0.1)])
        assert (found.rule, found.target_hand, found.hand_of_nail) == (CropRule.ALL_NAILS, -1, (-1,) * 5)

    def test_no_nails_give_the_whole_photo(self) -> None:
        assert crop([], [hand_at(100, 100)]) == Crop((0, 0, 1000, 800), CropRule.WHOLE_PHOTO, -1, ())

    def test_nails_of_a_whole_photo_still_know_their_hand(self) -> None:
        assert crop([(100, 100, 9, 9)], [hand_at(600, 600), hand_at(110, 100)]).hand_of_nail == (1,)

    def test_unequal_tables_are_a_programming_error(self) -> None:
        with pytest.raises(ValueError, match="every nail"):
            choose_crop(np.zeros((2, 4)), np.zeros((1, 2)), np.zeros(2), [], SIZE)


class TestSquare:
    """From the rule's box to the square that is cut out."""

    def test_a_box_is_padded_by_a_tenth_of_its_long_side_and_squared(self) -> None:
        assert expand_square((400, 300, 600, 400), SIZE) == pytest.approx((380, 230, 620, 470))

    def test_a_square_that_would_leave_the_photo_is_moved_inside(self) -> None:
        assert expand_square((0, 0, 200, 50), SIZE) == pytest.approx((0, 0, 220, 220))
        assert expand_square((900, 700, 1000, 800), SIZE) == pytest.approx((890, 690, 1000, 800))

    def test_a_box_longer_than_the_short_side_keeps_all_nails(self) -> None:
        assert expand_square((50, 300, 950, 500), SIZE) == pytest.approx((0, 0, 1000, 800))
        left, top, right, bottom = expand_square((20, 100, 120, 900), (300, 1000))
        assert (left, right) == (0, 300)
        assert (top, bottom) == pytest.approx((20, 980))

    def test_the_whole_photo_stays_the_whole_photo(self) -> None:
        assert expand_square((0, 0, 1000, 800), SIZE) == (0, 0, 1000, 800)

    @settings(deadline=None)
    @given(
        st.integers(20, 2000),
        st.integers(20, 2000),
        st.floats(0, 1),
        st.floats(0, 1),
        st.floats(0.01, 1),
        st.floats(0.01, 1),
    )
    def test_the_result_holds_the_box_and_lies_inside_the_photo(
        self, width: int, height: int, at_x: float, at_y: float, share_x: float, share_y: float
    ) -> None:
        box_w, box_h = share_x * width, share_y * height
        x0, y0 = at_x * (width - box_w), at_y * (height - box_h)
        left, top, right, bottom = expand_square((x0, y0, x0 + box_w, y0 + box_h), (width, height))
        slack = 1e-6
        assert 0 <= left <= x0 + slack
        assert 0 <= top <= y0 + slack
        assert x0 + box_w - slack <= right <= width + slack
        assert y0 + box_h - slack <= bottom <= height + slack
        square = math.isclose(right - left, bottom - top, abs_tol=1e-6)
        assert square or max(right - left, bottom - top) > min(width, height) - slack


class TestCut:
    """The pixels of a crop."""

    def test_a_square_box_is_resized_as_it_is(self) -> None:
        image = np.zeros((100, 100, 3), np.uint8)
        image[20:60, 30:70] = (10, 200, 30)
        found = cut_square(image, (30, 20, 70, 60), 384)
        assert found.shape == (384, 384, 3)
        assert (found == (10, 200, 30)).all()

    def test_an_oblong_box_is_centred_on_grey(self) -> None:
        found = cut_square(np.full((50, 100, 3), 255, np.uint8), (0, 0, 100, 50), 200)
        assert (found[:50] == 127).all()
        assert (found[50:150] == 255).all()
        assert (found[150:] == 127).all()

    @pytest.mark.parametrize("box", [(5, 5, 5, 5), (-40, -40, 2, 2), (99, 49, 140, 90)])
    def test_even_an_empty_or_overhanging_box_gives_a_crop(self, box: tuple[float, ...]) -> None:
        assert cut_square(np.zeros((50, 100, 3), np.uint8), box, 32).shape == (32, 32, 3)  # type: ignore[arg-type]  # a tuple of four


def test_the_numbers_of_the_rules_are_those_of_the_contract() -> None:
    assert {rule.name: int(rule) for rule in CropRule} == {
        name.removeprefix("CROP_RULE_"): number for name, number in pb.CropRule.items() if number
    }
