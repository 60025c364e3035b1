"""Trains hand_pose on the hands of drawn photographs.

    python -m training.hand.train_pose --data DIR --seed 0 --out RUN

Checkpoints are chosen by PCK@0.1 on the kept drawn photos: the share of joints in the photo that are found
within a tenth of the longer side of their hand's box.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.hand.data import PoseBatch, PoseViews, seen_hands, served_pose_view
from training.hand.detect_model import halved
from training.hand.front import Front, FrontFeatures, Pool, freeze_front, learnt_front
from training.hand.pose_loss import pose_loss
from training.hand.pose_model import COARSE_BINS, SIZE, HandPose, hand_pose
from training.kit.compute import CPU, Compute
from training.kit.data.photos import Drawn, digest, read_drawn, split
from training.kit.fit import Averaged, Schedule, Validation, adamw, every, fit
from training.kit.run import Log, load_checkpoint, save_checkpoint

LAST = torch.channels_last
BOX_PADDING = 1.25  # of the served view: a tenth of the box is a tenth of 256 / 1.25 input pixels


@dataclass(frozen=True)
class PoseConfig:
    """The whole of a run. drawn: new views a step; a view stays in a pool of `pool` and is learnt from
    batch / drawn times. front: stride (16 or 8) up to which the backbone stays as it is."""

    seed: int = 0
    batch: int = 32
    drawn: int = 12
    pool: int = 4096
    front: int = 16
    validate_every: int = 150
    validation_photos: int = 300
    schedule: Schedule = field(default_factory=lambda: Schedule(rate=2e-3))


@dataclass(frozen=True)
class KeptHands:
    """Hands of the kept photos as serving sees them, given their true boxes.

    front: their frozen features; joints f32 [n,21,2] in served pixels; presence f32 [n,21].
    """

    front: FrontFeatures
    joints: NDArray[np.float32]
    presence: NDArray[np.float32]


def kept_hands(network: HandPose, photos: list[Drawn], front: Front) -> KeptHands:
    """Everything about the kept photos that training does not change."""
    features, joints, presence = [], [], []
    for photo in photos:
        for hand in seen_hands(photo):
            view, placed, seen = served_pose_view(photo, hand)
            images = halved(torch.from_numpy(view)[None]) * network.gain + network.shift
            features.append(front(images))
            joints.append(placed)
            presence.append(seen)
    return KeptHands(
        FrontFeatures(*(torch.cat(level) for level in zip(*features, strict=True))),
        np.stack(joints).astype(np.float32),
        np.stack(presence).astype(np.float32),
    )


@torch.no_grad()
def validate(network: nn.Module, kept: KeptHands, compute: Compute = CPU) -> dict[str, float]:
    """PCK@0.1 over all joints in the photo and over seen ones; how well presence tells in from out."""
    assert isinstance(network, HandPose)
    network.eval()
    parts = zip(*(level.split(64) for level in kept.front), strict=True)
    fronts = (learnt_front(network.backbone, compute.batch(FrontFeatures(*part))) for part in parts)
    outputs = [network.from_front(front) for front in fronts]
    x, y, present = (torch.cat(output).cpu() for output in zip(*outputs, strict=True))
    found = (torch.stack([x.argmax(-1), y.argmax(-1)], dim=-1).numpy() + 0.5) * (SIZE / COARSE_BINS)
    near = np.linalg.norm(found - kept.joints, axis=-1) <= 0.1 * SIZE / BOX_PADDING
    inside, seen = kept.presence > 0, kept.presence == 1
    told = (present.sigmoid().numpy() > 0.3) == inside
    return {
        "pck": float(near[inside].mean()),
        "pck_seen": float(near[seen].mean()),
        "presence": float(told.mean()),
    }


def train(
    config: PoseConfig, data: list[Path], run: Path, *, start: Path | None, compute: Compute = CPU
) -> None:
    """Runs the whole training; the best checkpoint by validation PCK is in `run`."""
    torch.manual_seed(config.seed)
    training, kept = split([photo for folder in data for photo in read_drawn(folder)])
    kept = kept[:: max(1, len(kept) // config.validation_photos)]
    network = hand_pose()
    freeze_front(network.backbone, stride=config.front)
    if start is not None:
        network.load_state_dict(load_checkpoint(start)["weights"])
    steps = config.schedule.steps
    front = Front(network.backbone)
    watched = kept_hands(network, kept, front)
    views = PoseViews(
        training, seed=config.seed, steps=steps, batch=config.drawn, front=Front(network.backbone)
    )
    pool = Pool(config.pool, seed=config.seed)
    log = Log(run)
    log(event="start", hands=len(views.hands), validation=len(watched.joints))
    network = compute.network(network)

    def loss(batch: PoseBatch) -> Tensor:
        pool.add((*batch.front, batch.joints, batch.presence))
        stride8, stride16, joints, presence = compute.batch(pool.draw(config.batch))
        features = FrontFeatures(*(level.contiguous(memory_format=LAST) for level in (stride8, stride16)))
        with compute.autocast():
            x, y, seen = network.from_front(learnt_front(network.backbone, features))
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
    parser = argparse.ArgumentParser(description="Trains hand_pose on drawn photographs.")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of drawn photos")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Schedule.steps)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument(
        "--front", type=int, choices=(8, 16), default=16, help="stride up to which the backbone stays"
    )
    parser.add_argument("--start", type=Path, help="run whose weights to start from")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = PoseConfig(seed=given.seed, front=given.front)
    config = replace(config, schedule=replace(config.schedule, steps=given.steps, rate=given.rate))
    train(config, given.data, given.out, start=given.start)


if __name__ == "__main__":
    main()
