"""Makes `hand_pose` out of RTMPose-m hand5 (mmpose), in mmpose's own environment; see docs/hands.md.

    python -m training.hand.export_rtmpose --checkpoint FILE.pth --to FOLDER/hand_pose

The network is written out here as the published configuration describes it (rtmpose-m, hand5, 256 x 256), so
nothing is fetched; the checkpoint is a local file that must be the pinned one, or the one whose checksum is
given. `--random` exports the same network with random weights, to prove the route without the checkpoint.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import types
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.hand.export import POSE_CARD
from training.hand.pose_model import JOINTS, SIZE
from training.kit.export.card import Provenance
from training.kit.export.model import ExportReport, export_model


class PinnedError(ValueError):
    """The checkpoint is not the one that is asked for."""


@dataclass(frozen=True)
class Pinned:
    """Published weights. sha256: hex, or as much of its start as the publisher's file name says."""

    name: str
    url: str
    sha256: str
    framework: str
    licence: str


HAND5 = Pinned(
    name="rtmpose-m_simcc-hand5_pt-aic-coco_210e-256x256-74fb594_20230320",
    url="https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/"
    "rtmpose-m_simcc-hand5_pt-aic-coco_210e-256x256-74fb594_20230320.pth",
    sha256="74fb594",
    framework="mmpose 1.3.2, mmdet 3.3.0, mmengine 0.10.7",
    licence="Apache-2.0; the photos it was trained on (five hand data sets) have licences of their own",
)


class SimCC(nn.Module):
    """What is exported: the backbone and the head of a TopdownPoseEstimator, and nothing around them."""

    def __init__(self, estimator: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = estimator.get_submodule("backbone"), estimator.get_submodule("head")

    def forward(self, hands: Tensor) -> tuple[Tensor, Tensor]:
        """f32 [N,3,256,256] -> simcc_x, simcc_y f32 [N,21,512], raw scores."""
        x, y = self.head(self.backbone(hands))
        return x, y


def network() -> dict[str, Any]:
    """RTMPose-m for 21 joints at 256 x 256, as mmpose's registry builds it."""
    codec = {
        "type": "SimCCLabel",
        "input_size": (SIZE, SIZE),
        "sigma": (5.66, 5.66),
        "simcc_split_ratio": 2.0,
        "normalize": False,
        "use_dark": False,
    }
    backbone = {
        "_scope_": "mmdet",
        "type": "CSPNeXt",
        "arch": "P5",
        "expand_ratio": 0.5,
        "deepen_factor": 0.67,
        "widen_factor": 0.75,
        "out_indices": (4,),
        "channel_attention": True,
        "norm_cfg": {"type": "BN"},
        "act_cfg": {"type": "SiLU"},
    }
    attention = {
        "hidden_dims": 256,
        "s": 128,
        "expansion_factor": 2,
        "dropout_rate": 0.0,
        "drop_path": 0.0,
        "act_fn": "SiLU",
        "use_rel_bias": False,
        "pos_enc": False,
    }
    head = {
        "type": "RTMCCHead",
        "in_channels": 768,
        "out_channels": JOINTS,
        "input_size": (SIZE, SIZE),
        "in_featuremap_size": (SIZE // 32, SIZE // 32),
        "simcc_split_ratio": 2.0,
        "final_layer_kernel_size": 7,
        "gau_cfg": attention,
        "loss": {"type": "KLDiscretLoss", "use_target_weight": True, "beta": 10.0, "label_softmax": True},
        "decoder": codec,
    }
    return {"type": "TopdownPoseEstimator", "backbone": backbone, "head": head}


def estimator() -> nn.Module:
    """The network with random weights. Raises ModuleNotFoundError outside mmpose's environment."""
    without_compiled_operators()
    from mmpose.registry import MODELS
    from mmpose.utils import register_all_modules

    register_all_modules()
    built: nn.Module = MODELS.build(network())
    return built.eval()


def without_compiled_operators() -> None:
    """Lets mmcv-lite stand in for mmcv: mmdet imports compiled operators, none of which this network uses."""

    class Missing(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)

            def refuse(*_: object, **__: object) -> None:
                raise NotImplementedError(f"mmcv._ext.{name} is not part of mmcv-lite")

            return refuse

    missing = Missing("mmcv._ext")
    missing.__spec__ = ModuleSpec("mmcv._ext", None)
    sys.modules.setdefault("mmcv._ext", missing)


def checked(checkpoint: Path, pinned: Pinned) -> str:
    """sha256 hex of a file. Raises PinnedError where it does not start as pinned."""
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    if not pinned.sha256 or not digest.startswith(pinned.sha256.lower()):
        raise PinnedError(f"{checkpoint}: sha256 is {digest}, expected {pinned.sha256}... ({pinned.name})")
    return digest


def load(model: nn.Module, checkpoint: Path) -> None:
    """Fills the network from an mmpose checkpoint. Raises RuntimeError where a weight is missing."""
    # Published checkpoints hold mmengine's own records beside the weights, so they cannot be read as weights
    # alone; that is why the checksum comes first.
    stored = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model.load_state_dict(
        {name: value for name, value in stored["state_dict"].items() if not name.startswith("data_preproc")}
    )


def export(model: nn.Module, folder: Path, *, pinned: Pinned, digest: str) -> ExportReport:
    """Writes `folder` (FOLDER/hand_pose) with the contract's tensors; fp32 weights, checked against torch."""
    card = replace(POSE_CARD, description=f"21 joints of a hand: {pinned.name}", licence=pinned.licence)
    provenance = Provenance(
        command="python -m training.hand.export_rtmpose --checkpoint FILE --to FOLDER/hand_pose",
        data=f"{pinned.url} sha256 {digest}; {pinned.framework}",
        seed=0,
        licence_of_origin=pinned.licence,
    )
    example = [torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 4 - 2]
    return export_model(SimCC(model), card, folder, example=example, provenance=provenance, half=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes hand_pose out of RTMPose-m hand5.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", type=Path, help=f"local copy of {HAND5.url}")
    source.add_argument("--random", action="store_true", help="random weights, to prove the route")
    parser.add_argument("--sha256", help="of a checkpoint of your own, instead of the pinned one's")
    parser.add_argument("--to", type=Path, required=True, help="FOLDER/hand_pose")
    given = parser.parse_args()
    torch.manual_seed(0)
    if given.random:
        pinned, digest = replace(HAND5, name="rtmpose-m hand5, random weights", url="none"), "none"
        model = estimator()
    else:
        pinned = HAND5
        if given.sha256:
            pinned = replace(HAND5, name=given.checkpoint.stem, url="local file", sha256=given.sha256)
        digest = checked(given.checkpoint, pinned)
        model = estimator()
        load(model, given.checkpoint)
    print(export(model, given.to, pinned=pinned, digest=digest))


if __name__ == "__main__":
    main()
