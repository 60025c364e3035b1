"""Parts stuck on a nail: stones, pearls, studs, foil, chains, bows, shells, flowers, lace, stickers."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.synth.nail.canvas import RGB, Canvas
from training.synth.nail.motifs import blossom, heart, scatter_points, star

Placer = Callable[[Canvas, np.random.Generator, RGB], None]


def _raised(c: Canvas, x: float, y: float, r: float) -> None:
    """Mark a raised disc and the shadow it throws."""
    cv2.circle(
        c.rgb,
        c.at(x + 0.18 * r, y + 0.22 * r),
        c.size(r * 1.08),
        tuple(
            int(v * 0.6)
            for v in c.rgb[min(max(c.at(x, y)[1], 0), c.h - 1), min(max(c.at(x, y)[0], 0), c.w - 1)]
        ),
        -1,
        cv2.LINE_AA,
    )
    cv2.circle(c.height, c.at(x, y), c.size(r), 255, -1)


def _lighter(colour: RGB, share: float) -> RGB:
    return tuple(int(v + (255 - v) * share) for v in colour)  # type: ignore[return-value]  # three values


def _darker(colour: RGB, share: float) -> RGB:
    return tuple(int(v * (1 - share)) for v in colour)  # type: ignore[return-value]  # three values


def _gem(c: Canvas, rng: np.random.Generator, x: float, y: float, r: float, colour: RGB) -> None:
    """A faceted stone: wedges of very different brightness and a bright table."""
    _raised(c, x, y, r)
    c.disc(x, y, r, _darker(colour, 0.35), 90)
    wedges = 8
    turn = rng.uniform(0, 1)
    for k in range(wedges):
        a, b = turn + 2 * np.pi * k / wedges, turn + 2 * np.pi * (k + 1) / wedges
        bright = rng.uniform(-0.7, 0.95)
        shade = _lighter(colour, bright) if bright > 0 else _darker(colour, -bright)
        c.polygon(
            [
                (x, y),
                (x + 0.92 * r * np.cos(a), y + 0.92 * r * np.sin(a)),
                (x + 0.92 * r * np.cos(b), y + 0.92 * r * np.sin(b)),
            ],
            shade,
            90,
        )
    c.disc(x - 0.1 * r, y - 0.1 * r, 0.38 * r, _lighter(colour, 0.75), 120)


def _places(c: Canvas, rng: np.random.Generator, r: float) -> list[tuple[float, float]]:
    """Where parts are usually put: at the cuticle, one in the middle, down a line, or scattered."""
    manner = rng.integers(0, 4)
    if manner == 0:  # along the cuticle
        n = int(rng.integers(3, 7))
        angles = np.linspace(-1.0, 1.0, n)
        return [
            (float(0.72 * np.sin(a)), float(0.15 + c.outline.cuticle * 0.4 + 0.75 * (1 - np.cos(a))))
            for a in angles
        ]
    if manner == 1:
        return [(0.0, float(rng.uniform(0.3, 0.7) * c.outline.length))]
    if manner == 2:
        n = int(rng.integers(2, 6))
        x = rng.uniform(-0.4, 0.4)
        return [
            (float(x), float(v)) for v in np.linspace(0.35, 0.35 + 2.3 * r * n, n) if v < c.outline.length
        ]
    points = scatter_points(c, rng, max(0.7, 3 * r))
    return [points[i] for i in rng.permutation(len(points))[: int(rng.integers(2, 9))]]


def rhinestone(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    r = rng.uniform(0.09, 0.22)
    for x, y in _places(c, rng, r):
        _gem(c, rng, x, y, r * rng.uniform(0.8, 1.3), colour)


def pearl(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    r = rng.uniform(0.09, 0.22)
    for x, y in _places(c, rng, r):
        _raised(c, x, y, r)
        for share, size in ((0.28, 1.0), (0.08, 0.85), (-0.25, 0.6), (-0.7, 0.28)):
            shade = _darker(colour, share) if share > 0 else _lighter(colour, -share)
            c.disc(x - 0.22 * r * (1 - size), y - 0.28 * r * (1 - size), r * size, shade, 20)


def stud(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    r = rng.uniform(0.08, 0.16)
    shape = rng.integers(0, 3)
    for x, y in _places(c, rng, r):
        _raised(c, x, y, r)
        if shape == 0:
            c.disc(x, y, r, _darker(colour, 0.3), 200)
            c.disc(x - 0.25 * r, y - 0.25 * r, 0.55 * r, _lighter(colour, 0.5), 200)
        elif shape == 1:
            c.polygon([(x - r, y), (x, y - r), (x + r, y), (x, y + r)], _darker(colour, 0.25), 200)
            c.polygon([(x - r, y), (x, y - r), (x, y)], _lighter(colour, 0.6), 200)
        else:
            star(c, x, y, 1.2 * r, 5, 0.3, colour, 200)


def foil(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    field = c.noise(rng, 0.35, 3)
    mask = np.clip((field - rng.uniform(0.35, 0.75)) * 12, 0, 1)
    crinkle = np.clip(0.75 + 0.45 * c.noise(rng, 0.1, 1), 0.3, 1.35)
    flakes = np.clip(np.array(colour, np.float32) * crinkle[..., None], 0, 255)
    c.rgb[:] = (c.rgb * (1 - mask[..., None]) + flakes * mask[..., None]).astype(np.uint8)
    c.metal[:] = np.maximum(c.metal, (mask * 170).astype(np.uint8))
    c.cover[:] = np.maximum(c.cover, (mask * 255).astype(np.uint8))


def chain(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    y0, sag = rng.uniform(0.4, 0.7) * c.outline.length, rng.uniform(-0.4, 0.4)
    for k, x in enumerate(np.arange(-1.0, 1.0, 0.13)):
        y = y0 + sag * (1 - x * x)
        _raised(c, float(x), float(y), 0.07)
        c.disc(
            float(x),
            float(y),
            0.08 if k % 2 else 0.055,
            _lighter(colour, 0.3) if k % 2 else _darker(colour, 0.25),
            190,
        )


def bow(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    x, y, r = rng.uniform(-0.15, 0.15), rng.uniform(0.3, 0.65) * c.outline.length, rng.uniform(0.35, 0.6)
    for side in (-1, 1):
        wing = [(x, y), (x + side * r, y - 0.55 * r), (x + side * 1.1 * r, y), (x + side * r, y + 0.5 * r)]
        c.polygon([(px + 0.06, py + 0.08) for px, py in wing], (60, 45, 45))
        c.polygon(wing, colour)
        c.line([(x, y), (x + side * 0.8 * r, y)], _darker(colour, 0.3), 0.06)
        c.polygon(
            [(x, y), (x + side * 0.5 * r, y + 0.95 * r), (x + side * 0.2 * r, y + r)], _darker(colour, 0.12)
        )
    c.disc(x, y, 0.2 * r, _lighter(colour, 0.35))


def shell(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    x, y, r = rng.uniform(-0.2, 0.2), rng.uniform(0.35, 0.65) * c.outline.length, rng.uniform(0.35, 0.55)
    fan = np.linspace(-1.1, 1.1, 9) - np.pi / 2
    _raised(c, x, y - 0.4 * r, 0.7 * r)
    c.polygon(
        [(x, y + 0.5 * r), *[(float(x + r * np.cos(a)), float(y + 0.4 * r + r * np.sin(a))) for a in fan]],
        _lighter(colour, 0.55),
        30,
    )
    for a in fan:
        c.line(
            [(x, y + 0.5 * r), (float(x + r * np.cos(a)), float(y + 0.4 * r + r * np.sin(a)))],
            _darker(colour, 0.1),
            0.04,
        )


def flower_3d(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    r = rng.uniform(0.4, 0.65)
    x, y = rng.uniform(-0.2, 0.2), rng.uniform(0.35, 0.6) * c.outline.length
    turn = rng.uniform(0, 6)
    blossom(c, x + 0.07, y + 0.09, r, 5, turn, (70, 55, 55), (70, 55, 55))
    blossom(c, x, y, r, 5, turn, colour, _lighter(colour, 0.6))
    for k in range(5):
        a = turn + 2 * np.pi * k / 5
        c.disc(
            x + 0.62 * r * np.cos(a) - 0.05, y + 0.62 * r * np.sin(a) - 0.06, 0.25 * r, _lighter(colour, 0.35)
        )
    _gem(c, rng, x, y, 0.2 * r, (235, 225, 200))


def lace(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    step = 0.24
    start = rng.uniform(0.0, 0.5) * c.outline.length
    for y in np.arange(start, c.outline.length, step):
        for x in np.arange(-1, 1.01, step):
            centre = c.at(float(x), float(y))
            cv2.circle(c.rgb, centre, c.size(0.11), colour, c.size(0.03), cv2.LINE_AA)
            cv2.circle(c.cover, centre, c.size(0.11), 255, c.size(0.03))
    c.line([(-1.0, float(start)), (1.0, float(start))], colour, 0.06)


def sticker(c: Canvas, rng: np.random.Generator, colour: RGB) -> None:
    x, y, r = rng.uniform(-0.2, 0.2), rng.uniform(0.35, 0.65) * c.outline.length, rng.uniform(0.35, 0.55)
    if rng.random() < 0.5:
        heart(c, x, y, r * 1.15, 0.0, (250, 250, 250))
        heart(c, x, y, r * 0.95, 0.0, colour)
    else:
        star(c, x, y, r * 1.2, 5, 0.3, (250, 250, 250))
        star(c, x, y, r * 0.95, 5, 0.3, colour)


PLACERS: dict[str, Placer] = {
    "rhinestone": rhinestone,
    "pearl": pearl,
    "stud": stud,
    "gold_foil": foil,
    "silver_foil": foil,
    "chain": chain,
    "bow": bow,
    "shell": shell,
    "flower_3d": flower_3d,
    "lace": lace,
    "sticker": sticker,
}
