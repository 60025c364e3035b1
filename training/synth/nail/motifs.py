"""Small drawings that patterns repeat: flowers, hearts, stars, fruit."""

from __future__ import annotations

import numpy as np

from training.synth.nail.canvas import RGB, Canvas


def scatter_points(c: Canvas, rng: np.random.Generator, step: float) -> list[tuple[float, float]]:
    """Jittered grid positions over the nail, `step` half widths apart."""
    points = []
    y = rng.uniform(0.2, 0.6) * step
    row = 0
    while y < c.outline.length:
        x = -1 + (0.25 + 0.5 * (row % 2)) * step
        while x < 1.05:
            points.append((float(x + rng.normal(0, 0.1 * step)), float(y + rng.normal(0, 0.1 * step))))
            x += step
        y += step * 0.9
        row += 1
    return points


def blossom(
    c: Canvas, x: float, y: float, r: float, petals: int, turn: float, colour: RGB, middle: RGB
) -> None:
    """A flower of round petals."""
    shade: RGB = (int(colour[0] * 0.86), int(colour[1] * 0.82), int(colour[2] * 0.86))
    for k in range(petals):
        a = turn + 2 * np.pi * k / petals
        size = r * (0.52 if petals < 7 else 0.36)
        c.disc(x + 0.56 * r * np.cos(a), y + 0.56 * r * np.sin(a), size, colour)
        c.line([(x, y), (x + 0.6 * r * np.cos(a), y + 0.6 * r * np.sin(a))], shade, 0.03)
    c.disc(x, y, 0.26 * r, middle)


def heart(c: Canvas, x: float, y: float, r: float, tilt: float, colour: RGB, metal: int = 0) -> None:
    """A heart, pointing to the fingertip."""
    t = np.linspace(0, 2 * np.pi, 28)
    u, v = (
        16 * np.sin(t) ** 3 / 16,
        -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16,
    )
    cos, sin = np.cos(tilt), np.sin(tilt)
    points = [
        (float(x + r * (p * cos - q * sin)), float(y + r * (p * sin + q * cos)))
        for p, q in zip(u, v, strict=True)
    ]
    c.polygon(points, colour, metal)


def star(
    c: Canvas, x: float, y: float, r: float, points: int, turn: float, colour: RGB, metal: int = 0
) -> None:
    """A star with `points` points."""
    inner = 0.42 if points == 5 else 0.25
    angles = turn + np.arange(2 * points) * np.pi / points
    radii = np.where(np.arange(2 * points) % 2 == 0, r, r * inner)
    c.polygon(
        [(float(x + q * np.cos(a)), float(y + q * np.sin(a))) for a, q in zip(angles, radii, strict=True)],
        colour,
        metal,
    )


def cherry(c: Canvas, x: float, y: float, r: float) -> None:
    """Two cherries on their stalks."""
    for side in (-1, 1):
        c.line([(x, y - r), (x + side * 0.5 * r, y + 0.3 * r)], (70, 110, 40), 0.05)
        c.disc(x + side * 0.5 * r, y + 0.5 * r, 0.42 * r, (190, 20, 40))
        c.disc(x + side * 0.5 * r - 0.12 * r, y + 0.38 * r, 0.1 * r, (240, 150, 160))


def lemon(c: Canvas, x: float, y: float, r: float) -> None:
    """A slice of lemon."""
    c.disc(x, y, 0.8 * r, (240, 200, 40))
    c.disc(x, y, 0.66 * r, (252, 245, 200))
    for k in range(8):
        a = k * np.pi / 4
        c.disc(x + 0.38 * r * np.cos(a), y + 0.38 * r * np.sin(a), 0.15 * r, (246, 216, 80))


def strawberry(c: Canvas, x: float, y: float, r: float) -> None:
    """A strawberry with seeds."""
    heart(c, x, y, 0.75 * r, 0.0, (215, 30, 45))
    for dx, dy in ((-0.3, -0.1), (0.3, -0.1), (0.0, 0.1), (-0.15, 0.35), (0.15, 0.35)):
        c.disc(x + dx * r, y + dy * r, 0.05 * r, (250, 220, 120))
    c.polygon([(x - 0.4 * r, y - 0.65 * r), (x + 0.4 * r, y - 0.65 * r), (x, y - 0.3 * r)], (60, 130, 50))
