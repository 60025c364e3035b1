"""Training batches for hand_detect and hand_pose: random augmented crops (views) of synthetic photos, and
clutter without hands.

Views have half the served side, which is what the networks see; boxes and joints are in pixels of
the served side. A batch is a pure function of (seed, step). Joints are (x, y) with a presence: 1 seen, 0.5
hidden behind something, 0 outside the view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from nails.photo.preprocess import hand_pose_input
from training.hand.detect_model import HALF
from training.hand.frozen_stem import FrozenStem, StemFeatures
from training.hand.pose_model import SIZE as POSE_SIZE
from training.kit.data.photos import Clutter, Image, SyntheticPhoto, photographed, read_image
from training.kit.networks.blocks import to_tensor

HIDDEN_PRESENCE = 0.5
QUARTER_TURNS = 0.15  # share of hands that are turned by a multiple of 90 degrees
MIN_VISIBLE_SHARE = 0.25  # a hand of which less is in the view is not asked for
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DetectBatch:
    """stem: the frozen features of views of side S/2; boxes: for each item f32 [k,4] xyxy in pixels of the
    served side S."""

    stem: StemFeatures
    boxes: list[Tensor]


@dataclass(frozen=True)
class PoseBatch:
    """stem: the frozen features of views of hands of side 128; joints f32 [N,21,2] in pixels of the served
    256; presence f32 [N,21]."""

    stem: StemFeatures
    joints: Tensor
    presence: Tensor


def transform(points: Floats, matrix: Floats) -> Floats:
    """Points [...,2] through an affine matrix [2,3]."""
    result: Floats = points @ matrix[:, :2].T + matrix[:, 2]
    return result


def transform_box(box: Floats, matrix: Floats) -> Floats:
    """The box around a box's image under `matrix`, shrunk a little for what a turn adds at the corners."""
    x0, y0, x1, y1 = box
    middle, half = np.array([(x0 + x1) / 2, (y0 + y1) / 2]), np.array([(x1 - x0) / 2, (y1 - y0) / 2])
    centre = transform(middle, matrix)
    # The outline of a hand is closer to an ellipse than to its box.
    extent = np.sqrt((matrix[:, :2] ** 2) @ (half**2))
    exact = np.abs(matrix[:, :2]) @ half
    turned = abs(matrix[0, 0] * matrix[0, 1]) + abs(matrix[1, 0] * matrix[1, 1])
    if turned < 1e-6 * abs(np.linalg.det(matrix[:, :2])):
        extent = exact
    return np.concatenate([centre - extent, centre + extent])


def draw_detect(
    photo: SyntheticPhoto, size: int, rng: np.random.Generator, clutter: Clutter | None, *, negative: float
) -> tuple[Image, Floats]:
    """A view uint8 [size,size,3] and the boxes [k,4] of the hands in it."""
    if clutter and rng.random() < negative:
        return photographed(clutter.cut(rng, size, size), rng), np.zeros((0, 4))
    image = read_image(photo.image)
    height, width = image.shape[:2]
    scale = size / max(height, width) * np.exp(rng.uniform(np.log(0.55), np.log(1.5)))
    angle = rng.integers(4) * (np.pi / 2) * (rng.random() < 0.5)
    if rng.random() < 0.4:
        angle += rng.normal(0, 0.15)
    mirror = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ mirror * scale
    centre = np.array([width, height]) * rng.uniform(0.4, 0.6, 2)
    matrix = np.concatenate([linear, (np.full(2, size / 2) - linear @ centre)[:, None]], axis=1)
    if scale < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.45 / scale), np.uint8)
    view = np.full((size, size, 3), 127, np.uint8)
    if clutter and rng.random() < 0.5:
        view = np.ascontiguousarray(clutter.cut(rng, size, size))
    cv2.warpAffine(
        image, matrix, (size, size), dst=view, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )
    boxes = []
    for hand in seen_hands(photo):
        box = transform_box(np.array(hand["box"], np.float64), matrix)
        inside = np.clip(box, 0, size)
        area = np.prod(box[2:] - box[:2])
        if area > 0 and np.prod(inside[2:] - inside[:2]) / area >= MIN_VISIBLE_SHARE:
            boxes.append(inside)
    return photographed(view, rng), np.array(boxes).reshape(-1, 4)


def draw_pose(
    photo: SyntheticPhoto, hand: dict[str, Any], rng: np.random.Generator
) -> tuple[Image, Floats, Floats]:
    """A view uint8 [128,128,3] of a hand of `photo`, its joints [21,2] in it and their presence [21]."""
    image = read_image(photo.image)
    joints, presence = joints_of(hand)
    x0, y0, x1, y1 = hand["box"]
    side = max(x1 - x0, y1 - y0) * 1.25 * np.exp(rng.normal(0, 0.12))
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 0.05, 2) * side
    size = POSE_SIZE // HALF
    scale = size / side
    # SyntheticPhoto hands are turned as people hold them, so the view need not turn them much further.
    angle = rng.integers(4) * (np.pi / 2) * (rng.random() < QUARTER_TURNS) + rng.normal(0, 0.25)
    mirror = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ mirror * scale
    matrix = np.concatenate([linear, (np.full(2, size / 2) - linear @ middle)[:, None]], axis=1)
    if scale < 0.6:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.45 / scale), np.uint8)
    square = (size, size)
    view = cv2.warpAffine(image, matrix, square, flags=cv2.INTER_LINEAR, borderValue=(124, 116, 104))
    height, width = image.shape[:2]
    placed = transform(joints, matrix)
    in_view = ((placed >= 0) & (placed < size)).all(axis=1)
    in_photo = ((joints >= 0) & (joints < [width, height])).all(axis=1)
    return photographed(np.asarray(view, np.uint8), rng), placed, presence * in_view * in_photo


def seen_hands(photo: SyntheticPhoto) -> list[dict[str, Any]]:
    """The hands of a photo that are not wholly covered or outside: those with a box of some size."""
    return [
        hand
        for hand in photo.hands
        if min(hand["box"][2] - hand["box"][0], hand["box"][3] - hand["box"][1]) > 8
    ]


def joints_of(hand: dict[str, Any]) -> tuple[Floats, Floats]:
    """Joints [21,2] in photo pixels and presence [21] of an entry of the index's hands."""
    rows = np.array(hand["joints"], np.float64)
    # The index says 2: visible, 1: hidden behind something, 0: outside the photo.
    return rows[:, :2], np.array([0.0, HIDDEN_PRESENCE, 1.0])[rows[:, 2].astype(int)]


def served_pose_view(
    photo: SyntheticPhoto, hand: dict[str, Any]
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """A hand of a photo as serving sees it, given its true box: input, joints in it, presence."""
    view, placed = hand_pose_input(read_image(photo.image), np.array(hand["box"], np.float64), POSE_SIZE)
    joints, presence = joints_of(hand)
    inside = ((joints >= 0) & (joints < np.array(photo.size))).all(axis=1)
    return view, placed.to_input(joints).astype(np.float64), presence * inside


class DetectViews(Dataset[DetectBatch]):
    """Batch number `step` of an endless, repeatable stream for hand_detect."""

    def __init__(
        self,
        photos: list[SyntheticPhoto],
        *,
        seed: int,
        steps: int,
        size: int,
        batch: int,
        clutter: Clutter | None,
        negative: float,
        stem: FrozenStem,
    ) -> None:
        self.photos, self.seed, self.steps, self.size, self.batch = photos, seed, steps, size, batch
        self.stem = stem
        self.clutter = clutter if clutter is not None and len(clutter) else None
        self.negative = negative

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> DetectBatch:
        if not 0 <= step < self.steps:
            raise IndexError(step)
        rng = np.random.default_rng((self.seed, step))
        views, boxes = [], []
        for _ in range(self.batch):
            photo = self.photos[rng.integers(len(self.photos))]
            view, found = draw_detect(photo, self.size // HALF, rng, self.clutter, negative=self.negative)
            views.append(view)
            boxes.append(torch.from_numpy((HALF * found).astype(np.float32)))
        return DetectBatch(self.stem(to_tensor(views)), boxes)


class PoseViews(Dataset[PoseBatch]):
    """Batch number `step` of an endless, repeatable stream for hand_pose; every hand is equally likely."""

    def __init__(
        self, photos: list[SyntheticPhoto], *, seed: int, steps: int, batch: int, stem: FrozenStem
    ) -> None:
        self.hands = [(photo, hand) for photo in photos for hand in seen_hands(photo)]
        self.seed, self.steps, self.batch = seed, steps, batch
        self.stem = stem

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> PoseBatch:
        if not 0 <= step < self.steps:
            raise IndexError(step)
        rng = np.random.default_rng((self.seed, step))
        drawn = [draw_pose(*self.hands[rng.integers(len(self.hands))], rng) for _ in range(self.batch)]
        views, joints, presence = zip(*drawn, strict=True)
        return PoseBatch(
            self.stem(to_tensor(list(views))),
            torch.from_numpy((HALF * np.stack(joints)).astype(np.float32)),
            torch.from_numpy(np.stack(presence).astype(np.float32)),
        )
