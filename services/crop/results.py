"""Plain objects of CropService: the options of a request, and the result for a photo."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nails.colour.palette import PaletteColour
from nails.perception.crop_rules import CropRule
from nails.perception.quality import QualityFlag

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the upright photo."""
Point = tuple[float, float]
"""(x, y) in pixels of the upright photo."""


class CropFormat(Enum):
    """Format of the crop's bytes."""

    PNG = "png"
    JPEG = "jpeg"


@dataclass(frozen=True)
class CropOptions:
    """What to compute.

    size: side of the crop in pixels. min_nail_score: nails below it are dropped, in [0, 1]; 0: the model's
    own threshold.
    """

    size: int = 384
    format: CropFormat = CropFormat.PNG
    include_masks: bool = False
    include_overlay: bool = False
    min_nail_score: float = 0.0


@dataclass(frozen=True)
class NailResult:
    """One nail, in pixels of the upright photo.

    hand: index into the hands, or -1. counts: the mask's COCO run lengths over the whole photo, or None
    without include_masks.
    """

    box: Box
    score: float
    centroid: Point
    area: float
    hand: int
    counts: bytes | None


@dataclass(frozen=True)
class HandResult:
    """One hand, in pixels of the upright photo.

    joints: 21 of (point, score) in hand5 order.
    """

    box: Box
    score: float
    joints: tuple[tuple[Point, float], ...]


@dataclass(frozen=True)
class CroppedPhoto:
    """Everything about one photo.

    size: (width, height) of the upright photo. target_hand: index into hands, or -1. crop: encoded image.
    overlay: PNG, or empty.
    """

    size: tuple[int, int]
    nails: tuple[NailResult, ...]
    hands: tuple[HandResult, ...]
    target_hand: int
    rule: CropRule
    crop_box: Box
    crop: bytes
    palette: tuple[PaletteColour, ...]
    flags: tuple[QualityFlag, ...]
    overlay: bytes
