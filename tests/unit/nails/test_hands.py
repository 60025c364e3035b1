"""Hands: boxes, joints, and no hand without a box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nails.perception.hands import BONES, Hand, HandDecoder, assemble_hands, decode_hand_boxes, decode_simcc
from nails.photo.preprocess import Letterbox, PoseTransform, hand_pose_input, letterbox

joints_in_input = hnp.arrays(np.float64, (21, 2), elements=st.floats(0, 255.4))


def simcc_of(points: np.ndarray, sigma: float = 6.0, peak: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian scores over 512 half-pixel bins for joints [21,2] in input pixels."""
    bins = np.arange(512)
    x = peak * np.exp(-((bins[None] - points[:, :1] * 2) ** 2) / (2 * sigma**2))
    y = peak * np.exp(-((bins[None] - points[:, 1:] * 2) ** 2) / (2 * sigma**2))
    return x.astype(np.float32), y.astype(np.float32)


@settings(deadline=None)
@given(joints_in_input)
def test_joints_survive_simcc_within_a_quarter_of_an_input_pixel(points: np.ndarray) -> None:
    placed = PoseTransform(0, 0, 256, 256)
    joints, scores = decode_simcc(*simcc_of(points), placed)
    assert np.abs(joints - points).max() <= 0.25 + 1e-4
    assert (scores > 0.85).all()


def test_joints_come_back_in_photo_pixels() -> None:
    _, placed = hand_pose_input(np.zeros((900, 1200, 3), np.uint8), np.array([400.0, 300.0, 700.0, 650.0]))
    truth = np.random.default_rng(1).uniform((420, 310), (690, 640), (21, 2))
    joints, _ = decode_simcc(*simcc_of(placed.to_input(truth)), placed)
    assert np.abs(joints - truth).max() <= 0.25 * placed.side / 256 + 1e-3


def test_a_joint_without_a_positive_score_is_not_seen() -> None:
    x, y = simcc_of(np.full((21, 2), 100.0))
    x[5], y[5] = -1.0, 0.2
    y[7] = np.nan
    joints, scores = decode_simcc(x, y, PoseTransform(50, 60, 300, 256))
    for index in (5, 7):
        assert joints[index].tolist() == [-1, -1]
        assert scores[index] == 0
    assert scores[6] == pytest.approx(0.9)


def test_a_score_is_the_mean_of_both_axes() -> None:
    x, y = simcc_of(np.full((21, 2), 100.0))
    _, scores = decode_simcc(x, y * 0.5, PoseTransform(0, 0, 256, 256))
    assert np.allclose(scores, 0.675)


def test_raw_scores_of_an_rtmpose_export_are_read_at_their_peaks() -> None:
    # RTMPose's outputs are no probabilities: noise of either sign around peaks of about one half.
    rng = np.random.default_rng(5)
    peaks = rng.integers(0, 512, (2, 3, 21))  # x and y of three hands
    outputs = rng.normal(0, 0.02, (2, 3, 21, 512)).astype(np.float32)
    np.put_along_axis(outputs, peaks[..., None], 0.6, axis=3)
    placed = [PoseTransform(100.0 * hand, 50.0, 128.0, 256) for hand in range(3)]
    boxes = np.array([[100 * hand, 50, 100 * hand + 128, 178] for hand in range(3)], np.float32)
    hands = assemble_hands(boxes, np.full(3, 0.9), outputs[0], outputs[1], placed)
    for index, hand in enumerate(hands):
        # Two bins an input pixel, two input pixels a photo pixel.
        assert hand.joints[:, 0] == pytest.approx(100 * index + peaks[0, index] / 4)
        assert hand.joints[:, 1] == pytest.approx(50 + peaks[1, index] / 4)
        assert hand.joint_scores == pytest.approx(np.full(21, 0.6))


def test_a_detector_says_its_own_limits() -> None:
    placed = Letterbox(1.0, 0, 0)
    boxes = np.array([[0, 0, 50, 50], [0, 0, 50, 80], [60, 60, 90, 90]], np.float32)
    scores = np.array([0.9, 0.8, 0.4], np.float32)
    usual = HandDecoder.from_parameters({})
    assert usual.decode(boxes, scores, placed, (100, 100))[1].tolist() == pytest.approx([0.9, 0.4])
    other = HandDecoder.from_parameters({"min_score": "0.5", "nms_iou": "0.7", "precision": "fp32"})
    assert other.decode(boxes, scores, placed, (100, 100))[1].tolist() == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize("value", ["0", "1", "-0.2", "much", "nan"])
def test_limits_out_of_range_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="min_score"):
        HandDecoder.from_parameters({"min_score": value})


def test_no_box_gives_no_hand() -> None:
    nothing = np.zeros((0, 4), np.float32)
    empty = np.zeros((0, 21, 512), np.float32)
    assert assemble_hands(nothing, np.zeros(0, np.float32), empty, empty, []) == []


def test_a_pose_made_without_a_box_cannot_become_a_hand() -> None:
    x, y = simcc_of(np.full((21, 2), 100.0))
    whole_photo = PoseTransform(0, 0, 640, 256)
    with pytest.raises(ValueError, match="every hand needs one box"):
        assemble_hands(np.zeros((0, 4)), np.zeros(0), x[None], y[None], [whole_photo])


def test_hands_are_assembled_in_the_order_of_their_boxes() -> None:
    x, y = simcc_of(np.full((21, 2), 128.0))
    placed = [PoseTransform(0, 0, 100, 256), PoseTransform(500, 0, 100, 256)]
    boxes = np.array([[0, 0, 80, 80], [500, 0, 580, 80]], np.float32)
    hands = assemble_hands(boxes, np.array([0.9, 0.8]), np.stack([x, x]), np.stack([y, y]), placed)
    assert [hand.score for hand in hands] == [0.9, 0.8]
    assert [float(hand.joints[0, 0]) for hand in hands] == [50.0, 550.0]
    assert hands[0].scored_joints.shape == (21, 3)


def test_overlapping_boxes_are_one_hand_and_the_letterbox_is_undone() -> None:
    _, placed = letterbox(np.zeros((480, 640, 3), np.uint8), 320)
    truth = np.array([[100, 50, 300, 250], [380, 200, 600, 440]], np.float32)
    shifts = np.array([0, 4, 8], np.float32)[:, None, None]
    boxes = (placed.to_canvas(truth)[None] + shifts).reshape(-1, 4)
    scores = np.array([0.9, 0.7, 0.8, 0.95, 0.5, 0.6], np.float32)
    found, kept = decode_hand_boxes(boxes, scores, placed, (640, 480))
    assert kept.tolist() == pytest.approx([0.95, 0.9])
    assert np.allclose(found[1], truth[0], atol=0.01)


def test_unsure_broken_and_outside_boxes_are_dropped() -> None:
    placed = Letterbox(1.0, 0, 0)
    boxes = np.array([[0, 0, 50, 50], [np.nan, 0, 9, 9], [-90, -90, -50, -50], [60, 60, 60, 90]], np.float32)
    found, _ = decode_hand_boxes(boxes, np.array([0.29, 0.9, 0.9, 0.9]), placed, (100, 100))
    assert len(found) == 0
    found, _ = decode_hand_boxes(boxes, np.array([0.3, 0.9, 0.9, 0.9]), placed, (100, 100))
    assert found.tolist() == [[0, 0, 50, 50]]


def test_boxes_are_kept_inside_the_photo() -> None:
    found, _ = decode_hand_boxes(
        np.array([[-20, -5, 500, 80]], np.float32), np.array([0.9]), Letterbox(1.0, 0, 0), (100, 60)
    )
    assert found.tolist() == [[0, 0, 100, 60]]


def test_a_wall_of_boxes_gives_at_most_ten_hands() -> None:
    grid = np.stack(np.meshgrid(np.arange(0, 320, 10), np.arange(0, 320, 10)), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([grid, grid + 9], axis=1).astype(np.float32)
    found, _ = decode_hand_boxes(boxes, np.ones(len(boxes)), Letterbox(1.0, 0, 0), (320, 320))
    assert len(found) == 10


def test_every_finger_hangs_on_the_wrist() -> None:
    assert len(BONES) == 20
    assert [second for first, second in BONES if first == 0] == [1, 5, 9, 13, 17]
    parents = {second: first for first, second in BONES}
    for tip in (4, 8, 12, 16, 20):
        joint, steps = tip, 0
        while joint:
            joint, steps = parents[joint], steps + 1
        assert steps == 4


def test_a_hand_is_an_identity_not_a_value() -> None:
    hand = Hand(np.zeros(4, np.float32), 0.5, np.zeros((21, 2), np.float32), np.zeros(21, np.float32))
    assert hand == hand  # noqa: PLR0124  arrays inside must not make the comparison fail
