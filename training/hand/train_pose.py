"""Trains hand_pose on the hands of synthetic photos.

    python -m training.hand.train_pose --data DIR --seed 0 --out RUN

Checkpoints are chosen by PCK@0.1 on the kept synthetic photos: the share of joints in the photo that are
found within a tenth of the longer side of their hand's box.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.hand.data import PoseBatch, PoseViews, seen_hands, served_pose_view
from training.hand.detect_model import halved
from training.hand.frozen_stem import FrozenStem, Pool, StemFeatures, freeze_stem, learnt_stem
from training.hand.pose_loss import pose_loss
from training.hand.pose_model import COARSE_BINS, SIZE, HandPose, hand_pose
from training.kit.compute import CPU, Compute
from training.kit.data.photos import SyntheticPhoto, digest, read_synthetic, split
from training.kit.fit import Averaged, Schedule, Validation, adamw, every, fit
from training.kit.flags import FLAT, parse
from training.kit.run import Log, load_checkpoint, save_checkpoint
from training.kit.training_command import TrainingCommand

LAST = torch.channels_last
BOX_PADDING = 1.25  # of the served view: a tenth of the box is a tenth of 256 / 1.25 input pixels


@dataclass(frozen=True)
class PoseConfig:
    """The whole of a run."""

    seed: int = 0
    """fixes batches and weights"""
    batch: int = 32
    """hands a step"""
    new_crops: int = 12
    """new augmented crops a step; each stays in the pool and is learnt from batch / new_crops times"""
    pool: int = 4096
    """augmented crops that are kept to learn from"""
    frozen_stride: Literal[8, 16] = 16
    """the backbone stays as it is up to this stride"""
    validate_every: int = 150
    """steps"""
    validation_photos: int = 300
    """synthetic photos kept for choosing"""
    schedule: Annotated[Schedule, FLAT] = field(default_factory=lambda: Schedule(rate=2e-3))


@dataclass(frozen=True)
class TrainPose(TrainingCommand):
    """The command."""

    config: Annotated[PoseConfig, FLAT] = field(default_factory=PoseConfig)


@dataclass(frozen=True)
class KeptHands:
    """Hands of the kept photos as serving sees them, given their true boxes.

    stem: their frozen features; joints f32 [n,21,2] in served pixels; presence f32 [n,21].
    """

    stem: StemFeatures
    joints: NDArray[np.float32]
    presence: NDArray[np.float32]


def kept_hands(network: HandPose, photos: list[SyntheticPhoto], stem: FrozenStem) -> KeptHands:
    """Everything about the kept photos that training does not change."""
    features, joints, presence = [], [], []
    for photo in photos:
        for hand in seen_hands(photo):
            view, placed, seen = served_pose_view(photo, hand)
            images = halved(torch.from_numpy(view)[None]) * network.gain + network.shift
            features.append(stem(images))
            joints.append(placed)
            presence.append(seen)
    return KeptHands(
        StemFeatures(*(torch.cat(level) for level in zip(*features, strict=True))),
        np.stack(joints).astype(np.float32),
        np.stack(presence).astype(np.float32),
    )


@torch.no_grad()
def validate(network: nn.Module, kept: KeptHands, compute: Compute = CPU) -> dict[str, float]:
    """PCK@0.1 over all joints in the photo and over seen ones; share of joints whose presence is right."""
    assert isinstance(network, HandPose)
    network.eval()
    parts = zip(*(level.split(64) for level in kept.stem), strict=True)
    stems = (learnt_stem(network.backbone, compute.batch(StemFeatures(*part))) for part in parts)
    outputs = [network.from_stem(stem) for stem in stems]
    x, y, present = (torch.cat(output).cpu() for output in zip(*outputs, strict=True))
    found = (torch.stack([x.argmax(-1), y.argmax(-1)], dim=-1).numpy() + 0.5) * (SIZE / COARSE_BINS)
    near = np.linalg.norm(found - kept.joints, axis=-1) <= 0.1 * SIZE / BOX_PADDING
    inside, seen = kept.presence > 0, kept.presence == 1
    agrees = (present.sigmoid().numpy() > 0.3) == inside
    return {
        "pck": float(near[inside].mean()),
        "pck_seen": float(near[seen].mean()),
        "presence": float(agrees.mean()),
    }


def train(
    config: PoseConfig, data: list[Path], run: Path, *, start: Path | None, compute: Compute = CPU
) -> None:
    """Runs the whole training; the best checkpoint by validation PCK is in `run`."""
    torch.manual_seed(config.seed)
    training, kept = split([photo for folder in data for photo in read_synthetic(folder)])
    kept = kept[:: max(1, len(kept) // config.validation_photos)]
    network = hand_pose()
    freeze_stem(network.backbone, stride=config.frozen_stride)
    if start is not None:
        network.load_state_dict(load_checkpoint(start)["weights"])
    steps = config.schedule.steps
    stem = FrozenStem(network.backbone)
    watched = kept_hands(network, kept, stem)
    views = PoseViews(
        training, seed=config.seed, steps=steps, batch=config.new_crops, stem=FrozenStem(network.backbone)
    )
    pool = Pool(config.pool, seed=config.seed)
    log = Log(run)
    log(event="start", hands=len(views.hands), validation=len(watched.joints))
    network = compute.network(network)

    def loss(batch: PoseBatch) -> Tensor:
        pool.add((*batch.stem, batch.joints, batch.presence))
        stride8, stride16, joints, presence = compute.batch(pool.draw(config.batch))
        features = StemFeatures(*(level.contiguous(memory_format=LAST) for level in (stride8, stride16)))
        with compute.autocast():
            x, y, seen = network.from_stem(learnt_stem(network.backbone, features))
        return pose_loss((x.float(), y.float(), seen.float()), joints, presence)

    def keep(best: nn.Module, step: int, metrics: dict[str, float]) -> None:
        save_checkpoint(run, best, config=config, data=digest(data), step=step, metrics=metrics)

    fit(
        network,
        adamw(network, network.backbone, config.schedule),
        DataLoader(views, batch_size=None, num_workers=1, prefetch_factor=4),
        loss,
        steps=steps,
        factor=config.schedule.factor,
        averaged=Averaged(network),
        validation=Validation(
            due=every(config.validate_every, steps),
            measure=lambda best: validate(best, watched, compute),
            by="pck",
            keep=keep,
        ),
        log=log,
    )


def main() -> None:
    """The command line."""
    job: TrainPose = parse(TrainPose, program="python -m training.hand.train_pose", about=__doc__)
    train(job.config, list(job.data), job.out, start=job.start, compute=job.prepare())


if __name__ == "__main__":
    main()
