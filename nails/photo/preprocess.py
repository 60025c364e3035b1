"""From photos to the tensors that models take: one definition for training, evaluation and serving.

`VERSION` is part of every model's fingerprint. Change it whenever a number that a model sees can change.
Boxes are (x0, y0, x1, y1) in pixels; pixel (0, 0) covers the area from (0, 0) to (1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION = "1"

# EfficientNet-Lite's range: about [-1, 1].
_GREY = 127
_MEAN_127, _STD_128 = np.float32(127.0), np.float32(128.0)
_LEVELS = np.arange(256, dtype=np.float32)
# What each level becomes: the same numbers as arithmetic on every pixel, in a tenth of the time.
_LITE_TABLE = (_LEVELS - _MEAN_127) / _STD_128
# RTMPose hand5 (paper N (b) 2), RGB.
_POSE_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_POSE_STD = np.array([58.395, 57.12, 57.375], np.float32)
_POSE_TABLES = (_LEVELS[:, None] - _POSE_MEAN) / _POSE_STD
_POSE_PADDING = 1.25

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Letterbox:
    """How a photo was placed on a canvas: canvas = photo * (scale_x, scale_y) + (pad_x, pad_y).

    `scale` is the nominal factor; the exact ones per axis differ from it by the rounding of the resized
    size to whole pixels.
    """

    scale: float
    pad_x: float
    pad_y: float
    scale_x: float = 0.0
    scale_y: float = 0.0

    def __post_init__(self) -> None:
        if self.scale_x <= 0 or self.scale_y <= 0:  # not given: the nominal factor on both axes
            object.__setattr__(self, "scale_x", self.scale)
            object.__setattr__(self, "scale_y", self.scale)

    def to_photo(self, coordinates: Floats) -> NDArray[np.float32]:
        """Canvas coordinates [...,2] (points) or [...,4] (boxes) to photo pixels, float32, not clamped."""
        repeat = coordinates.shape[-1] // 2
        offset = np.array([self.pad_x, self.pad_y] * repeat)
        factor = np.array([self.scale_x, self.scale_y] * repeat)
        return np.asarray((np.asarray(coordinates, np.float64) - offset) / factor, np.float32)

    def to_canvas(self, coordinates: Floats) -> NDArray[np.float32]:
        """Photo coordinates [...,2] or [...,4] to canvas pixels, float32."""
        repeat = coordinates.shape[-1] // 2
        offset = np.array([self.pad_x, self.pad_y] * repeat)
        factor = np.array([self.scale_x, self.scale_y] * repeat)
        return np.asarray(np.asarray(coordinates, np.float64) * factor + offset, np.float32)


@dataclass(frozen=True)
class PoseTransform:
    """The square of the photo that a pose model sees: photo = input / size * side + (left, top)."""

    left: float
    top: float
    side: float
    size: int

    def to_photo(self, points: Floats) -> NDArray[np.float32]:
        """Input pixels [...,2] to photo pixels, float32."""
        origin = np.array([self.left, self.top])
        return np.asarray(np.asarray(points, np.float64) * (self.side / self.size) + origin, np.float32)

    def to_input(self, points: Floats) -> NDArray[np.float32]:
        """Photo pixels [...,2] to input pixels, float32."""
        origin = np.array([self.left, self.top])
        return np.asarray((np.asarray(points, np.float64) - origin) * (self.size / self.side), np.float32)


def letterbox(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], Letterbox]:
    """Fit an image [H,W,3] into the middle of a grey (127) canvas [size,size,3], keeping its proportions.

    Reduced with area averaging, enlarged bilinearly.
    """
    height, width = image.shape[:2]
    scale = size / max(height, width)
    new_width = min(size, max(1, round(width * scale)))
    new_height = min(size, max(1, round(height * scale)))
    pad_x, pad_y = (size - new_width) // 2, (size - new_height) // 2
    canvas = np.full((size, size, 3), _GREY, np.uint8)
    canvas[pad_y : pad_y + new_height, pad_x : pad_x + new_width] = _resize(image, new_width, new_height)
    return canvas, Letterbox(scale, pad_x, pad_y, new_width / width, new_height / height)


def nail_seg_input(image: NDArray[np.uint8], size: int) -> tuple[NDArray[np.float32], Letterbox]:
    """Input of `nail_seg`: f32 [3,size,size], (x - 127) / 128, letterboxed."""
    canvas, placed = letterbox(image, size)
    return _scaled_chw(canvas), placed


def hand_detect_input(image: NDArray[np.uint8], size: int = 320) -> tuple[NDArray[np.float32], Letterbox]:
    """Input of `hand_detect`: f32 [3,size,size], (x - 127) / 128, letterboxed."""
    canvas, placed = letterbox(image, size)
    return _scaled_chw(canvas), placed


def hand_pose_input(
    image: NDArray[np.uint8], box: Floats, size: int = 256
) -> tuple[NDArray[np.float32], PoseTransform]:
    """Input of `hand_pose`: f32 [3,size,size] of the hand in `box` (4,), photo pixels.

    The box is padded by 1.25 and squared (paper N (b) 2); what lies outside the photo is the mean colour.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    side = max(x1 - x0, y1 - y0, 1.0) * _POSE_PADDING
    left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    placed = PoseTransform(left, top, side, size)
    window = _window(image, left, top, side, size)
    return _look_up(window, [_POSE_TABLES[:, channel] for channel in range(3)]), placed


def backbone_input(image: NDArray[np.uint8], size: int = 224) -> NDArray[np.float32]:
    """Input of `image_align`, `image_style` and `artist_image`: f32 [3,size,size], (x - 127) / 128.

    The image is padded to a square with grey (which becomes 0) and resized.
    """
    canvas, _ = letterbox(image, size)
    return _scaled_chw(canvas)


def _resize(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    reducing = width < image.shape[1] or height < image.shape[0]
    method = cv2.INTER_AREA if reducing else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def _scaled_chw(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
    return _look_up(canvas, [_LITE_TABLE] * 3)


def _look_up(image: NDArray[np.uint8], tables: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """f32 [3,H,W] of an image uint8 [H,W,3]: each channel's levels replaced by its table's entries."""
    planes = [
        cv2.LUT(plane, np.ascontiguousarray(table))
        for plane, table in zip(cv2.split(image), tables, strict=True)
    ]
    return np.stack(planes)


def _window(image: NDArray[np.uint8], left: float, top: float, side: float, size: int) -> NDArray[np.uint8]:
    """Resample the square at (left, top) to [size,size,3]; mean colour outside the image.

    A large square is first reduced by area averaging, since an affine warp alone would alias.
    """
    reduction = max(1, math.floor(side / size))
    if reduction > 1:
        # Only the part of the photo that the window covers is reduced.
        height, width = image.shape[:2]
        cut_x, cut_y = max(0, math.floor(left)), max(0, math.floor(top))
        end_x, end_y = min(width, math.ceil(left + side)), min(height, math.ceil(top + side))
        if end_x > cut_x and end_y > cut_y:
            part = image[cut_y:end_y, cut_x:end_x]
            small_w = max(1, round(part.shape[1] / reduction))
            small_h = max(1, round(part.shape[0] / reduction))
            factor_x, factor_y = small_w / part.shape[1], small_h / part.shape[0]
            return _warp(
                _resize(part, small_w, small_h),
                (left - cut_x) * factor_x,
                (top - cut_y) * factor_y,
                side * factor_x,
                side * factor_y,
                size,
            )
    return _warp(image, left, top, side, side, size)


def _warp(
    image: NDArray[np.uint8], left: float, top: float, side_x: float, side_y: float, size: int
) -> NDArray[np.uint8]:
    step_x, step_y = side_x / size, side_y / size
    # Output pixel centre (i + 0.5) lies at left + (i + 0.5) * step; minus 0.5 for the source's own centre.
    matrix = np.array(
        [[step_x, 0.0, left + 0.5 * step_x - 0.5], [0.0, step_y, top + 0.5 * step_y - 0.5]], np.float64
    )
    warped = cv2.warpAffine(
        image,
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(124, 116, 104),
    )
    return np.asarray(warped, np.uint8)
