"""Small glossy things easily taken for nails: beads, buttons, almonds, petals, pencils, lipsticks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.synth.design.colours import named_colour
from training.synth.design.designs import PLAIN_COLOURS

F32 = NDArray[np.float32]


def _paint(rng: np.random.Generator) -> F32:
    return np.array(named_colour(str(rng.choice(PLAIN_COLOURS))), np.float32) * np.float32(
        rng.uniform(0.7, 1.05)
    )


def _place(
    rng: np.random.Generator, image: F32, low: float, high: float
) -> tuple[float, float, float, float]:
    """Middle x and y, size and angle in radians; `low`, `high` in longer sides of the picture."""
    h, w = image.shape[:2]
    size = float(np.exp(rng.uniform(np.log(low), np.log(high)))) * max(h, w)
    return float(rng.uniform(0, w)), float(rng.uniform(0, h)), size, float(rng.uniform(0, 2 * np.pi))


def _solid(
    rng: np.random.Generator,
    image: F32,
    place: tuple[float, float, float, float],
    half: tuple[float, float],
    power: float,
    base: F32,
    gloss: float,
    taper: float = 0.0,
) -> None:
    """A rounded body: a superellipse of half sizes `half` (pixels), lit from one side, with a shine.

    `power` 2 is an ellipse, more is squarer; `taper` narrows one end.
    """
    x, y, _, angle = place
    reach = int(np.hypot(*half)) + 4
    h, w = image.shape[:2]
    x0, x1, y0, y1 = (
        max(int(x) - reach, 0),
        min(int(x) + reach, w),
        max(int(y) - reach, 0),
        min(int(y) + reach, h),
    )
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    dx = np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(x)
    dy = np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(y)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    v = (sin * dx - cos * dy) / np.float32(half[1])
    u = (cos * dx + sin * dy) / (np.float32(half[0]) * (1 - np.float32(taper) * np.clip(v, -1, 1)))
    field = np.abs(u) ** np.float32(power) + np.abs(v) ** np.float32(power)
    soft = np.float32(max(3.0 / min(half), 0.05))
    mask = np.clip((1 - field) / soft + 0.5, 0, 1)
    dome = np.sqrt(np.clip(1 - field, 0, 1))
    lean = rng.uniform(-0.8, 0.8, 2).astype(np.float32)
    shade = np.float32(0.55) + np.float32(0.35) * dome + np.float32(0.2) * (lean[0] * u + lean[1] * v)
    spot = np.exp(
        -(((u - 0.5 * lean[0]) / 0.22) ** 2) - ((v - 0.5 * lean[1]) / np.float32(rng.uniform(0.2, 0.6))) ** 2
    )
    body = base * shade[..., None] + (np.float32(gloss) * spot)[..., None]
    part = image[y0:y1, x0:x1]
    drop = np.clip((1.35 - np.abs(u - 0.2) ** 2 - np.abs(v - 0.1) ** 2) / 0.6, 0, 1) * np.float32(0.35)
    part *= (1 - drop * (1 - mask))[..., None]
    part += (body - part) * mask[..., None]


def _row(
    rng: np.random.Generator, place: tuple[float, float, float, float], step: float
) -> tuple[float, ...]:
    x, y, size, angle = place
    turn = angle + float(rng.normal(0, 0.4))
    return x + step * size * float(np.cos(turn)), y + step * size * float(np.sin(turn)), size, angle


def beads(rng: np.random.Generator, image: F32) -> None:
    """A string or a heap of beads, pearls, pills or sweets."""
    place, base = _place(rng, image, 0.008, 0.05), _paint(rng)
    long, gloss, heap = float(rng.uniform(1.0, 1.9)), float(rng.uniform(0.1, 0.8)), rng.random() < 0.5
    for _ in range(int(rng.integers(2, 14))):
        tint = base if rng.random() < 0.7 else _paint(rng)
        _solid(rng, image, place, (place[2], long * place[2]), 2.0, tint, gloss)
        x, y, size, angle = _row(rng, place, 2.2)
        place = (x, y, size, float(rng.uniform(0, 6)) if heap else angle)


def buttons(rng: np.random.Generator, image: F32) -> None:
    """Keys, tiles, buttons, chocolate: rounded squares side by side."""
    place, base = _place(rng, image, 0.012, 0.08), _paint(rng)
    long, power = float(rng.uniform(0.8, 2.2)), float(rng.uniform(3, 8))
    for _ in range(int(rng.integers(1, 8))):
        _solid(rng, image, place, (place[2], long * place[2]), power, base, float(rng.uniform(0, 0.5)))
        x, y, size, angle = _row(rng, (place[0], place[1], place[2], 0.0), 2.3)
        place = (x, y, size, place[3])
        if angle > 9:
            break


def petals(rng: np.random.Generator, image: F32) -> None:
    """Petals, almonds, leaves, shells: pointed ovals, around a middle or strewn."""
    x, y, size, angle = _place(rng, image, 0.02, 0.11)
    base, count, around = _paint(rng), int(rng.integers(1, 9)), rng.random() < 0.5
    for k in range(count):
        turn = angle + 2 * np.pi * k / count if around else float(rng.uniform(0, 6))
        away = 1.2 * size if around else float(rng.uniform(0, 4)) * size
        at = (x + away * float(np.sin(turn)), y - away * float(np.cos(turn)), size, turn)
        _solid(rng, image, at, (0.5 * size, size), 2.0, base * np.float32(rng.uniform(0.8, 1.1)), 0.15, 0.45)


def pencils(rng: np.random.Generator, image: F32) -> None:
    """Pencils, lipsticks, bottles of polish, brushes: long bodies with a cap of another colour."""
    x, y, size, angle = _place(rng, image, 0.008, 0.05)
    for _ in range(int(rng.integers(1, 5))):
        long = size * float(rng.uniform(3, 12))
        axis = np.array([np.sin(angle), -np.cos(angle)])
        _solid(rng, image, (x, y, size, angle), (size, long), 8.0, _paint(rng), 0.4)
        cap = float(rng.uniform(1.0, 2.4)) * size
        tip = (x + axis[0] * (long + 0.6 * cap), y + axis[1] * (long + 0.6 * cap), size, angle)
        _solid(rng, image, tip, (size * 0.9, cap), float(rng.uniform(2, 6)), _paint(rng), 0.6, 0.4)
        x, y = x + 2.6 * size * float(np.cos(angle)), y + 2.6 * size * float(np.sin(angle))
        angle += float(rng.normal(0, 0.15))


LIKE_NAILS: tuple[Callable[[np.random.Generator, F32], None], ...] = (beads, buttons, petals, pencils)
