"""The flat picture of one nail on which patterns and parts are painted, cuticle at the top."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.nail.shape import Outline

U8 = NDArray[np.uint8]
RGB = tuple[int, int, int]

EDGE = 1.12  # the canvas reaches a little beyond the nail's sides


class Canvas:
    """Pictures of a nail: `rgb` u8 [h,w,3], `cover` u8 [h,w] how opaque the paint is, `metal` u8 [h,w] how it
    mirrors, `height` u8 [h,w] how far parts stand out. `unit` is half the nail's width in canvas pixels."""

    def __init__(self, outline: Outline, unit: int) -> None:
        self.outline = outline
        self.unit = unit
        self.w = int(2 * EDGE * unit) + 1
        self.h = max(int(outline.length * unit) + 2, 4)
        self.rgb: U8 = np.zeros((self.h, self.w, 3), np.uint8)
        self.cover: U8 = np.full((self.h, self.w), 255, np.uint8)
        self.metal: U8 = np.zeros((self.h, self.w), np.uint8)
        self.height: U8 = np.zeros((self.h, self.w), np.uint8)

    def at(self, x: float, y: float) -> tuple[int, int]:
        """Pixel of nail coordinates, x in -1..1, y in half widths."""
        return round((x + EDGE) * self.unit), round(y * self.unit)

    def size(self, length: float) -> int:
        """A length in half widths as whole pixels, at least 1."""
        return max(1, round(length * self.unit))

    def grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Nail coordinates x [1,w] and y [h,1] of every pixel."""
        x = (np.arange(self.w, dtype=np.float32) / self.unit - EDGE)[None, :]
        y = (np.arange(self.h, dtype=np.float32) / self.unit)[:, None]
        return np.asarray(x, np.float32), np.asarray(y, np.float32)

    def fill(self, mask: NDArray[np.floating], colour: RGB, metal: int = 0, cover: int = 255) -> None:
        """Blend a colour by a soft mask [h,w] in 0-1."""
        mask = np.ascontiguousarray(np.broadcast_to(mask, (self.h, self.w)), np.float32)
        m = mask[..., None]
        self.rgb[:] = np.ascontiguousarray(self.rgb * (1 - m) + np.array(colour, np.float32) * m, np.uint8)
        self.cover[:] = (self.cover * (1 - mask) + cover * mask).astype(np.uint8)
        self.metal[:] = (self.metal * (1 - mask) + metal * mask).astype(np.uint8)

    def disc(self, x: float, y: float, r: float, colour: RGB, metal: int = 0) -> None:
        """A filled circle in nail coordinates."""
        centre, radius = self.at(x, y), self.size(r)
        cv2.circle(self.rgb, centre, radius, colour, -1, cv2.LINE_AA)
        cv2.circle(self.cover, centre, radius, 255, -1)
        cv2.circle(self.metal, centre, radius, metal, -1)

    def polygon(self, points: list[tuple[float, float]], colour: RGB, metal: int = 0) -> None:
        """A filled polygon in nail coordinates."""
        pixels = np.array([self.at(x, y) for x, y in points], np.int32)
        cv2.fillPoly(self.rgb, [pixels], colour, cv2.LINE_AA)
        cv2.fillPoly(self.cover, [pixels], 255)
        cv2.fillPoly(self.metal, [pixels], metal)

    def line(self, points: list[tuple[float, float]], colour: RGB, width: float, metal: int = 0) -> None:
        """A polyline in nail coordinates."""
        pixels = np.array([self.at(x, y) for x, y in points], np.int32)
        thick = self.size(width)
        cv2.polylines(self.rgb, [pixels], False, colour, thick, cv2.LINE_AA)
        cv2.polylines(self.cover, [pixels], False, 255, thick)
        cv2.polylines(self.metal, [pixels], False, metal, thick)

    def noise(self, rng: np.random.Generator, cell: float, octaves: int = 2) -> NDArray[np.float32]:
        """Smooth noise [h,w] in about -1..1 with features of `cell` half widths."""
        total = np.zeros((self.h, self.w), np.float32)
        for octave in range(octaves):
            step = max(cell * self.unit / 2**octave, 1.0)
            shape = (max(int(self.h / step) + 2, 2), max(int(self.w / step) + 2, 2))
            coarse = rng.normal(0, 1, shape).astype(np.float32)
            total += cv2.resize(coarse, (self.w, self.h), interpolation=cv2.INTER_CUBIC) / 2**octave
        return total / 1.6
