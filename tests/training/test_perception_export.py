"""What is served computes what was trained: ONNX against torch, one item against a batch."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")

from training.hand.detect_model import ServedDetector, halved, hand_detector
from training.hand.export import DETECT_CARD, POSE_CARD
from training.hand.pose_model import ServedPose, hand_pose
from training.kit.export.card import Provenance
from training.kit.export.model import ExportError, export_model, run_onnx
from training.seg.export import CARD as SEG_CARD
from training.seg.model import NailMaps, nail_seg

pytestmark = [pytest.mark.torch, pytest.mark.timeout(300)]
PROVENANCE = Provenance(command="none", data="none", seed=0, licence_of_origin="none")
CASES = {
    "nail_seg": (lambda: NailMaps(nail_seg(pretrained=False)), SEG_CARD),
    # With its backbone: which cell is a peak is only settled where neighbours differ by more than rounding.
    "hand_detect": (lambda: ServedDetector(hand_detector()), DETECT_CARD),
    "hand_pose": (lambda: ServedPose(hand_pose(pretrained=False)), POSE_CARD),
}


@pytest.mark.parametrize("name", CASES)
def test_the_exported_graph_agrees_with_torch_within_1e_4(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, card = CASES[name]
    network = make().to(memory_format=torch.contiguous_format)
    example = [torch.rand(2, *card.inputs[0].shape) * 2 - 1]
    report = export_model(network, card, tmp_path / name, example=example, provenance=PROVENANCE, half=False)
    assert max(report.graph_error.values()) <= 1e-4
    facts = tomllib.loads((tmp_path / name / "model.toml").read_text())
    assert facts["model"]["name"] == name
    assert [tensor["shape"] for tensor in facts["outputs"]] == [list(tensor.shape) for tensor in card.outputs]


def test_an_item_gives_the_same_maps_alone_and_among_others(tmp_path: Path) -> None:
    torch.manual_seed(0)
    example = torch.rand(3, 3, 512, 512) * 2 - 1
    export_model(
        NailMaps(nail_seg(pretrained=False)),
        SEG_CARD,
        tmp_path / "nail_seg",
        example=[example[:2]],
        provenance=PROVENANCE,
        half_tolerance=1.0,
    )
    weights = tmp_path / "nail_seg" / "1" / "model.onnx"
    together = run_onnx(weights, {"images": example.numpy()})["maps"]
    alone = np.concatenate(
        [run_onnx(weights, {"images": example[i : i + 1].numpy()})["maps"] for i in range(3)]
    )
    assert np.abs(together - alone).max() <= 1e-5


def test_a_graph_that_disagrees_with_torch_is_refused_and_leaves_no_weights(tmp_path: Path) -> None:
    class Fickle(torch.nn.Module):
        """Traces as one function and computes another: what a data-dependent branch does."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = NailMaps(nail_seg(pretrained=False))
            self.calls = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return self.inner(images) + float(self.calls)

    example = [torch.rand(2, 3, 512, 512)]
    with pytest.raises(ExportError, match="differs"):
        export_model(Fickle(), SEG_CARD, tmp_path / "nail_seg", example=example, provenance=PROVENANCE)
    assert not (tmp_path / "nail_seg" / "1" / "model.onnx").exists()


def test_the_pose_peak_is_the_presence_of_the_joint() -> None:
    torch.manual_seed(0)
    network = hand_pose(pretrained=False).eval()
    hands = torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        x, y = ServedPose(network)(hands)
        presence = network(halved(hands))[2].sigmoid()
    assert torch.allclose(x.amax(-1), presence)
    assert torch.allclose(y.amax(-1), presence)
