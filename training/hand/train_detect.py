"""Trains hand_detect on drawn photographs and on clutter without hands.

    python -m training.hand.train_detect --data DIR --clutter DIR --seed 0 --out RUN

Checkpoints are chosen by F1 at IoU 0.5 on the kept drawn photos, clutter included, at the served threshold.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from nails.boxes import box_iou
from nails.hands import decode_hand_boxes
from nails.preprocess import hand_detect_input
from training.hand.data import DetectViews, seen_hands
from training.hand.detect_loss import detect_loss
from training.hand.detect_model import SIZE, halved, hand_detector
from training.photos import Clutter, Drawn, digest, read_drawn, read_image, split
from training.run import Averaged, Log, Schedule, load_checkpoint, mean, optimiser, save_checkpoint, take_step


@dataclass(frozen=True)
class DetectConfig:
    """The whole of a run. negative: share of views that are clutter alone."""

    seed: int = 0
    batch: int = 24
    size: int = SIZE
    negative: float = 0.15
    validate_every: int = 250
    validation_photos: int = 150
    schedule: Schedule = field(default_factory=lambda: Schedule(rate=1e-3))


@torch.no_grad()
def validate(network: nn.Module, photos: list[Drawn], clutter: Clutter, size: int) -> dict[str, float]:
    """Precision, recall and F1 of hands at IoU 0.5; phantoms: hands found per photo of clutter."""
    network.eval()
    right = found = wanted = phantoms = 0
    for photo in photos:
        image = read_image(photo.image)
        placed, letterbox = hand_detect_input(image, size)
        scores, boxes = network(halved(torch.from_numpy(placed)[None]))
        detected, _ = decode_hand_boxes(
            boxes[0].numpy(), scores[0].sigmoid().numpy(), letterbox, (image.shape[1], image.shape[0])
        )
        truth = np.array([hand["box"] for hand in seen_hands(photo)], np.float32).reshape(-1, 4)
        found, wanted = found + len(detected), wanted + len(truth)
        free = np.ones(len(truth), bool)
        for box in detected:
            overlap = np.where(free, box_iou(box, truth), 0.0) if len(truth) else np.zeros(0)
            if len(overlap) and overlap.max() >= 0.5:
                free[overlap.argmax()] = False
                right += 1
    rng = np.random.default_rng(0)
    shown = min(60, 2 * len(clutter))
    for _ in range(shown):
        placed, letterbox = hand_detect_input(clutter.cut(rng, 480, 480), size)
        scores, boxes = network(halved(torch.from_numpy(placed)[None]))
        phantoms += len(
            decode_hand_boxes(boxes[0].numpy(), scores[0].sigmoid().numpy(), letterbox, (480, 480))[0]
        )
    precision, recall = right / max(1, found + phantoms), right / max(1, wanted)
    return {
        "f1": 2 * precision * recall / max(1e-9, precision + recall),
        "precision": precision,
        "recall": recall,
        "phantoms": phantoms / max(1, shown),
    }


def train(
    config: DetectConfig, data: list[Path], clutter_folders: list[Path], run: Path, *, start: Path | None
) -> None:
    """Runs the whole training; the best checkpoint by validation F1 is in `run`."""
    torch.manual_seed(config.seed)
    training, kept = split([photo for folder in data for photo in read_drawn(folder)])
    kept = kept[:: max(1, len(kept) // config.validation_photos)]
    network = hand_detector()
    if start is not None:
        network.load_state_dict(load_checkpoint(start)["weights"])
    averaged = Averaged(network)
    solver = optimiser(network, network.backbone, config.schedule)
    clutter = Clutter(clutter_folders)
    steps = config.schedule.steps
    views = DetectViews(
        training,
        seed=config.seed,
        steps=steps,
        size=config.size,
        batch=config.batch,
        clutter=clutter,
        negative=config.negative,
    )
    log, best = Log(run), -1.0
    log(event="start", photos=len(training), validation=len(kept), clutter=len(clutter))
    losses: list[float] = []
    for step, batch in enumerate(DataLoader(views, batch_size=None, num_workers=1, prefetch_factor=4)):
        network.train()
        scores, boxes = network(batch.images.contiguous(memory_format=torch.channels_last))
        loss = detect_loss(scores, boxes, batch.boxes)
        take_step(network, solver, loss, factor=config.schedule.factor(step))
        averaged.update(network)
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            log(event="train", step=step + 1, loss=mean(losses[-50:]))
        if (step + 1) % config.validate_every == 0 or step + 1 == steps:
            metrics = validate(averaged.network, kept, clutter, config.size)
            log(event="validate", step=step + 1, **metrics)
            if metrics["f1"] > best:
                best = metrics["f1"]
                save_checkpoint(
                    run, averaged.network, config=config, data=digest(data), step=step + 1, metrics=metrics
                )


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains hand_detect on drawn photographs.")
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder of drawn photos")
    parser.add_argument("--clutter", type=Path, action="append", default=[], help="photos without hands")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=Schedule.steps)
    parser.add_argument("--start", type=Path, help="run whose weights to start from")
    parser.add_argument(
        "--negative", type=float, default=DetectConfig.negative, help="share of clutter alone"
    )
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config = DetectConfig(seed=given.seed, negative=given.negative)
    config = replace(config, schedule=replace(config.schedule, steps=given.steps))
    train(config, given.data, given.clutter, given.out, start=given.start)


if __name__ == "__main__":
    main()
