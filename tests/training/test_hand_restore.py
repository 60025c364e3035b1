"""Training goes on from an export: what was folded and rounded comes back as it was served."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from training.hand.export import POSE_CARD
from training.hand.frozen_stem import stem_levels
from training.hand.pose_model import ServedPose, hand_pose
from training.hand.restore import exported_weights, restore
from training.kit.export.model import halve_weights, plain_graph, trace_onnx

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]


def test_a_restored_network_has_the_features_of_the_served_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    served = hand_pose(pretrained=False).eval()
    for module in served.modules():  # statistics as training leaves them, not those of a new network
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
    full, path = tmp_path / "full.onnx", tmp_path / "model.onnx"
    hands = torch.rand(1, 3, 256, 256)
    trace_onnx(ServedPose(served), [hands], full, inputs=POSE_CARD.inputs, outputs=POSE_CARD.outputs)
    plain_graph(full)
    halve_weights(full, path)

    views = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    restored = hand_pose(pretrained=False)
    assert restore(restored, path, views) == 14
    with torch.no_grad():
        wanted = decoded(served.eval(), views)
        found = decoded(restored.eval(), views)
        again = decoded(restored.train(), views)
    assert (found - wanted).abs().max() < 0.02 * wanted.std() + 1e-3
    # The statistics were measured on these views, so that training starts where serving stopped.
    assert (again - wanted).abs().mean() < 0.1 * wanted.std()


def decoded(network: torch.nn.Module, views: torch.Tensor) -> torch.Tensor:
    """The features under the joints' maps, f32 [N,128,16,16]."""
    stem = stem_levels(network.backbone, views)
    blocks = network.backbone._blocks[11:]
    deep = stem.stride16
    for block in blocks:
        deep = block(deep)
    features: torch.Tensor = network.up8(network.up16(network.context(deep), stem.stride16), stem.stride8)
    return features


def test_the_exports_backbone_has_the_networks_names(tmp_path: Path) -> None:
    network = hand_pose(pretrained=False)
    path = tmp_path / "model.onnx"
    hands = torch.rand(1, 3, 256, 256)
    trace_onnx(ServedPose(network), [hands], path, inputs=POSE_CARD.inputs, outputs=POSE_CARD.outputs)
    plain_graph(path)
    named, folded = exported_weights(path)
    state = network.backbone.state_dict()
    known = [name.removeprefix("network.backbone.") for name in named]
    assert len(known) > 60
    assert all(tuple(state[name].shape) == named[f"network.backbone.{name}"].shape for name in known)
    assert len(folded) == 14
