"""Which part of a photo is cropped: the nails of one hand (paper N, section 2; four rules).

Each nail belongs to the hand that owns the joint nearest to its centroid. The target hand is the one with
most nails; ties go to the nails nearest the middle of the photo, then to the larger nail area, then to the
lower index. With N nails in the photo and H on the target hand, in this order:

1. N <= 2: the whole photo.
2. H <= 2, or no hand: the box around all nails.
3. H = 3: the three, and of the other nails the one nearest their mean centroid.
4. H >= 4: the nails of the target hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.photo.preprocess import letterbox

Box = tuple[float, float, float, float]
Floats = NDArray[np.floating[Any]]

MIN_JOINT_SCORE = 0.3
# Distances are compared to a millionth of a pixel, so that mirrored hands tie whatever the order of sums.
_DECIMALS = 6


class CropRule(IntEnum):
    """The rule that gave a crop box; the numbers are those of lunula.crop.v1.CropRule."""

    WHOLE_PHOTO = 1
    ALL_NAILS = 2
    THREE_PLUS_NEAREST = 3
    TARGET_HAND = 4


@dataclass(frozen=True)
class Crop:
    """The decision of the rules.

    box: around the chosen nails (or the whole photo), not yet padded or squared.
    target_hand: index of the hand with most nails; -1 when there is none, and under WHOLE_PHOTO.
    hand_of_nail: for each nail the index of its hand, or -1.
    """

    box: Box
    rule: CropRule
    target_hand: int
    hand_of_nail: tuple[int, ...]


def assign_hands(centroids: Floats, hands: Sequence[Floats]) -> list[int]:
    """For each nail centroid [n,2] the hand that owns the nearest joint; -1 when no hand has a usable one.

    hands: one array [k,3] (x, y, score) each; joints with a score below 0.3 are ignored. Equal distances go
    to the lower index.
    """
    points = np.asarray(centroids, np.float64).reshape(-1, 2)
    nearest = np.full((len(points), len(hands)), np.inf)
    for index, joints in enumerate(hands):
        usable = np.asarray(joints, np.float64).reshape(-1, 3)
        usable = usable[(usable[:, 2] >= MIN_JOINT_SCORE) & np.isfinite(usable).all(axis=1)]
        if len(usable) and len(points):
            gaps = points[:, None, :] - usable[None, :, :2]
            nearest[:, index] = np.sqrt((gaps**2).sum(axis=2)).min(axis=1)
    if not len(hands):
        return [-1] * len(points)
    owners = nearest.argmin(axis=1)
    return [int(owner) if np.isfinite(row[owner]) else -1 for owner, row in zip(owners, nearest, strict=True)]


def choose_crop(
    boxes: Floats, centroids: Floats, areas: Floats, hands: Sequence[Floats], size: tuple[int, int]
) -> Crop:
    """Apply the rules to n nails in a photo of `size` (width, height).

    boxes: [n,4]; centroids: [n,2]; areas: [n]; hands: one array [k,3] of joints (x, y, score) for each hand.
    All in photo pixels. Raises ValueError where the numbers of nails differ.
    """
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    points = np.asarray(centroids, np.float64).reshape(-1, 2)
    pixels = np.asarray(areas, np.float64).reshape(-1)
    count = len(corners)
    if not len(points) == len(pixels) == count:
        raise ValueError("every nail needs a box, a centroid and an area")
    owners = tuple(assign_hands(points, hands))
    if count <= 2:
        return Crop((0.0, 0.0, float(size[0]), float(size[1])), CropRule.WHOLE_PHOTO, -1, owners)
    groups: dict[int, list[int]] = {}
    for nail, hand in enumerate(owners):
        if hand >= 0:
            groups.setdefault(hand, []).append(nail)
    if not groups:
        return Crop(_around(corners), CropRule.ALL_NAILS, -1, owners)

    centre = np.array([size[0] / 2, size[1] / 2])
    from_centre = np.linalg.norm(points - centre, axis=1)

    def preference(hand: int) -> tuple[float, float, float, int]:
        nails = groups[hand]
        distance = round(float(from_centre[nails].mean()), _DECIMALS)
        return -len(nails), distance, -float(pixels[nails].sum()), hand

    target = min(groups, key=preference)
    chosen = groups[target]
    if len(chosen) <= 2:
        return Crop(_around(corners), CropRule.ALL_NAILS, target, owners)
    if len(chosen) >= 4:
        return Crop(_around(corners[chosen]), CropRule.TARGET_HAND, target, owners)
    others = [nail for nail in range(count) if nail not in chosen]
    if others:
        mean = points[chosen].mean(axis=0)
        gaps = np.round(np.linalg.norm(points[others] - mean, axis=1), _DECIMALS)
        chosen = [*chosen, others[int(gaps.argmin())]]
    return Crop(_around(corners[chosen]), CropRule.THREE_PLUS_NEAREST, target, owners)


def expand_square(box: Box, size: tuple[int, int], pad: float = 0.1) -> Box:
    """Pad a box by `pad` of its long side on every side, clamp it, and widen it to a square in the photo.

    The square is moved, not cut, where it would leave the photo of `size` (width, height). Where it does not
    fit between the photo's edges, that axis spans the whole photo and the box stays oblong: no nail is lost
    (`cut` fills the rest). Paper N (b) 6.
    """
    x0, y0, x1, y1 = box
    margin = pad * max(x1 - x0, y1 - y0)
    x0, x1 = max(0.0, x0 - margin), min(float(size[0]), x1 + margin)
    y0, y1 = max(0.0, y0 - margin), min(float(size[1]), y1 + margin)
    side = max(x1 - x0, y1 - y0)
    left, right = _widen(x0, x1, side, float(size[0]))
    top, bottom = _widen(y0, y1, side, float(size[1]))
    return left, top, right, bottom


def cut_square(image: NDArray[np.uint8], box: Box, size: int = 384) -> NDArray[np.uint8]:
    """The pixels of `box` as uint8 [size,size,3]; an oblong box is centred on grey (127).

    Edges are rounded to whole pixels; at least one pixel is taken. `box` must touch the image.
    """
    height, width = image.shape[:2]
    x0, y0 = max(0, min(width - 1, round(box[0]))), max(0, min(height - 1, round(box[1])))
    x1, y1 = max(x0 + 1, min(width, round(box[2]))), max(y0 + 1, min(height, round(box[3])))
    canvas, _ = letterbox(np.ascontiguousarray(image[y0:y1, x0:x1]), size)
    return canvas


def _around(corners: Floats) -> Box:
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _widen(start: float, end: float, side: float, limit: float) -> tuple[float, float]:
    if side >= limit:
        return 0.0, limit
    middle = (start + end) / 2
    start = min(max(0.0, middle - side / 2), limit - side)
    return start, start + side
