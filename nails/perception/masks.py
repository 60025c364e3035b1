"""Binary masks: COCO's compressed run lengths, polygons, and the measures taken on masks.

Masks are bool [H,W]. Run lengths are column-major and begin with a run of zeros, as COCO stores them; the
compressed form writes each count (from the third on, as the difference to the count two before) in groups of
five bits, least significant first, each as one printable character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_MAX_SIDE = 32_768
_MAX_GROUPS = 7  # five bits each: 35 bits hold every count of an allowed mask and its sign
_MORE, _SIGN, _LOW = 0x20, 0x10, 0x1F
_FIRST_CHARACTER = 48


class MaskError(ValueError):
    """Run lengths or polygons that describe no mask of the stated size."""


def encode_rle(mask: Mask) -> bytes:
    """COCO's compressed counts of a mask bool [H,W]."""
    flat = np.asarray(mask, bool).ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], edges, [flat.size]))
    counts = np.diff(bounds).tolist() if flat.size else []
    if flat.size and flat[0]:
        counts.insert(0, 0)
    encoded = bytearray()
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        while True:
            group = value & _LOW
            value >>= 5  # arithmetic: keeps the sign
            # The last group's top bit is the sign, so stop only when it agrees with what is left.
            done = value == (-1 if group & _SIGN else 0)
            encoded.append((group if done else group | _MORE) + _FIRST_CHARACTER)
            if done:
                break
    return bytes(encoded)


def decode_rle(counts: bytes, height: int, width: int) -> Mask:
    """Mask bool [height,width] of COCO's compressed counts.

    Raises MaskError for a size or counts that are no such mask; memory is bounded by the stated size and by
    the number of bytes given, never by what the counts claim.
    """
    if not (0 <= height <= _MAX_SIDE and 0 <= width <= _MAX_SIDE):
        raise MaskError(f"a mask of {width} x {height} is not allowed")
    area = height * width
    runs = _runs(counts, area)
    flat = np.zeros(area, bool)
    position = 0
    for index, run in enumerate(runs):
        if index & 1:
            flat[position : position + run] = True
        position += run
    return flat.reshape((height, width), order="F")


def _runs(counts: bytes, area: int) -> list[int]:
    # Every run but the first is at least one pixel in what encoders write, and zero runs are harmless; but
    # more runs than twice the pixels is no encoder's work.
    runs: list[int] = []
    total, position = 0, 0
    while position < len(counts):
        value, shift = 0, 0
        while True:
            if position >= len(counts) or shift >= 5 * _MAX_GROUPS:
                raise MaskError("the counts end within a number or hold one that is too large")
            character = counts[position] - _FIRST_CHARACTER
            if not 0 <= character < 64:
                raise MaskError("the counts hold a byte that is not allowed")
            position += 1
            value |= (character & _LOW) << shift
            shift += 5
            if not character & _MORE:
                if character & _SIGN:
                    value -= 1 << shift
                break
        if len(runs) > 2:
            value += runs[-2]
        total += value
        if value < 0 or total > area or len(runs) > 2 * area + 1:
            raise MaskError("the counts do not fit the stated size")
        runs.append(value)
    if total != area:
        raise MaskError(f"the counts cover {total} of {area} pixels")
    return runs


def polygons_to_mask(polygons: Iterable[Sequence[float]], height: int, width: int) -> Mask:
    """Fill polygons (flat x0, y0, x1, y1, ... in pixels) into a mask bool [height,width]. They unite.

    Raises MaskError for fewer than three points, an odd number of coordinates, or NaN. Points outside are
    cut off at the border.
    """
    if not (0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE):
        raise MaskError(f"a mask of {width} x {height} is not allowed")
    canvas = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        flat = np.asarray(polygon, np.float64)
        if flat.ndim != 1 or flat.size < 6 or flat.size % 2 or not np.isfinite(flat).all():
            raise MaskError("a polygon needs three points or more, all finite")
        # 1/16 pixel fixed point; far points are pulled in so that the fixed point cannot overflow.
        points = np.clip(flat.reshape(-1, 2), -_MAX_SIDE, 2 * _MAX_SIDE)
        fixed = np.rint((points - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [fixed], 1, lineType=cv2.LINE_8, shift=4)
    return canvas.astype(bool)


def mask_to_polygons(mask: Mask, *, tolerance: float = 0.0) -> list[list[float]]:
    """Outer contours of a mask as flat x0, y0, x1, y1, ... at pixel centres; holes are not kept.

    `tolerance` (pixels) simplifies them. Contours of fewer than three points (specks of a pixel or two) are
    written as the small box that they are.
    """
    contours, _ = cv2.findContours(
        np.ascontiguousarray(mask, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    polygons = []
    for contour in contours:
        points = cv2.approxPolyDP(contour, tolerance, True) if tolerance > 0 else contour
        flat = points.reshape(-1, 2).astype(np.float64) + 0.5
        if len(flat) < 3:
            (x0, y0), (x1, y1) = flat.min(axis=0), flat.max(axis=0)
            flat = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        polygons.append([float(value) for value in flat.ravel()])
    return polygons


def area(mask: Mask) -> int:
    """Pixels that are set."""
    return int(np.count_nonzero(mask))


def centroid(mask: Mask) -> tuple[float, float]:
    """Mean (x, y) of the set pixels' centres. Raises MaskError for an empty mask (paper N (b) 1)."""
    # Sums along the axes instead of index arrays: a large mask needs two short vectors only.
    columns, rows = mask.sum(axis=0, dtype=np.int64), mask.sum(axis=1, dtype=np.int64)
    total = int(columns.sum())
    if total == 0:
        raise MaskError("an empty mask has no centroid")
    x = float(columns @ (np.arange(mask.shape[1]) + 0.5)) / total
    y = float(rows @ (np.arange(mask.shape[0]) + 0.5)) / total
    return x, y


def box(mask: Mask) -> tuple[int, int, int, int]:
    """Smallest (x0, y0, x1, y1) around the set pixels, x1 and y1 exclusive. MaskError for an empty mask."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if columns.size == 0:
        raise MaskError("an empty mask has no box")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def iou(first: Mask, second: Mask) -> float:
    """Intersection over union of two masks of one size; 0 when both are empty."""
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 0.0
