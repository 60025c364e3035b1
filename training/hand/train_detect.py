"""Trains hand_detect on synthetic photos and on clutter without hands.

    python -m training.hand.train_detect --data DIR --clutter DIR --seed 0 --out RUN

Checkpoints are chosen by F1 at IoU 0.5 on the kept synthetic photos, clutter included; the same photos choose
the limits at which the detector is served.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nails.perception.boxes import box_iou
from nails.perception.hands import decode_hand_boxes
from nails.photo.preprocess import Letterbox, hand_detect_input
from training.hand.data import DetectBatch, DetectViews, seen_hands
from training.hand.detect_loss import detect_loss
from training.hand.detect_model import SIZE, HandDetector, halved, hand_detector, peaks
from training.hand.frozen_stem import FrozenStem, Pool, StemFeatures
from training.kit.compute import CPU, Compute
from training.kit.data.photos import Clutter, SyntheticPhoto, digest, read_image, read_synthetic, split
from training.kit.fit import Averaged, Schedule, Validation, adamw, every, fit
from training.kit.flags import FLAT, Folders, parse
from training.kit.run import Log, load_checkpoint, save_checkpoint
from training.kit.training_command import TrainingCommand

LAST = torch.channels_last
MAX_HANDS = 4  # of a view; synthetic photos have two
NMS_IOUS = (0.5, 0.6, 0.7)
THRESHOLDS = np.round(np.arange(0.2, 0.81, 0.02), 2)
WANTED_PRECISION, ALLOWED_PHANTOMS = 0.95, 0.02
CLUTTER_STEP = 5  # every fifth photo of clutter is kept for choosing


@dataclass(frozen=True)
class DetectConfig:
    """The whole of a run."""

    seed: int = 0
    """fixes batches and weights"""
    batch: int = 24
    """augmented crops a step"""
    new_crops: int = 10
    """new augmented crops a step; each stays in the pool and is learnt from batch / new_crops times"""
    pool: int = 3072
    """augmented crops that are kept to learn from"""
    size: int = SIZE
    """side of the served input"""
    negative: float = 0.25
    """share of crops that are clutter alone"""
    validate_every: int = 100
    """steps"""
    validation_photos: int = 300
    """synthetic photos kept for choosing"""
    schedule: Annotated[Schedule, FLAT] = field(default_factory=lambda: Schedule(rate=1e-3))


@dataclass(frozen=True)
class TrainDetect(TrainingCommand):
    """The command."""

    clutter: Folders = ()
    """folder of photos without hands; may be given several times"""
    config: Annotated[DetectConfig, FLAT] = field(default_factory=DetectConfig)


@dataclass(frozen=True)
class KeptPhoto:
    """A photo as serving sees it: its frozen features, and the true boxes f32 [k,4] in photo pixels."""

    stem: StemFeatures
    placed: Letterbox
    size: tuple[int, int]
    boxes: NDArray[np.float32]


def kept_photos(
    photos: list[SyntheticPhoto], clutter: Clutter | None, stem: FrozenStem, size: int
) -> list[KeptPhoto]:
    """The kept synthetic photos and 120 windows of clutter, which training does not change."""
    shown = [
        (read_image(photo.image), np.array([hand["box"] for hand in seen_hands(photo)], np.float32))
        for photo in photos
    ]
    if clutter is not None and len(clutter):
        rng = np.random.default_rng(0)
        shown += [(clutter.cut(rng, 480, 480), np.zeros((0, 4), np.float32)) for _ in range(120)]
    kept = []
    for image, boxes in shown:
        view, placed = hand_detect_input(image, size)
        features = stem(halved(torch.from_numpy(view)[None]))
        kept.append(KeptPhoto(features, placed, (image.shape[1], image.shape[0]), boxes.reshape(-1, 4)))
    return kept


@torch.no_grad()
def validate(network: nn.Module, kept: list[KeptPhoto], compute: Compute = CPU) -> dict[str, float]:
    """Precision, recall and F1 of hands at IoU 0.5, phantoms, and the limits to serve with.

    phantoms: share of the photos without a hand in which one is found. min_score: the lowest at which
    precision and phantoms are as wanted, else that of the best F1; nms_iou: of the best F1.
    """
    assert isinstance(network, HandDetector)
    network.eval()
    outputs = []
    for photo in kept:
        scores, boxes = network.from_stem(compute.batch(photo.stem))
        probable = peaks(scores.sigmoid(), photo.stem.stride8.shape[2])
        outputs.append((boxes[0].cpu().numpy(), probable[0].cpu().numpy()))
    rows = [
        _figures(kept, outputs, min_score=float(threshold), nms_iou=nms_iou)
        for nms_iou in NMS_IOUS
        for threshold in THRESHOLDS
    ]
    best = max(rows, key=lambda row: row["f1"])
    good = [
        row
        for row in rows
        if row["nms_iou"] == best["nms_iou"]
        and row["precision"] >= WANTED_PRECISION
        and row["phantoms"] <= ALLOWED_PHANTOMS
    ]
    return min(good, key=lambda row: row["min_score"]) if good else best


def _figures(
    kept: list[KeptPhoto],
    outputs: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
    *,
    min_score: float,
    nms_iou: float,
) -> dict[str, float]:
    right = found = wanted = phantoms = empty = 0
    for photo, (boxes, scores) in zip(kept, outputs, strict=True):
        detected, _ = decode_hand_boxes(
            boxes, scores, photo.placed, photo.size, min_score=min_score, nms_iou=nms_iou
        )
        found, wanted = found + len(detected), wanted + len(photo.boxes)
        if not len(photo.boxes):
            empty, phantoms = empty + 1, phantoms + bool(len(detected))
            continue
        free = np.ones(len(photo.boxes), bool)
        for box in detected:
            overlap = np.where(free, box_iou(box, photo.boxes), 0.0)
            if overlap.max() >= 0.5:
                free[overlap.argmax()] = False
                right += 1
    return {
        "f1": 2 * right / max(1, found + wanted),
        "precision": right / max(1, found),
        "recall": right / max(1, wanted),
        "phantoms": phantoms / max(1, empty),
        "min_score": min_score,
        "nms_iou": nms_iou,
    }


def padded(boxes: list[Tensor]) -> Tensor:
    """Boxes [k,4] of each item as one f32 [N,4,4]; what is not there is NaN."""
    full = torch.full((len(boxes), MAX_HANDS, 4), torch.nan)
    for item, hands in enumerate(boxes):
        full[item, : len(hands)] = hands[:MAX_HANDS]
    return full


def train(
    config: DetectConfig,
    data: list[Path],
    clutter_folders: list[Path],
    run: Path,
    *,
    start: Path | None,
    compute: Compute = CPU,
) -> None:
    """Runs the whole training; the best checkpoint by validation F1 is in `run`."""
    torch.manual_seed(config.seed)
    training, kept = split([photo for folder in data for photo in read_synthetic(folder)])
    kept = kept[:: max(1, len(kept) // config.validation_photos)]
    network = hand_detector()
    if start is not None:
        network.load_state_dict(load_checkpoint(start)["weights"])
    clutter, unseen = Clutter(clutter_folders), Clutter([])
    unseen.paths = clutter.paths[::CLUTTER_STEP]
    clutter.paths = [path for i, path in enumerate(clutter.paths) if i % CLUTTER_STEP]
    steps = config.schedule.steps
    views = DetectViews(
        training,
        seed=config.seed,
        steps=steps,
        size=config.size,
        batch=config.new_crops,
        clutter=clutter,
        negative=config.negative,
        stem=FrozenStem(network.backbone),
    )
    watched = kept_photos(kept, unseen, FrozenStem(network.backbone), config.size)
    pool = Pool(config.pool, seed=config.seed)
    log = Log(run)
    log(event="start", photos=len(training), validation=len(kept), clutter=len(clutter))
    network = compute.network(network)

    def loss(batch: DetectBatch) -> Tensor:
        pool.add((*batch.stem, padded(batch.boxes)))
        stride8, stride16, boxed = compute.batch(pool.draw(config.batch))
        features = StemFeatures(*(level.contiguous(memory_format=LAST) for level in (stride8, stride16)))
        with compute.autocast():
            scores, boxes = network.from_stem(features)
        hands = [item[~item.isnan().any(dim=1)] for item in boxed]
        return detect_loss(scores.float(), boxes.float(), hands)

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
            by="f1",
            keep=keep,
        ),
        log=log,
    )


def main() -> None:
    """The command line."""
    job: TrainDetect = parse(TrainDetect, program="python -m training.hand.train_detect", about=__doc__)
    compute = job.prepare()
    train(job.config, list(job.data), list(job.clutter), job.out, start=job.start, compute=compute)


if __name__ == "__main__":
    main()
