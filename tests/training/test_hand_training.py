"""hand_detect and hand_pose learn: targets are right, and a few steps lower the loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from nails.perception.hands import decode_simcc
from nails.photo.preprocess import PoseTransform
from tests.training.synthetic_photos import write_synthetic_photos
from training.hand.data import DetectViews, PoseViews, served_pose_view, transform_box
from training.hand.detect_loss import centre_targets, detect_loss, generalised_iou
from training.hand.detect_model import HandDetector, ServedDetector, hand_detector, peaks
from training.hand.frozen_stem import FrozenStem, Pool, stem_levels
from training.hand.pose_loss import bin_targets, pose_loss
from training.hand.pose_model import ServedPose, hand_pose
from training.hand.train_detect import padded
from training.kit.data.photos import read_synthetic
from training.kit.fit import Schedule, adamw, take_step
from training.kit.networks.backbone import EfficientNetLite0, fold_batch_norm

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_photos(tmp_path_factory.mktemp("photos") / "synth")


def test_outputs_have_the_contract_shapes() -> None:
    scores, boxes = hand_detector(pretrained=False).eval()(torch.zeros(2, 3, 160, 160))
    assert scores.shape == (2, 400)
    assert boxes.shape == (2, 400, 4)
    x, y = ServedPose(hand_pose(pretrained=False)).eval()(torch.zeros(2, 3, 256, 256))
    assert x.shape == y.shape == (2, 21, 512)


def test_a_served_joint_is_decoded_where_the_network_put_it() -> None:
    network = hand_pose(pretrained=False).eval()
    served = ServedPose(network).eval()
    views = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        x, y, presence = network(torch.nn.functional.avg_pool2d(views, 2))
        simcc_x, simcc_y = served(views)
    joints, scores = decode_simcc(simcc_x[0].numpy(), simcc_y[0].numpy(), PoseTransform(0, 0, 256, 256))
    middles = torch.stack([x[0].argmax(-1), y[0].argmax(-1)], dim=1) * 2 + 1
    # A bin of the network is two pixels; of neighbours as high as each other either may be taken.
    assert np.abs(joints - middles.numpy()).max() <= 2.0
    assert scores == pytest.approx(presence[0].sigmoid().numpy(), abs=1e-5)


def test_the_front_run_apart_has_torchs_features() -> None:
    torch.manual_seed(0)
    backbone = fold_batch_norm(EfficientNetLite0()).eval()
    images = torch.rand(2, 3, 64, 96) * 2 - 1
    found = FrozenStem(backbone)(images)
    with torch.no_grad():
        wanted = stem_levels(backbone, images)
    assert found.stride8.shape == (2, 40, 8, 12)
    assert found.stride16.shape == (2, 112, 4, 6)
    for mine, torchs in zip(found, wanted, strict=True):
        assert torch.allclose(mine, torchs, atol=1e-4)


def test_only_what_lies_behind_the_front_learns() -> None:
    backbone = hand_pose(pretrained=False).backbone
    assert not any(p.requires_grad for p in backbone._blocks[10].parameters())
    behind = backbone._blocks[11]
    assert behind._project_conv.weight.requires_grad
    assert not behind._depthwise_conv.weight.requires_grad


def test_a_pool_keeps_the_latest_views() -> None:
    pool = Pool(6, seed=0)
    for first in (0, 4, 8):
        views = torch.arange(first, first + 4)
        pool.add((views, 10 * views))
    drawn, tens = pool.draw(200)
    assert set(drawn.tolist()) == {6, 7, 8, 9, 10, 11}
    assert torch.equal(tens, 10 * drawn)


def test_a_peak_is_a_score_that_no_neighbour_exceeds() -> None:
    plane = torch.zeros(1, 25)
    plane[0, [6, 7, 18]] = torch.tensor([0.9, 0.8, 0.7])  # two neighbours, and one apart
    assert peaks(plane, 5).nonzero()[:, 1].tolist() == [6, 18]


def test_two_hands_with_nearly_one_box_stay_two_peaks() -> None:
    class Fixed(HandDetector):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            assert images.shape == (1, 3, 160, 160)
            scores = torch.full((1, 400), -8.0)
            scores[0, [9 * 20 + 8, 9 * 20 + 11]] = 2.0
            boxes = torch.tensor([40.0, 40.0, 280.0, 280.0]).expand(1, 400, 4).clone()
            return scores, boxes

    fixed = Fixed(fold_batch_norm(EfficientNetLite0()))
    boxes, scores = ServedDetector(fixed).eval()(torch.zeros(1, 3, 320, 320))
    assert boxes.shape == (1, 400, 4)
    assert (scores[0] > 0.5).sum() == 2


def test_boxes_are_padded_with_what_is_no_number() -> None:
    boxes = padded([torch.zeros(0, 4), torch.ones(2, 4)])
    assert boxes.shape == (2, 4, 4)
    assert boxes.isnan().any(dim=2).sum(dim=1).tolist() == [4, 2]


def test_a_picture_without_hands_asks_for_no_cell() -> None:
    scores, _ = centre_targets([torch.zeros(0, 4), torch.tensor([[80.0, 80.0, 240.0, 240.0]])], 20)
    assert scores[0].max() == 0
    assert scores[1].max() == 1


def test_the_cell_under_the_middle_owns_the_nearer_of_two_hands() -> None:
    hands = torch.tensor([[0.0, 0.0, 160.0, 320.0], [160.0, 0.0, 320.0, 320.0]])
    scores, owners = centre_targets([hands], 20)
    left, right = 10 * 20 + 5, 10 * 20 + 15
    assert torch.equal(owners[0, left], hands[0])
    assert torch.equal(owners[0, right], hands[1])
    assert scores[0, left] > 0.8 and scores[0, right] > 0.8


def test_generalised_iou_is_1_for_equal_boxes_and_negative_for_distant_ones() -> None:
    box = torch.tensor([10.0, 10.0, 20.0, 30.0])
    assert generalised_iou(box, box).item() == pytest.approx(1)
    assert generalised_iou(box, box + 100).item() < -0.5


def test_bins_peak_at_half_the_coordinate() -> None:
    target = bin_targets(torch.tensor([[0.0, 64.25, 255.5]]))
    assert target.argmax(-1).tolist() == [[0, 32, 127]]
    assert torch.allclose(target.sum(-1), torch.ones(1, 3))


def test_a_box_turned_by_a_right_angle_is_exact() -> None:
    quarter = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 0.0]])
    assert transform_box(np.array([10.0, 20.0, 30.0, 60.0]), quarter) == pytest.approx([40, 10, 80, 30])


def test_joints_lie_where_serving_will_decode_them(synthetic: Path) -> None:
    photo = read_synthetic(synthetic)[0]
    _, joints, presence = served_pose_view(photo, photo.hands[0])
    # The box's middle is the middle of the view, and its longer side is 256 / 1.25 pixels.
    middle = np.array([80.0, 102.5])
    first = np.array(photo.hands[0]["joints"][0][:2])
    assert joints[0] == pytest.approx((first - middle) * (256 / (105 * 1.25)) + 128, abs=0.01)
    assert set(presence.tolist()) == {0.5, 1.0}


def test_a_few_steps_lower_the_detector_loss(synthetic: Path) -> None:
    torch.manual_seed(0)
    network = hand_detector(pretrained=False).train()
    optimizer = adamw(network, network.backbone, Schedule(rate=3e-3, slow=1.0))
    stem = FrozenStem(network.backbone)
    photos = read_synthetic(synthetic)
    views = DetectViews(photos, seed=0, steps=1, size=192, batch=4, clutter=None, negative=0.0, stem=stem)
    batch = views[0]
    losses = []
    for _ in range(12):
        loss = detect_loss(*network.from_stem(batch.stem), batch.boxes)
        take_step(network, optimizer, loss, factor=1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_few_steps_lower_the_pose_loss(synthetic: Path) -> None:
    torch.manual_seed(0)
    network = hand_pose(pretrained=False).train()
    optimizer = adamw(network, network.backbone, Schedule(rate=2e-3, slow=1.0))
    stem = FrozenStem(network.backbone)
    batch = PoseViews(read_synthetic(synthetic), seed=0, steps=1, batch=4, stem=stem)[0]
    losses = []
    for _ in range(10):
        loss = pose_loss(network.from_stem(batch.stem), batch.joints, batch.presence)
        take_step(network, optimizer, loss, factor=1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
