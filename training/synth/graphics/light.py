"""Light: a key light with soft shadows from the depth image, ambient light, and reflections by normal."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


class Light:
    """One photo's light. `direction` [3] points to the key light (x right, y down, z to the viewer).

    `tinted_share`: of photos under coloured lamps, in which no one can tell a polish.
    """

    def __init__(self, rng: np.random.Generator, tinted_share: float = 0.06) -> None:
        angle = rng.uniform(-np.pi, 0) if rng.random() < 0.8 else rng.uniform(-np.pi, np.pi)
        elevation = np.deg2rad(rng.uniform(28, 78))
        self.direction = np.array(
            [np.cos(angle) * np.cos(elevation), np.sin(angle) * np.cos(elevation), np.sin(elevation)],
            np.float32,
        )
        self.key = float(rng.uniform(0.45, 0.95))
        self.ambient = float(rng.uniform(0.25, 0.6))
        total = self.key * 0.75 + self.ambient
        self.key, self.ambient = self.key / total, self.ambient / total
        self.softness = float(rng.uniform(0.25, 1.0))
        self.shadow = float(rng.uniform(0.25, 0.8))
        self.flash = rng.random() < 0.1
        if self.flash:  # beside the lens: flat, hard, and what is behind stays dark
            angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.3)
            self.direction = np.array([tilt * np.cos(angle), tilt * np.sin(angle), 1.0], np.float32)
            self.direction /= np.linalg.norm(self.direction)
            self.key, self.ambient, self.softness = 1.05, float(rng.uniform(0.05, 0.25)), 0.1
        warm = rng.normal(0, 0.06)
        self.key_colour = np.array([1 + warm, 1.0, 1 - warm], np.float32)
        self.ambient_colour = np.array([1 - 0.5 * warm, 1.0, 1 + 0.5 * warm], np.float32)
        if rng.random() < tinted_share:  # coloured lamps
            self.key_colour = _tinted(rng, 0.45)
            self.ambient_colour = _tinted(rng, 0.3)
        self.reflections = _reflections(rng, self.direction)
        self.soft_reflections = cv2.GaussianBlur(self.reflections, (0, 0), 9)

    def diffuse(self, normal: F32, wrap: float = 0.25) -> F32:
        """Lambert with wrap-around [n]."""
        return np.asarray(np.clip((normal @ self.direction + wrap) / (1 + wrap), 0, 1), np.float32)

    def reflect(self, normal: F32, soft: bool = False) -> F32:
        """Reflected brightness [n] looked up by normal, 0 to about 1."""
        table = self.soft_reflections if soft else self.reflections
        size = table.shape[0]
        x = np.clip((normal[:, 0] * 0.5 + 0.5) * (size - 1), 0, size - 1).astype(np.int32)
        y = np.clip((normal[:, 1] * 0.5 + 0.5) * (size - 1), 0, size - 1).astype(np.int32)
        return np.asarray(table[y, x], np.float32)


def _reflections(rng: np.random.Generator, direction: F32) -> F32:
    """What a mirror ball would show [128,128]: a lamp or window at the key light, weaker ones, a bright
    rim."""
    size = 128
    ball = np.full((size, size), 0.0, np.float32)
    half = np.array([direction[0], direction[1], direction[2] + 1])
    half /= np.linalg.norm(half)
    lamps = [(half[0], half[1], 1.0)]
    for _ in range(int(rng.integers(1, 5))):
        angle, radius = rng.uniform(0, 2 * np.pi), 0.6 * rng.uniform(0, 1) ** 0.7
        lamps.append((radius * np.cos(angle), radius * np.sin(angle), rng.uniform(0.2, 0.9)))
    for x, y, power in lamps:
        px, py = (x * 0.5 + 0.5) * size, (y * 0.5 + 0.5) * size
        layer = np.zeros_like(ball)
        w, h = (rng.uniform(2, 9), rng.uniform(4, 45)) if rng.random() < 0.7 else rng.uniform(10, 34, 2)
        turn = rng.normal(0, 12) if rng.random() < 0.6 else rng.uniform(0, 180)
        box = cv2.boxPoints(((px, py), (w, h), float(turn)))
        if rng.random() < 0.1:  # a ring light
            cv2.circle(
                layer, (int(px), int(py)), int(rng.uniform(6, 18)), float(power), int(rng.uniform(2, 6))
            )
        else:
            cv2.fillConvexPoly(layer, np.rint(box).astype(np.int32), float(power if w < 10 else power * 0.6))
        if w >= 10 and rng.random() < 0.5:  # a window's bars
            bars = [(box[0] + box[1], box[2] + box[3]), (box[1] + box[2], box[3] + box[0])]
            for p, q in bars[: int(rng.integers(1, 3))]:
                cv2.line(layer, _pixel(p / 2), _pixel(q / 2), 0.0, 1)
        ball += cv2.GaussianBlur(layer, (0, 0), rng.choice([0.6, rng.uniform(0.8, 3.5)]))
    yy, xx = np.mgrid[0:size, 0:size].astype(np.float32) / (size / 2) - 1
    rim = np.clip((xx * xx + yy * yy - 0.55) / 0.45, 0, 1) ** 2
    ball += rim * np.float32(rng.uniform(0.05, 0.3))
    return np.minimum(ball, 1.3)


def _tinted(rng: np.random.Generator, most: float) -> F32:
    """White light [3] with up to `most` of it missing."""
    return (1 - most * rng.uniform(0, 1, 3) * (rng.random(3) < 0.6)).astype(np.float32)


def _pixel(point: NDArray[np.float32]) -> tuple[int, int]:
    return int(point[0]), int(point[1])


def shadows(z: F32, light: Light, ground: float, reach: float) -> F32:
    """Light that arrives [h,w], 0-1, by comparing the depth with itself moved towards the light.

    `z`: depth in pixels (very negative where nothing is), `ground`: depth of the background, `reach`: how far
    shadows fall, in pixels. Works at a quarter of the size: shadows are soft.
    """
    height, width = z.shape
    small = cv2.resize(z, (max(width // 4, 8), max(height // 4, 8)), interpolation=cv2.INTER_NEAREST)
    small = np.maximum(small, ground)
    dx, dy, dz = (float(v) for v in light.direction)
    flat = max(np.hypot(dx, dy), 1e-3)
    blocked = np.zeros_like(small)
    steps = 6
    for i in range(1, steps + 1):
        run = reach * (i / steps) ** 1.5
        shift = np.array([[1, 0, -dx / flat * run / 4], [0, 1, -dy / flat * run / 4]], np.float32)
        moved = cv2.warpAffine(
            small, shift, (small.shape[1], small.shape[0]), flags=cv2.INTER_LINEAR, borderValue=ground
        )
        excess = moved - small - run * dz / flat
        excess = np.where(
            excess < reach + 0.5 * run, excess, 0
        )  # too far above to touch: its shadow falls elsewhere
        blocked = np.maximum(blocked, np.clip(excess / (2 + 0.25 * run), 0, 1) * (1 - 0.35 * i / steps))
    sigma = 0.6 + light.softness * reach / 30
    blocked = cv2.GaussianBlur(blocked, (0, 0), sigma)
    # creases between fingers get less light from anywhere; a jump to something far away darkens nothing
    limit = 0.3 * reach + 4
    around = np.clip(
        cv2.blur(np.minimum(small, cv2.erode(small, np.ones((9, 9))) + limit), (7, 7)) - small, 0, limit
    )
    close = np.clip(2 - (cv2.dilate(small, np.ones((9, 9))) - small) / limit, 0, 1)
    blocked = np.clip(blocked * light.shadow + 0.5 * around / limit * close, 0, 1)
    return np.asarray(1 - cv2.resize(blocked, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
