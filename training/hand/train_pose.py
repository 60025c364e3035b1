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
from torch import nn
from torch.utils.data import DataLoader

from training.hand.data import PoseViews, seen_hands, served_pose_view
from training.hand.detect_model import halved
from training.hand.pose_loss import pose_loss
from training.hand.pose_model import BINS, SIZE, hand_pose
from training.photos import Drawn, digest, read_drawn, split
from training.run import Averaged, Log, Schedule, load_checkpoint, mean, optimiser, save_checkpoint, take_step

BOX_PADDING = 1.25  # of the served view: a tenth of the box is a tenth of 256 / 1.25 input pixels


@dataclass(frozen=True)
class PoseConfig:
    """The whole of a run."""

    seed: int = 0
    batch: int = 24
    validate_every: int = 250
    validation_photos: int = 150
    schedule: Schedule = field(default_factory=lambda: Schedule(rate=2e-3))


@torch.no_grad()
def validate(network: nn.Module, photos: list[Drawn]) -> dict[str, float]:
    """PCK@0.1 over seen joints and over all joints in the photo; how well presence tells in from out."""
    network.eval()
    seen, inside, presence_right = [], [], []
    for photo in photos:
        for hand in seen_hands(photo):
            view, joints, presence = served_pose_view(photo, hand)
            x, y, present = (output[0] for output in network(halved(torch.from_numpy(view)[None])))
            found = torch.stack([x.argmax(-1), y.argmax(-1)], dim=-1).numpy() * (SIZE / BINS)
            near = np.linalg.norm(found - joints, axis=1) <= 0.1 * SIZE / BOX_PADDING
            seen += near[presence == 1].tolist()
            inside += near[presence > 0].tolist()
            presence_right += ((present.sigmoid().numpy() > 0.3) == (presence > 0)).tolist()
    return {"pck": mean(inside), "pck_seen": mean(seen), "presence": mean(presence_right)}


def train(config: PoseConfig, data: list[Path], run: Path, *, start: Path | None) -> None:
    """Runs the whole training; the best checkpoint by validation PCK is in `run`."""
    torch.manual_seed(config.seed)
    training, kept = split([photo for folder in data for photo in read_drawn(folder)])
    kept = kept[:: max(1, len(kept) // config.validation_photos)]
    network = hand_pose()
    if start is not None:
        network.load_state_dict(load_checkpoint(start)["weights"])
    averaged = Averaged(network)
    solver = optimiser(network, network.backbone, config.schedule)
    steps = config.schedule.steps
    views = PoseViews(training, seed=config.seed, steps=steps, batch=config.batch)
    log, best = Log(run), -1.0
    log(event="start", photos=len(views.photos), validation=len(kept))
    losses: list[float] = []
    for step, batch in enumerate(DataLoader(views, batch_size=None, num_workers=1, prefetch_factor=4)):
        network.train()
        outputs = network(batch.hands.contiguous(memory_format=torch.channels_last))
        loss = pose_loss(outputs, batch.joints, batch.presence)
        take_step(network, solver, loss, factor=config.schedule.factor(step))
        averaged.update(network)
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            log(event="train", step=step + 1, loss=mean(losses[-50:]))
        if (step + 1) % config.validate_every == 0 or step + 1 == steps:
            metrics = validate(averaged.network, kept)
            log(event="validate", step=step + 1, **metrics)
            if metrics["pck"] > best:
                best = metrics["pck"]
                save_checkpoint(
                    run, averaged.network, config=config, data=digest(data), step=step + 1, metrics=metrics
                )


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains hand_pose on drawn photographs.")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of drawn photos")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Schedule.steps)
    parser.add_argument("--start", type=Path, help="run whose weights to start from")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = PoseConfig(seed=given.seed)
    config = replace(config, schedule=replace(config.schedule, steps=given.steps))
    train(config, given.data, given.out, start=given.start)


if __name__ == "__main__":
    main()
