"""Warnings about photos that are hard to use; never errors, since people send the photos they have."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.perception.nail_decode import NailInstance


class QualityFlag(IntEnum):
    """What makes a photo hard to use; the numbers are those of lunula.crop.v1.QualityFlag."""

    NO_NAILS = 1
    BLURRED = 2
    TOO_SMALL = 3
    TOO_DARK = 4
    TOO_BRIGHT = 5
    NAIL_CUT = 6


# Below this size of the largest nail in pixels a design cannot be recognised.
_MIN_NAIL_SIDE = 24.0
_MIN_PHOTO_SIDE = 160
_DARK_LEVEL, _BRIGHT_LEVEL = 45.0, 235.0
_WORKING_SIDE = 512
# A nail is cut off where it meets the border along this share of its size or more.
_CUT_SHARE = 0.3
# Variance of the Laplacian at the working size; sharp photos of any subject lie above 50.
_SHARP = 18.0


def find_quality_flags(image: NDArray[np.uint8], nails: Sequence[NailInstance]) -> list[QualityFlag]:
    """Warnings for an upright RGB photo [H,W,3] and the nails found in it, in the order of `Flag`.

    Brightness is the median of the whole photo (black or white nails are a choice, not a fault); blur is
    measured around the nails where there are any, since a soft background is a style.
    """
    found: list[QualityFlag] = []
    if not nails:
        found.append(QualityFlag.NO_NAILS)
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    levels = _Levels(grey)
    if _sharpness(_around(grey, nails)) < _SHARP:
        found.append(QualityFlag.BLURRED)
    largest = max((np.sqrt(nail.area) for nail in nails), default=np.inf)
    if min(grey.shape) < _MIN_PHOTO_SIDE or largest < _MIN_NAIL_SIDE:
        found.append(QualityFlag.TOO_SMALL)
    if levels.at(0.5) < _DARK_LEVEL and levels.at(0.95) < 3 * _DARK_LEVEL:
        found.append(QualityFlag.TOO_DARK)
    if levels.at(0.5) > _BRIGHT_LEVEL and levels.at(0.05) > _BRIGHT_LEVEL - 60:
        found.append(QualityFlag.TOO_BRIGHT)
    if any(_is_cut(nail, (image.shape[1], image.shape[0])) for nail in nails):
        found.append(QualityFlag.NAIL_CUT)
    return found


def _is_cut(nail: NailInstance, size: tuple[int, int]) -> bool:
    """Whether a nail ends at the border of a photo of `size` (width, height), not merely touches it."""
    x, y = nail.offset
    rows, columns = nail.mask.shape
    sides = (
        (y <= 0, nail.mask[0]),
        (y + rows >= size[1], nail.mask[-1]),
        (x <= 0, nail.mask[:, 0]),
        (x + columns >= size[0], nail.mask[:, -1]),
    )
    return any(
        reaches and np.count_nonzero(edge) >= _CUT_SHARE * np.sqrt(nail.area) for reaches, edge in sides
    )


class _Levels:
    """How the grey levels of a photo uint8 [H,W] are spread; counted, which is much cheaper than sorted."""

    def __init__(self, grey: NDArray[np.uint8]) -> None:
        counts = np.asarray(cv2.calcHist([grey], [0], None, [256], [0, 256]), np.float64).ravel()
        self._below = np.cumsum(counts) / max(1, grey.size)

    def at(self, share: float) -> int:
        """The level below or at which `share` of the pixels lie."""
        return int(np.searchsorted(self._below, share))


def _around(grey: NDArray[np.uint8], nails: Sequence[NailInstance]) -> NDArray[np.uint8]:
    if not nails:
        return grey
    boxes = np.array([nail.box for nail in nails])
    margin = 0.1 * float((boxes[:, 2:] - boxes[:, :2]).max())
    x0, y0 = np.maximum(0, boxes[:, :2].min(axis=0) - margin).astype(int)
    x1, y1 = np.ceil(boxes[:, 2:].max(axis=0) + margin).astype(int)
    return grey[y0:y1, x0:x1]


def _sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian after reduction to one working size, so that megapixels do not matter."""
    scale = _WORKING_SIDE / max(grey.shape)
    if scale < 1:
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return float(np.asarray(cv2.Laplacian(grey, cv2.CV_32F)).var())
