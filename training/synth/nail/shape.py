"""Outlines of nails: half the width along the nail, for each shape and length.

Nail coordinates in units of half the nail's width: x across (-1..1 at the bed), y from the cuticle (0) to
the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# shape: (length of the tip in half widths, power along, power across, side taper, width of the tip)
_TIPS = {
    "square": (0.12, 4.0, 3.0, 0.02, 1.0),
    "squoval": (0.42, 2.7, 2.4, 0.04, 1.0),
    "round": (0.85, 2.0, 2.0, 0.05, 1.0),
    "oval": (1.35, 2.0, 1.9, 0.10, 1.0),
    "almond": (2.2, 1.75, 1.35, 0.14, 1.0),
    "coffin": (0.14, 4.0, 3.0, 0.0, 0.52),
    "stiletto": (3.2, 1.3, 1.08, 0.12, 1.0),
}


@dataclass(frozen=True)
class Outline:
    """One nail's outline. `length` and `bed` (where the free edge begins) in half widths, `cuticle` its
    depth."""

    shape: str
    length: float
    bed: float
    cuticle: float

    def half_width(self, y: F32) -> F32:
        """Half the width at `y` (0 outside), in half widths."""
        tip, along, across, taper, end = _TIPS[self.shape]
        tip = min(tip, 0.8 * self.length)
        start = self.length - tip
        sides = 0.94 + 0.06 * np.clip(y / (0.35 * self.bed), 0, 1)
        if end < 1:  # straight taper from a little before the free edge
            begin = 0.55 * self.bed
            run = np.clip((y - begin) / max(self.length - begin, 1e-3), 0, 1)
            narrow = min(1.0, (self.length - begin) / 2.6)
            sides = sides * (1 - (1 - end) * narrow * run)
        else:
            sides = sides * (1 - taper * np.clip((y - 0.5 * self.bed) / self.length, 0, 1))
        v = np.clip((y - start) / tip, 0, 1)
        return np.asarray(sides * (1 - v**along) ** (1 / across), np.float32)

    def inside(self, x: F32, y: F32) -> F32:
        """Approximate signed distance to the outline, positive inside, in half widths."""
        side = self.half_width(y) - np.abs(x)
        base = y - self.cuticle * (1 - np.sqrt(np.clip(1 - np.minimum(np.abs(x), 1) ** 2, 0, 1)))
        return np.asarray(np.minimum(np.minimum(side, base), self.length - y), np.float32)


# Free edge beyond the bed, as a share of the bed's length, for each length class.
FREE_EDGE = {"short": (0.0, 0.16), "medium": (0.24, 0.5), "long": (0.62, 1.0), "extra_long": (1.2, 1.8)}


def sample_outline(rng: np.random.Generator, shape: str, length: str, bed: float) -> Outline:
    """Draw an outline; `bed` is the bed's length in half widths. Pointed shapes need some free edge."""
    low, high = FREE_EDGE[length]
    least = {"almond": 0.25, "coffin": 0.35, "stiletto": 0.55}.get(shape, 0.0)
    free = max(rng.uniform(low, high), least * (0.8 + 0.4 * rng.random()))
    return Outline(shape, bed * (1 + free), bed, float(rng.uniform(0.45, 0.95)))
