"""Skin: ten tones, redness, folds at the joints and fine relief, all in the finger's own coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Monk skin tone scale, sRGB.
MONK = (
    np.array(
        [
            [246, 237, 228],
            [243, 231, 219],
            [247, 234, 208],
            [234, 218, 186],
            [215, 189, 150],
            [160, 126, 86],
            [130, 92, 67],
            [96, 65, 52],
            [58, 49, 42],
            [41, 36, 32],
        ],
        np.float32,
    )
    / 255.0
)


def tone_colour(rng: np.random.Generator, tone: int) -> F32:
    """sRGB [3] of skin in a photo: the Monk swatch made warmer and more saturated, as cameras see it."""
    base = MONK[tone] * 0.86
    if tone < 6:  # towards the pink to golden hue of lit skin, at the swatch's lightness
        peach = np.array([1.0, rng.uniform(0.74, 0.83), rng.uniform(0.60, 0.76)], np.float32)
        flesh = peach * np.float32(base.mean() / peach.mean())
        base = base + (flesh - base) * np.float32(rng.uniform(0.55, 1.0))
    else:
        base = base * np.array([1.32, 1.05, 0.9], np.float32) + np.array([0.03, 0.015, 0.01], np.float32)
    return np.asarray(np.clip(base * rng.uniform(0.92, 1.05), 0.02, 1), np.float32)


class SkinStyle:
    """One person's skin: tone, redness, and folds."""

    def __init__(self, rng: np.random.Generator, tone: int, detail: bool = True) -> None:
        self.tone = tone
        self.colour = tone_colour(rng, tone)
        on = 1.0 if detail else 0.0
        red = on * (rng.uniform(0.0, 0.22) if tone < 6 else rng.uniform(0, 0.12))
        self.blush = np.array([1 + 0.3 * red, 1 - red, 1 - 0.9 * red], np.float32)
        self.folds = float(on * rng.uniform(0.3, 1.25))
        self.relief = float(on * (0.006 + 0.09 * rng.beta(1.2, 3)))
        self.bumps = float(on * 0.04 * rng.beta(1, 2))
        self.mottle = float(on * rng.uniform(0.006, 0.05))
        # patches with more blood in them, fine lines across the fingers, lines and sinews of the hand
        self.blotch = float(on * rng.uniform(0.01, 0.09))
        self.lines = float(on * rng.beta(1.3, 2.0))
        self.sinews = float(on * rng.beta(1.2, 2.0))
        self.veins = float(on * max(rng.uniform(-0.6, 0.9), 0))
        # how much darker and redder skin is where it turns away
        self.sides = float(on * rng.uniform(0.1, 0.6))
        self.shine = float(rng.uniform(0.02, 0.3))
        # the fold around the nail: its dark line, its bulge, a pale rim of dry skin at the base
        self.crease = float(max(rng.uniform(-0.1, 0.45), 0.0) * (1 if detail else 0.5))
        self.bulge = float(on * rng.uniform(0.0, 0.5))
        self.cuticle = float(on * max(rng.uniform(-0.1, 0.16), 0.0))
        self.hair = float(on * max(rng.uniform(-3.5, 1.0), 0))
        self.moles = int(on * rng.poisson(1.2)) if rng.random() < 0.25 else 0
        self._nails(rng)
        self._line_table = rng.standard_normal(512, np.float32)
        # five fine lines at each of two joints of five fingers [5, 10]: position, bend, depth, narrowness,
        # and across the finger where they are deepest and how short they are
        self._folds = (
            rng.normal(0, 0.055, (5, 10)).astype(np.float32),
            rng.normal(0, 0.05, (5, 10)).astype(np.float32),
            rng.uniform(0.15, 0.6, (5, 10)).astype(np.float32),
            (1 / rng.uniform(0.012, 0.045, (5, 10))).astype(np.float32),
            rng.normal(0, 0.3, (5, 10)).astype(np.float32),
            (1 / rng.uniform(0.25, 1.1, (5, 10))).astype(np.float32),
        )

    def _nails(self, rng: np.random.Generator) -> None:
        """Nails without paint: bed, half-moon, ridges and free edge."""
        if self.tone < 6:
            pink = np.array([1.04, rng.uniform(0.84, 1.0), rng.uniform(0.84, 1.06)], np.float32)
        else:
            pink = np.array([1.38, 1.16, 1.18], np.float32) * np.float32(rng.uniform(0.85, 1.15))
        bed = self.colour * pink + rng.uniform(-0.02, 0.1)
        # a milky, rosy or bluish veil of its own over the colour of the skin
        veil = np.array([0.95, rng.uniform(0.68, 0.88), rng.uniform(0.66, 0.88)]) * rng.uniform(0.75, 1.0)
        share = rng.uniform(0.0, 0.65) * (1.0 if self.tone < 6 else 0.6)
        bed = bed + (veil - bed) * share
        if self.tone < 6:  # many are nearly the colour of the skin, a little lighter
            bed = bed + (self.colour * 1.06 + 0.02 - bed) * max(rng.uniform(-0.6, 0.9), 0)
        self.nail_bed = np.clip(bed, 0, 1).astype(np.float32)
        self.ridges = float(0.03 * rng.uniform(0, 1) ** 3)
        self.moon = float(rng.uniform(-0.5, 0.75))
        self.moon_pale = float(rng.uniform(0.1, 0.7))
        self.bed_pale = rng.normal(0, 0.06, 2).astype(np.float32)  # towards the base, towards the sides
        self.edge_at = float(rng.uniform(0.88, 1.02))
        self.edge_smile = float(rng.uniform(0.05, 0.3))
        self.edge_wave = rng.normal(0, 0.012, 3).astype(np.float32)
        self.edge_sharp = float(rng.uniform(0.03, 0.2))
        self.edge_opaque = float(rng.uniform(0.1, 0.95))
        # how much of what lies behind shows through the free edge
        self.edge_clear = float(rng.uniform(0.0, 0.75))
        white = np.array([0.93, 0.90, rng.uniform(0.78, 0.9)], np.float32) * rng.uniform(0.82, 1.0)
        self.edge_colour = (white * (0.9 if self.tone > 6 else 1.0)).astype(np.float32)

    def folds_at(self, finger: NDArray[np.int64], s: F32, sine: F32, cosine: F32, bend: F32) -> F32:
        """Depth of the folds [n] at joints 1 and 2: several fine lines on the back, one or two on the palm
        side, where the finger's root has one as well; and faint lines across everywhere.

        `bend` [5,2] in radians: a bent joint stretches the back's folds away.
        """
        joint = np.clip(np.rint(s), 1, 2).astype(np.int64) - 1
        offset = s - joint - 1
        near = np.flatnonzero(np.abs(offset) < 0.2)
        depth = np.zeros_like(s)
        row, d, cs = finger[near] * 2 + joint[near], offset[near], cosine[near]
        side = sine[near]
        across = side**2
        back = np.clip(cs * 2.0, 0, 1) * np.clip(1.1 - bend, 0.12, 1).ravel()[row]
        lines = np.zeros_like(d)
        for at, curve, deep, wide, middle, short in zip(*self._folds, strict=True):
            u = (d - at[row] - curve[row] * across) * wide[row]
            v = (side - middle[row]) * short[row]
            lines += deep[row] / ((1 + u * u) ** 2 * (1 + v * v * v * v))
        u = (d - 0.01) / 0.018
        second = (d + 0.07) / 0.014
        pads = 0.9 / (1 + u * u) ** 2 + 0.5 / (1 + second * second) ** 2
        depth[near] = back * np.minimum(lines, 1.2) + np.clip(-cs * 3.0, 0, 1) * pads
        root = np.flatnonzero(np.abs(s - 0.42) < 0.09)
        u = (s[root] - 0.42) / 0.02
        depth[root] += 0.8 * np.clip(-cosine[root] * 3.0, 0, 1) / (1 + u * u) ** 2
        place = (s * 110 + finger * 97 + 40 * sine * sine).astype(np.int64) % 512
        everywhere = 0.12 + 0.5 * np.exp(-((offset / 0.22) ** 2))
        depth += np.maximum(self._line_table[place], 0) * everywhere * np.float32(0.28 * self.lines)
        return depth * np.float32(self.folds)

    def redness(self, s: F32, finger: NDArray[np.int64]) -> F32:
        """How red [n], 0-1: fingertips and knuckles carry more blood."""
        tip = np.clip((s - 2.3) * 1.6, 0, 1)
        away = (s - np.rint(s)) / 0.27
        knuckles = np.maximum(1 - away * away, 0) ** 2 * np.clip((s - 0.4) * 4, 0, 1) * (s < 2.3)
        return np.where(finger < 5, 0.9 * tip + 0.45 * knuckles, 0.12).astype(np.float32)
