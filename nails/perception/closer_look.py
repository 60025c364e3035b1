"""The second pass of `nail_seg`, over the part of the photo where nails were found, enlarged.

A photo of a whole hand shows nails of a dozen model pixels, and one model pixel along their edge is a tenth
of their area. So the model runs twice: on the whole photo for where the nails are, and on the part that
holds them for their outlines. The second pass replaces the first; where nails already fill the photo there is
none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nails.perception.nail_decode import NailInstance

# The region is at most this share of the photo's longer side, otherwise a second pass gains nothing.
WORTH_SHARE = 0.72
# Room around the nails, as a share of the region's longer side and in diameters of the largest nail.
ROOM_SHARE, ROOM_NAILS = 0.12, 0.8
# No nail fills more than this share of the region: the model was trained on nails with their fingers.
LARGEST_NAIL = 0.3
# Detections below this score do not widen the region.
SURE = 0.6

Region = tuple[int, int, int, int]


def closer_region(nails: Sequence[NailInstance], photo_size: tuple[int, int]) -> Region | None:
    """The part (x0, y0, x1, y1) in whole photo pixels for the second pass, or None where it would gain
    nothing.

    `photo_size` is (width, height).
    """
    sure = [nail for nail in nails if nail.score >= SURE] or list(nails)
    if not sure:
        return None
    x0, y0 = min(nail.box[0] for nail in sure), min(nail.box[1] for nail in sure)
    x1, y1 = max(nail.box[2] for nail in sure), max(nail.box[3] for nail in sure)
    largest = max(max(nail.box[2] - nail.box[0], nail.box[3] - nail.box[1]) for nail in sure)
    side = max(x1 - x0, y1 - y0)
    room = max(ROOM_SHARE * side, ROOM_NAILS * largest)
    side = max(side + 2 * room, largest / LARGEST_NAIL)
    width, height = photo_size
    if side > WORTH_SHARE * max(photo_size):
        return None
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    # A square where the photo allows it; near an edge it moves inwards instead of showing grey.
    across, down = min(side, width), min(side, height)
    left = min(max(0.0, middle_x - across / 2), width - across)
    top = min(max(0.0, middle_y - down / 2), height - down)
    return (
        math.floor(left),
        math.floor(top),
        min(width, math.ceil(left + across)),
        min(height, math.ceil(top + down)),
    )


def cut_region(image: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """The region of an image [H,W,3], contiguous."""
    x0, y0, x1, y1 = region
    return np.ascontiguousarray(image[y0:y1, x0:x1])


def shift_to_photo(nails: Sequence[NailInstance], region: Region) -> list[NailInstance]:
    """Nails found in a region, in the coordinates of the photo."""
    x, y = region[:2]
    return [
        replace(
            nail,
            offset=(nail.offset[0] + x, nail.offset[1] + y),
            box=(nail.box[0] + x, nail.box[1] + y, nail.box[2] + x, nail.box[3] + y),
            centroid=(nail.centroid[0] + x, nail.centroid[1] + y),
        )
        for nail in nails
    ]


def merge_looks(
    first: Sequence[NailInstance], second: Sequence[NailInstance], region: Region
) -> list[NailInstance]:
    """Nails of the second pass, and those of the first whose centroid lies outside its region, best first."""
    x0, y0, x1, y1 = region
    outside = [nail for nail in first if not (x0 <= nail.centroid[0] < x1 and y0 <= nail.centroid[1] < y1)]
    return sorted([*shift_to_photo(second, region), *outside], key=lambda nail: -nail.score)
