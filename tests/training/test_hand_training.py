"""hand_detect and hand_pose learn: targets are right, and a few steps lower the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.training.drawn_photos import write_drawn_photos
from training.hand.data import DetectViews, PoseViews, served_pose_view, turned_box
from training.hand.detect_loss import centre_targets, detect_loss, generalised_iou
from training.hand.detect_model import hand_detector
from training.hand.pose_loss import bin_targets, pose_loss
from training.hand.pose_model import hand_pose
from training.photos import read_drawn
from training.run import Schedule, optimiser, take_step

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_photos(tmp_path_factory.mktemp("drawn") / "synth")


def test_outputs_have_the_contract_shapes() -> None:
    scores, boxes = hand_detector(pretrained=False).eval()(torch.zeros(2, 3, 160, 160))
    assert scores.shape == (2, 1600)
    assert boxes.shape == (2, 1600, 4)
    x, y, presence = hand_pose(pretrained=False).eval()(torch.zeros(2, 3, 128, 128))
    assert x.shape == y.shape == (2, 21, 512)
    assert presence.shape == (2, 21)


def test_a_picture_without_hands_asks_for_no_cell() -> None:
    scores, _ = centre_targets([torch.zeros(0, 4), torch.tensor([[80.0, 80.0, 240.0, 240.0]])], 40)
    assert scores[0].max() == 0
    assert scores[1].max() == 1


def test_the_cell_under_the_middle_owns_the_nearer_of_two_hands() -> None:
    hands = torch.tensor([[0.0, 0.0, 160.0, 320.0], [160.0, 0.0, 320.0, 320.0]])
    scores, owners = centre_targets([hands], 40)
    left, right = 20 * 40 + 10, 20 * 40 + 30
    assert torch.equal(owners[0, left], hands[0])
    assert torch.equal(owners[0, right], hands[1])
    assert scores[0, left] > 0.8 and scores[0, right] > 0.8


def test_generalised_iou_is_1_for_equal_boxes_and_negative_for_distant_ones() -> None:
    box = torch.tensor([10.0, 10.0, 20.0, 30.0])
    assert generalised_iou(box, box).item() == pytest.approx(1)
    assert generalised_iou(box, box + 100).item() < -0.5


def test_bins_peak_at_twice_the_coordinate() -> None:
    target = bin_targets(torch.tensor([[0.0, 64.25, 255.5]]))
    assert target.argmax(-1).tolist() == [[0, 128, 511]]
    assert torch.allclose(target.sum(-1), torch.ones(1, 3))


def test_a_box_turned_by_a_right_angle_is_exact() -> None:
    quarter = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 0.0]])
    assert turned_box(np.array([10.0, 20.0, 30.0, 60.0]), quarter) == pytest.approx([40, 10, 80, 30])


def test_joints_lie_where_serving_will_decode_them(drawn: Path) -> None:
    photo = read_drawn(drawn)[0]
    _, joints, presence = served_pose_view(photo, photo.hands[0])
    # The box's middle is the middle of the view, and its longer side is 256 / 1.25 pixels.
    middle = np.array([80.0, 102.5])
    first = np.array(photo.hands[0]["joints"][0][:2])
    assert joints[0] == pytest.approx((first - middle) * (256 / (105 * 1.25)) + 128, abs=0.01)
    assert set(presence.tolist()) == {0.5, 1.0}


def test_a_few_steps_lower_the_detector_loss(drawn: Path) -> None:
    torch.manual_seed(0)
    network = hand_detector(pretrained=False).train()
    solver = optimiser(network, network.backbone, Schedule(rate=3e-3, slow=1.0))
    views = DetectViews(read_drawn(drawn), seed=0, steps=1, size=192, batch=4, clutter=None, negative=0.0)
    batch = views[0]
    losses = []
    for _ in range(12):
        loss = detect_loss(*network(batch.images), batch.boxes)
        take_step(network, solver, loss, factor=1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_few_steps_lower_the_pose_loss(drawn: Path) -> None:
    torch.manual_seed(0)
    network = hand_pose(pretrained=False).train()
    solver = optimiser(network, network.backbone, Schedule(rate=2e-3, slow=1.0))
    batch = PoseViews(read_drawn(drawn), seed=0, steps=1, batch=4)[0]
    losses = []
    for _ in range(10):
        loss = pose_loss(network(batch.hands), batch.joints, batch.presence)
        take_step(network, solver, loss, factor=1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
