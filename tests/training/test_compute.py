"""No training is tied to a device: networks, batches and precision go where the compute object says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from tests.training.designs import write_designs
from tests.training.synthetic_photos import write_synthetic_photos
from training.aesthetic.networks import TagAesthetic
from training.artist.image.network import ArtistHead
from training.design.data.corpus import build_corpus
from training.design.data.records import read_designs
from training.design.encoders import EncoderConfig, EncoderViews, step_loss
from training.design.rows.models import ROWS, RowNetwork
from training.hand.detect_loss import centre_targets
from training.hand.detect_model import hand_detector
from training.hand.frozen_stem import StemFeatures
from training.hand.pose_loss import pose_loss
from training.hand.pose_model import hand_pose
from training.kit.compute import CPU, Compute
from training.kit.data.augment import ViewConfig
from training.kit.data.photos import read_synthetic
from training.kit.data.sentences import Sentences
from training.kit.losses import info_nce
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.run import cpu_state
from training.seg.data import SegViews
from training.seg.data import ViewConfig as SegViewConfig
from training.seg.loss import seg_loss
from training.seg.train import build

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
# Tensors of the meta device have no values. An operation between one of them and one of the CPU is an error,
# so a loss that comes out of it was computed on one device from end to end.
META = Compute(torch.device("meta"))


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclass(frozen=True)
class Held:
    tensors: list[torch.Tensor]
    name: str
    nothing: torch.Tensor | None = None


def test_a_batch_of_any_form_is_moved_whole() -> None:
    held = META.batch(Held([torch.zeros(2)], "kept"))
    assert held.tensors[0].is_meta and held.name == "kept" and held.nothing is None
    pair = META.batch(Pair(torch.zeros(1), torch.ones(3)))
    assert isinstance(pair, Pair) and pair.first.is_meta and pair.second.is_meta


def test_what_lies_on_the_cpu_already_is_not_copied() -> None:
    tensor = torch.zeros(2)
    assert CPU.batch(tensor) is tensor


def test_auto_is_the_best_device_and_an_unknown_or_absent_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert Compute.choose("auto") == CPU
    with pytest.raises(ValueError, match="does not find this device"):
        Compute.choose("cuda:1")
    with pytest.raises(ValueError, match="not a device"):
        Compute.choose("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert Compute.choose("cuda:1") == Compute(torch.device("cuda:1"), None)


def test_mixed_precision_is_that_of_the_device_and_can_be_left_out() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.ones(1, 4)
    with CPU.autocast():
        assert layer(x).dtype == torch.bfloat16
    for plain in (CPU.autocast(enabled=False), Compute(torch.device("cpu"), None).autocast()):
        with plain:
            assert layer(x).dtype == torch.float32


def test_nail_segmentation_is_computed_on_one_device(tmp_path: Path) -> None:
    photos = read_synthetic(write_synthetic_photos(tmp_path / "synth"))
    views = SegViewConfig(sizes=(64,), size_chances=(1.0,), batch=2, negative=0.0, collage=0.0)
    batch = META.batch(SegViews(photos, views, seed=0, steps=1, clutter=None)[0])
    network = META.network(build(pretrained=False))
    # Which photos tell where hands are depends on values: without that map.
    assert seg_loss(network(batch.images), replace(batch, body=None)).is_meta


def test_hands_are_computed_on_one_device() -> None:
    stem = META.batch(StemFeatures(torch.zeros(2, 40, 16, 16), torch.zeros(2, 112, 8, 8)))
    scores, boxes = META.network(hand_detector(pretrained=False)).from_stem(stem)
    targets, owners = centre_targets(META.batch([torch.zeros(0, 4), torch.zeros(2, 4)]), 8, scores.device)
    assert all(x.is_meta for x in (scores, boxes, targets, owners))
    outputs = META.network(hand_pose(pretrained=False)).from_stem(stem)
    assert pose_loss(outputs, *META.batch((torch.zeros(2, 21, 2), torch.ones(2, 21)))).is_meta


def test_the_image_encoders_are_computed_on_one_device(tmp_path: Path) -> None:
    corpus = build_corpus(read_designs(write_designs(tmp_path / "designs")), Sentences())
    config = EncoderConfig(size=64, large=64, batch=4, bank=4)
    model = META.network(Encoders(EfficientNetLite0(), len(corpus.facts)))
    batch = EncoderViews(corpus.designs, config, ViewConfig())[0]
    loss, terms = step_loss(model, corpus, batch, np.random.default_rng(0), config, META)
    assert loss.is_meta and all(term.is_meta for term in terms.values())


def test_fusions_and_heads_are_computed_on_one_device() -> None:
    row = META.network(RowNetwork(ROWS["ours"]))
    query = [torch.zeros(s) for s in ((2, 512), (2, 512), (2, 3, 512), (2, 3), (2, 4, 3), (2, 4))]
    design = [torch.zeros(2, size) for size in (256, 512, 512, 512)]
    cosines = row.query(*META.batch(query)) @ row.design(*META.batch(design)).T
    assert info_nce(row.temperature() * cosines, META.batch(torch.zeros(2, 2, dtype=torch.bool))).is_meta
    assert META.network(ArtistHead(3, 20, 8))(META.batch(torch.zeros(2, 20)))[0].is_meta
    looked = META.network(TagAesthetic(width=8, hidden=8)).look(
        *META.batch((torch.zeros(2, 4, 320), torch.zeros(2, 512), torch.zeros(2, 2, 512), torch.zeros(2, 2)))
    )
    assert all(output.is_meta for output in looked)


def test_a_checkpoint_holds_tensors_of_the_cpu() -> None:
    class Elsewhere(torch.nn.Linear):
        def state_dict(self) -> dict[str, Remote]:  # type: ignore[override]  # torch names another mapping
            return {"weight": Remote()}

    class Remote(torch.Tensor):
        def cpu(self) -> torch.Tensor:
            return torch.ones(1)

    assert torch.equal(cpu_state(Elsewhere(1, 1))["weight"], torch.ones(1))
