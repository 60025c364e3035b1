"""Trains nail_seg on synthetic photos.

    python -m training.seg.train --data DIR [--data DIR] [--clutter DIR] --seed 0 --out RUN

Checkpoints are chosen by mean IoU on the kept synthetic photos alone, whole and letterboxed as in serving.
`--start RUN` continues from another run's weights, for a last stage at the served size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nails.photo.preprocess import nail_seg_input
from training.kit.compute import CPU, Compute, set_memory_format
from training.kit.data.photos import (
    Clutter,
    SyntheticPhoto,
    digest,
    read_image,
    read_mask,
    read_synthetic,
    split,
)
from training.kit.fit import Averaged, Schedule, Validation, adamw, every, fit
from training.kit.flags import FLAT, Folders, parse
from training.kit.networks.backbone import fold_batch_norm, freeze
from training.kit.run import Log, load_checkpoint, mean, save_checkpoint
from training.kit.training_command import TrainingCommand
from training.seg.data import SegBatch, SegViews, ViewConfig, target_maps
from training.seg.loss import seg_loss
from training.seg.model import NailSeg, nail_seg


@dataclass(frozen=True)
class SegConfig:
    """The whole of a run."""

    seed: int = 0
    """fixes batches and weights"""
    frozen_stride: Literal[2, 4, 8, 16] = 8
    """the backbone stays as it is up to this stride"""
    validate_every: int = 250
    """steps"""
    validation_photos: int = 120
    """synthetic photos kept for choosing"""
    validation_size: int = 512
    """side of a photo in validation"""
    bfloat16: bool = True
    """mixed precision, which takes half the time on CPUs that have it"""
    schedule: Annotated[Schedule, FLAT] = field(default_factory=Schedule)
    views: Annotated[ViewConfig, FLAT] = field(default_factory=ViewConfig)


@dataclass(frozen=True)
class TrainSeg(TrainingCommand):
    """The command."""

    clutter: Folders = ()
    """folder of photos without hands; may be given several times"""
    config: Annotated[SegConfig, FLAT] = field(default_factory=SegConfig)


def build(*, pretrained: bool = True, frozen_stride: int = 8) -> NailSeg:
    """The network as it is trained: batch normalisation of the backbone folded, its first stages frozen."""
    network = nail_seg(pretrained=pretrained)
    fold_batch_norm(network.backbone)
    freeze(network.backbone, stride=frozen_stride)
    return set_memory_format(network, torch.channels_last)


def take_weights(network: NailSeg, weights: dict[str, torch.Tensor]) -> None:
    """Fills the network; maps that an older head does not have start at "everywhere, without conviction"."""
    mine = network.state_dict()
    known = weights["head.weight"].shape[0]
    if known < len(mine["head.weight"]):
        head = torch.zeros_like(mine["head.weight"])
        bias = torch.zeros_like(mine["head.bias"])
        head[:known], bias[:known] = weights["head.weight"], weights["head.bias"]
        weights = {**weights, "head.weight": head, "head.bias": bias}
    network.load_state_dict(weights)


@torch.no_grad()
def validate(
    network: nn.Module, photos: list[SyntheticPhoto], size: int, compute: Compute = CPU
) -> dict[str, float]:
    """Mean IoU of the nail map over photos that have nails, and the share of nail in those that have none."""
    network.eval()
    overlaps, phantoms = [], []
    for photo in photos:
        image, _ = nail_seg_input(read_image(photo.image), size)
        mask = (read_mask(photo.mask) > 0).astype(np.uint8)
        placed, _ = nail_seg_input(np.repeat(mask[..., None], 3, axis=2), size)
        labels = (placed[0] * 128 + 127 == 1).astype(np.uint8)
        target = target_maps(labels)[0] > 0.5
        batch = torch.from_numpy(image)[None].contiguous(memory_format=torch.channels_last)
        found = network(compute.batch(batch))[0, 0].cpu().numpy() > 0
        if target.any():
            overlaps.append(float((found & target).sum() / (found | target).sum()))
        else:
            phantoms.append(float(found.mean()))
    return {"iou": mean(overlaps), "phantom_share": mean(phantoms)}


def train(
    config: SegConfig,
    data: list[Path],
    clutter: list[Path],
    run: Path,
    *,
    start: Path | None,
    compute: Compute = CPU,
) -> None:
    """Runs the whole training; the best checkpoint by validation IoU is in `run`."""
    torch.manual_seed(config.seed)
    training, kept = [], []
    for folder in data:
        ours, theirs = split(read_synthetic(folder))
        training += ours
        kept += theirs
    kept = kept[:: max(1, len(kept) // config.validation_photos)]
    network = build(frozen_stride=config.frozen_stride)
    if start is not None:
        take_weights(network, load_checkpoint(start)["weights"])
    network = compute.network(network)
    averaged = Averaged(network)
    steps = config.schedule.steps
    views = SegViews(training, config.views, seed=config.seed, steps=steps, clutter=Clutter(clutter))
    log = Log(run)
    log(event="start", photos=len(training), validation=len(kept), clutter=len(views.clutter or ()))

    def loss(batch: SegBatch) -> Tensor:
        batch = compute.batch(batch)
        images = batch.images.contiguous(memory_format=torch.channels_last)
        with compute.autocast(enabled=config.bfloat16):
            logits = network(images)
        return seg_loss(logits.float(), batch)

    def keep(best: nn.Module, step: int, metrics: dict[str, float]) -> None:
        save_checkpoint(run, best, config=config, data=digest(data), step=step, metrics=metrics)

    fit(
        network,
        adamw(network, network.backbone, config.schedule),
        DataLoader(views, batch_size=None, num_workers=1, prefetch_factor=4),
        loss,
        steps=steps,
        factor=config.schedule.factor,
        averaged=averaged,
        validation=Validation(
            due=every(config.validate_every, steps),
            measure=lambda best: validate(best, kept, config.validation_size, compute),
            by="iou",
            keep=keep,
        ),
        log=log,
    )


def main() -> None:
    """The command line."""
    job: TrainSeg = parse(TrainSeg, program="python -m training.seg.train", about=__doc__)
    compute = job.prepare()
    train(job.config, list(job.data), list(job.clutter), job.out, start=job.start, compute=compute)


if __name__ == "__main__":
    main()
