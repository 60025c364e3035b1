"""Training batches for nail_seg: random augmented crops (views) of synthetic photos, with clutter, and their
target maps.

A batch is a pure function of (seed, step), so a run can be repeated. All maps are at half the resolution of
the images, like the model's output.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.kit.data.photos import Clutter, Image, SyntheticPhoto, photographed, read_image, read_mask
from training.kit.networks.blocks import to_tensor

GREY = 127
# The interior of a nail is what lies deeper than this share of its largest depth.
CORE_DEPTH = 0.3
BOUNDARY_WEIGHT = 3.0


@dataclass(frozen=True)
class ViewConfig:
    """How photos are cropped and augmented to views."""

    sizes: tuple[int, ...] = (224, 256, 320)
    """sides of the square views in pixels, one for each batch"""
    size_chances: tuple[float, ...] = (0.3, 0.5, 0.2)
    """chances of the sizes; other sizes than these three are equally likely"""
    model_size: int = 512
    """side that the model is served at; zoom 1 shows a photo as large as it will be served"""
    zoom: tuple[float, float] = (0.35, 1.25)
    """least and most zoom (log-uniform) of views that show a part"""
    whole: float = 0.35
    """share of views of the whole photo, letterboxed as in serving, but smaller"""
    negative: float = 0.08
    """share of views of clutter alone"""
    collage: float = 0.25
    """share of views with clutter pasted over a part"""
    batch: int = 16
    """views of the smallest side in a step"""

    def __post_init__(self) -> None:
        if len(self.size_chances) != len(self.sizes) or (
            self.sizes != (224, 256, 320) and self.size_chances == (0.3, 0.5, 0.2)
        ):
            object.__setattr__(self, "size_chances", tuple(1 / len(self.sizes) for _ in self.sizes))


@dataclass(frozen=True)
class SegBatch:
    """images f32 [N,3,S,S]; nail, interior, weight, body f32 [N,1,S/2,S/2].

    body: hands with their nails, and nails that lie alone; below 0 where the photo does not tell, None where
    none of the photos tells.
    """

    images: Tensor
    nail: Tensor
    interior: Tensor
    weight: Tensor
    body: Tensor | None = None


def find_interiors(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Cores of the instances in `labels` [h,w]: bool [h,w], apart even where instances touch."""
    labels = np.asarray(labels, np.uint8)
    if not labels.any():
        return np.zeros(labels.shape, bool)
    smallest = cv2.erode(labels, np.ones((3, 3), np.uint8))
    largest = cv2.dilate(labels, np.ones((3, 3), np.uint8))
    apart = ((labels > 0) & (smallest == largest)).astype(np.uint8)
    padded = cv2.copyMakeBorder(apart, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    deepest = np.zeros(256, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    return (depth > CORE_DEPTH * deepest[labels]) & (labels > 0) & (depth > 0)


def view_matrix(
    photo: SyntheticPhoto, labels: NDArray[np.uint8], size: int, rng: np.random.Generator, config: ViewConfig
) -> NDArray[np.float64]:
    """Photo pixels to view pixels, [2,3]: a whole view or a turned, zoomed cut near a nail."""
    height, width = labels.shape
    fit = 1.0 / max(height, width)
    if rng.random() < config.whole:
        scale = size * fit * rng.uniform(0.85, 1.05)
        centre = np.array([width / 2, height / 2])
        target = np.array([size / 2, size / 2]) + rng.normal(0, 0.03 * size, 2)
    else:
        zoom = np.exp(rng.uniform(np.log(config.zoom[0]), np.log(config.zoom[1])))
        scale = config.model_size * fit * zoom
        boxes = [nail["box"] for nail in photo.nails]
        if boxes and rng.random() < 0.85:
            x0, y0, x1, y1 = boxes[rng.integers(len(boxes))]
            centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
            target = rng.uniform(0.15, 0.85, 2) * size
        else:
            centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
            target = np.array([size / 2, size / 2])
    angle = rng.integers(4) * (np.pi / 2) * (rng.random() < 0.5) + rng.normal(0, 0.25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.diag(np.exp(rng.normal(0, 0.06, 2)))
    mirror = np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0])
    linear = turn @ stretch @ mirror * scale
    return np.concatenate([linear, (target - linear @ centre)[:, None]], axis=1)


def draw_view(
    photo: SyntheticPhoto, size: int, rng: np.random.Generator, config: ViewConfig, clutter: Clutter | None
) -> tuple[Image, NDArray[np.uint8]]:
    """A view uint8 [size,size,3] and its instance labels uint8 [size,size]."""
    view, labels, _ = draw_view_with_body(photo, size, rng, config, clutter)
    return view, labels


def draw_view_with_body(
    photo: SyntheticPhoto, size: int, rng: np.random.Generator, config: ViewConfig, clutter: Clutter | None
) -> tuple[Image, NDArray[np.uint8], NDArray[np.float32]]:
    """A view uint8 [size,size,3], its instance labels uint8 [size,size], its body map f32 [size,size]."""
    if clutter and rng.random() < config.negative:
        view = clutter.cut(rng, size, size)
        none = np.zeros((size, size), np.uint8)
        return photographed(view, rng), none, none.astype(np.float32)
    image, mask = read_image(photo.image), read_mask(photo.mask)
    matrix = view_matrix(photo, mask, size, rng, config)
    shrink = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink < 0.6:  # an affine warp alone would alias
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.45 / shrink), np.uint8)
    border = rng.choice(3)
    mode = (cv2.BORDER_CONSTANT, cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT_101)[border]
    grey = (GREY,) * 3
    warped = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=grey
    )
    numbered = cv2.warpAffine(mask, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=mode)
    view, labels = np.asarray(warped, np.uint8), np.asarray(numbered, np.uint8)
    body = np.full((size, size), -1, np.float32)
    if photo.hands_mask is not None:
        hands = (read_mask(photo.hands_mask) > 0).astype(np.uint8)
        shown = cv2.warpAffine(hands, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=mode)
        body = ((np.asarray(shown) > 0) | (labels > 0)).astype(np.float32)
    if clutter and rng.random() < config.collage:
        area = paste_clutter(view, labels, rng, clutter)
        body[area] = np.minimum(body[area], 0)
    return photographed(view, rng), labels, body


def paste_clutter(
    view: Image, labels: NDArray[np.uint8], rng: np.random.Generator, clutter: Clutter
) -> tuple[slice, slice]:
    """Covers one side or a rectangle of `view` with clutter, in place; nails under it are gone.

    Returns where that is, as an index.
    """
    size = len(view)
    low, high = (0.15, 0.5) if rng.random() < 0.7 else (0.1, 0.3)
    extent = (size, int(size * rng.uniform(low, high)))
    height, width = extent if rng.random() < 0.5 else extent[::-1]
    if rng.random() < 0.3:
        height, width = int(size * rng.uniform(0.15, 0.5)), int(size * rng.uniform(0.15, 0.5))
    top, left = int(rng.integers(0, size - height + 1)), int(rng.integers(0, size - width + 1))
    if max(height, width) == size:  # a strip lies at an edge
        top, left = (top if rng.random() < 0.5 else 0), (left if rng.random() < 0.5 else 0)
    area = np.s_[top : top + height, left : left + width]
    view[area] = clutter.cut(rng, width, height)
    labels[area] = 0
    return area


def target_maps(labels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    """nail (covered share), interior and weight maps f32 [S/2,S/2] of labels [S,S]."""
    half = (labels.shape[1] // 2, labels.shape[0] // 2)
    nail = cv2.resize((labels > 0).astype(np.float32), half, interpolation=cv2.INTER_AREA)
    cores = find_interiors(labels).astype(np.float32)
    interior = cv2.resize(cores, half, interpolation=cv2.INTER_AREA)
    inside = (nail > 0.5).astype(np.uint8)
    kernel = np.ones((5, 5), np.uint8)
    edge = cv2.dilate(inside, kernel) != cv2.erode(inside, kernel)
    weight = np.where(edge, BOUNDARY_WEIGHT, 1.0)
    return np.asarray(nail, np.float32), np.asarray(interior, np.float32), weight.astype(np.float32)


class SegViews(Dataset[SegBatch]):
    """Batch number `step` of an endless, repeatable stream of random views."""

    def __init__(
        self,
        photos: list[SyntheticPhoto],
        config: ViewConfig,
        *,
        seed: int,
        steps: int,
        clutter: Clutter | None,
    ) -> None:
        self.photos, self.config, self.seed, self.steps = photos, config, seed, steps
        self.clutter = clutter if clutter is not None and len(clutter) else None

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> SegBatch:
        if not 0 <= step < self.steps:
            raise IndexError(step)
        rng = np.random.default_rng((self.seed, step))
        size = int(rng.choice(self.config.sizes, p=self.config.size_chances))
        # Larger views in smaller batches: every step costs about the same.
        count = max(2, round(self.config.batch * (min(self.config.sizes) / size) ** 2))
        views, maps, bodies = [], [], []
        for _ in range(count):
            photo = self.photos[rng.integers(len(self.photos))]
            view, labels, body = draw_view_with_body(photo, size, rng, self.config, self.clutter)
            views.append(view)
            maps.append(target_maps(labels))
            bodies.append(body[::2, ::2])
        nail, interior, weight = (torch.from_numpy(np.stack(m)[:, None]) for m in zip(*maps, strict=True))
        return SegBatch(to_tensor(views), nail, interior, weight, torch.from_numpy(np.stack(bodies)[:, None]))
