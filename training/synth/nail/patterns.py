"""Painted patterns: one function each, drawing on a nail's canvas with given colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.synth.nail.canvas import RGB, Canvas
from training.synth.nail.motifs import blossom, heart, scatter_points, star

F32 = NDArray[np.float32]
# Painters that bring their own colours leave the given ones unused: one signature serves all.
# ruff: noqa: ARG001
Painter = Callable[[Canvas, np.random.Generator, list[RGB], list[int]], None]


def _soft(canvas: Canvas, distance: NDArray[np.floating], blur: float = 0.0) -> F32:
    """Mask from a signed distance in half widths: one pixel of anti-aliasing, or a wider `blur`."""
    width = max(blur, 1.0 / canvas.unit)
    return np.asarray(np.clip(distance / width + 0.5, 0, 1), np.float32)


def french(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    start = max(c.outline.bed * rng.uniform(0.72, 0.95), c.outline.length * 0.5)
    start = min(start, c.outline.length - rng.uniform(0.18, 0.35))
    manner = rng.random()
    if manner < 0.75:  # smile line
        edge = start + rng.uniform(-0.1, 0.35) - rng.uniform(0.15, 0.6) * (1 - x * x)
        edge = start - (edge - start) if rng.random() < 0.12 else edge
    elif manner < 0.9:  # slanted
        edge = start + rng.choice([-1, 1]) * rng.uniform(0.3, 0.6) * x
    else:  # V
        edge = start - 0.2 + rng.uniform(0.5, 0.9) * (np.abs(x) - 0.4) * -1
    mask = _soft(c, y - edge)
    c.fill(mask, colours[0], metal[0])
    if len(colours) > 1:
        c.fill(_soft(c, 0.07 - np.abs(y - edge)), colours[1], metal[1])


def half_moon(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    r = rng.uniform(0.6, 0.95)
    c.fill(_soft(c, r - np.hypot(x, (y - 0.1) * rng.uniform(0.9, 1.4))), colours[0], metal[0])


def ombre(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    start, width = c.outline.length * rng.uniform(0.35, 0.6), c.outline.length * rng.uniform(0.35, 0.8)
    run = y + x * 0 if rng.random() < 0.8 else y * 0.5 + (x + 1) * 0.35 * c.outline.length
    t = np.clip((run - start) / width + 0.5, 0, 1)
    c.fill((t * t * (3 - 2 * t)).astype(np.float32), colours[0], metal[0])


def marble(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    warp = c.noise(rng, 1.2, 3)
    for i, colour in enumerate(colours):
        veins = np.abs(warp + rng.uniform(-0.4, 0.4) + 0.3 * c.noise(rng, 0.5))
        c.fill(np.clip(1 - veins / rng.uniform(0.06, 0.16), 0, 1) * rng.uniform(0.5, 0.95), colour, metal[i])
        c.fill(np.clip(1 - veins / 0.5, 0, 1) * 0.35, colour, metal[i])


def dots(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    r = rng.uniform(0.07, 0.2)
    step = r * rng.uniform(2.6, 4.5)
    row = 0
    y = rng.uniform(0, step)
    while y < c.outline.length:
        x = -1.0 + (row % 2) * step / 2
        while x < 1.1:
            k = int(rng.integers(0, len(colours)))
            c.disc(x, y, r, colours[k], metal[k])
            x += step
        y += step * 0.87
        row += 1


def stripes(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    angle = rng.choice([0, 90, 45, -45]) + rng.normal(0, 2)
    along = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    period = rng.uniform(0.25, 0.75)
    width = period * rng.uniform(0.15, 0.5)
    for i, colour in enumerate(colours):
        phase = (along + i * period / len(colours)) % period
        c.fill(_soft(c, width / 2 - np.abs(phase - period / 2)), colour, metal[i])


def check(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    turn = 0.0 if rng.random() < 0.7 else np.pi / 4
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    period = rng.uniform(0.45, 0.85)
    a = _soft(c, period / 4 - np.abs(u % period - period / 2))
    b = _soft(c, period / 4 - np.abs(v % period - period / 2))
    if rng.random() < 0.35:  # checkerboard
        c.fill(np.abs(a - b).astype(np.float32), colours[0], metal[0])
        return
    c.fill(a * np.float32(0.55) + 0 * b, colours[0], metal[0])
    c.fill(b * np.float32(0.55) + 0 * a, colours[0], metal[0])
    c.fill((a * b).astype(np.float32), colours[0], metal[0])
    if len(colours) > 1:
        c.fill(_soft(c, 0.03 - np.abs(u % period - period * 0.1)) + 0 * b, colours[1], metal[1])
        c.fill(_soft(c, 0.03 - np.abs(v % period - period * 0.1)) + 0 * a, colours[1], metal[1])


def floral(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    small = rng.random() < 0.5
    r = rng.uniform(0.17, 0.27) if small else rng.uniform(0.35, 0.6)
    petals = int(rng.choice([5, 5, 6, 8]))
    leaf = (70, 120, 60)
    for x, y in scatter_points(c, rng, r * rng.uniform(2.0, 3.2)):
        if rng.random() < 0.5:
            angle = rng.uniform(0, 2 * np.pi)
            tip = (x + 1.7 * r * np.cos(angle), y + 1.7 * r * np.sin(angle))
            side = (0.4 * r * np.sin(angle), -0.4 * r * np.cos(angle))
            mid = ((x + tip[0]) / 2, (y + tip[1]) / 2)
            c.polygon(
                [(x, y), (mid[0] + side[0], mid[1] + side[1]), tip, (mid[0] - side[0], mid[1] - side[1])],
                leaf,
            )
        colour = colours[int(rng.integers(0, max(1, len(colours) - 1)))]
        blossom(c, x, y, r, petals, rng.uniform(0, 6), colour, colours[-1])


def leopard(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    r = rng.uniform(0.13, 0.24)
    inner = colours[1] if len(colours) > 1 else tuple(int(v * 0.7) for v in c.rgb[c.h // 2, c.w // 2])
    for x, y in scatter_points(c, rng, r * 2.3):
        c.disc(x, y, r * 0.62, (inner[0], inner[1], inner[2]))
        start = rng.uniform(0, 2 * np.pi)
        for _ in range(int(rng.integers(2, 4))):
            sweep = np.linspace(start, start + rng.uniform(0.8, 1.6), 6)
            c.line([(x + r * np.cos(a), y + r * np.sin(a)) for a in sweep], colours[0], r * 0.5, metal[0])
            start += 2.1


def hearts(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    r = rng.uniform(0.16, 0.55)
    points = [(0.0, c.outline.length * 0.5)] if r > 0.42 else scatter_points(c, rng, r * 2.6)
    for x, y in points:
        k = int(rng.integers(0, len(colours)))
        heart(c, x, y, r, rng.normal(0, 0.25), colours[k], metal[k])


def stars(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    r = rng.uniform(0.14, 0.4)
    points = int(rng.choice([5, 5, 4, 8]))
    for x, y in scatter_points(c, rng, r * 2.6):
        k = int(rng.integers(0, len(colours)))
        star(c, x, y, r * rng.uniform(0.6, 1.1), points, rng.uniform(0, 6), colours[k], metal[k])


def swirl(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    for i in range(int(rng.integers(2, 5))):
        k = i % len(colours)
        phase, amp, freq = rng.uniform(0, 6), rng.uniform(0.2, 0.6), rng.uniform(0.8, 1.8)
        x0, slope = rng.uniform(-0.9, 0.9), rng.normal(0, 0.3)
        ys = np.linspace(-0.2, c.outline.length + 0.2, 40)
        line = [(float(x0 + slope * v + amp * np.sin(freq * v + phase)), float(v)) for v in ys]
        c.line(line, colours[k], rng.uniform(0.08, 0.3), metal[k])


def tortoiseshell(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    field = c.noise(rng, 0.7, 3)
    c.fill(np.clip((field + 0.25) * 2, 0, 1) * 0.75, colours[-1], metal[-1])
    c.fill(np.clip((c.noise(rng, 0.55, 2) - 0.15) * 4, 0, 1) * 0.9, colours[0], metal[0])


def line_art(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    width = rng.uniform(0.03, 0.07)
    if rng.random() < 0.5:  # straight lines
        for _ in range(int(rng.integers(2, 5))):
            a, b = rng.uniform(-1, 1), rng.uniform(-1, 1)
            c.line(
                [(a, rng.uniform(0, c.outline.length)), (b, rng.uniform(0, c.outline.length))],
                colours[0],
                width,
                metal[0],
            )
    else:  # one loose stroke
        points, heading = [(rng.uniform(-0.6, 0.6), rng.uniform(0.3, 0.9))], rng.uniform(0, 6)
        for _ in range(60):
            heading += rng.normal(0, 0.35)
            x, y = points[-1]
            x, y = x + 0.09 * np.cos(heading), y + 0.09 * np.sin(heading)
            if abs(x) > 0.8 or not 0.2 < y < c.outline.length - 0.2:
                heading += 2.0
            points.append((float(np.clip(x, -0.9, 0.9)), float(np.clip(y, 0.1, c.outline.length))))
        c.line(points, colours[0], width, metal[0])


def snow(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    r = rng.uniform(0.25, 0.5)
    for x, y in scatter_points(c, rng, r * 2.4):
        turn = rng.uniform(0, np.pi / 3)
        for k in range(6):
            a = turn + k * np.pi / 3
            tip = (x + r * np.cos(a), y + r * np.sin(a))
            c.line([(x, y), tip], colours[0], 0.05, metal[0])
            for side in (-0.6, 0.6):
                m = (x + 0.6 * r * np.cos(a), y + 0.6 * r * np.sin(a))
                c.line(
                    [m, (m[0] + 0.35 * r * np.cos(a + side), m[1] + 0.35 * r * np.sin(a + side))],
                    colours[0],
                    0.04,
                    metal[0],
                )
    for x, y in scatter_points(c, rng, 0.45):
        c.disc(x, y, 0.035, colours[0], metal[0])


def flame(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    freq, phase = rng.uniform(2.2, 4.0), rng.uniform(0, 6)
    for i, colour in enumerate(colours[:2]):
        tongue = np.abs(((x * freq + phase + 0.5 * np.sin(y * 2.2)) / np.pi) % 1 - 0.5) * 2
        top = c.outline.length * (0.2 + 0.25 * i) + tongue**1.5 * c.outline.length * 0.55
        c.fill(_soft(c, y - top), colour, metal[i])


def zigzag(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    period, rise = rng.uniform(0.4, 1.0), rng.uniform(0.15, 0.4)
    wave = np.abs((x / period) % 1 - 0.5) * 2 * rise
    gap = rng.uniform(0.4, 0.8)
    for i, colour in enumerate(colours):
        phase = (y + wave + i * gap / len(colours)) % gap
        c.fill(_soft(c, gap * 0.16 - np.abs(phase - gap / 2)), colour, metal[i])


def splatter(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    for _ in range(int(rng.integers(14, 45))):
        k = int(rng.integers(0, len(colours)))
        x, y, r = rng.uniform(-1, 1), rng.uniform(0, c.outline.length), rng.exponential(0.06) + 0.02
        sides = int(rng.integers(4, 8))
        angles = np.sort(rng.uniform(0, 2 * np.pi, sides))
        c.polygon(
            [(float(x + r * np.cos(a)), float(y + r * np.sin(a))) for a in angles], colours[k], metal[k]
        )


def half_half(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    manner = rng.integers(0, 3)
    middle = c.outline.length * rng.uniform(0.4, 0.6)
    distance = [x + 0 * y, (y - middle) + 0 * x, (y - middle) * 0.6 + x][manner] * rng.choice([-1, 1])
    c.fill(_soft(c, distance), colours[0], metal[0])
    if len(colours) > 1:
        c.fill(_soft(c, 0.05 - np.abs(distance)), colours[1], metal[1])


def cow(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    field = c.noise(rng, rng.uniform(0.4, 0.7), 1)
    c.fill(np.clip((field - 0.25) * 14, 0, 1), colours[0], metal[0])


def lattice(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    x, y = c.grid()
    period, width = rng.uniform(0.35, 0.7), rng.uniform(0.025, 0.06)
    for sign in (-1, 1):
        u = (x * 0.85 + sign * y * 0.6) % period
        c.fill(_soft(c, width - np.abs(u - period / 2)), colours[0], metal[0])


def fruit(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    from training.synth.nail.motifs import cherry, lemon, strawberry

    draw = (cherry, lemon, strawberry)[int(rng.integers(0, 3))]
    r = rng.uniform(0.22, 0.36)
    for x, y in scatter_points(c, rng, r * 2.7):
        draw(c, x, y, r)


def butterfly(c: Canvas, rng: np.random.Generator, colours: list[RGB], metal: list[int]) -> None:
    r = rng.uniform(0.3, 0.55)
    for x, y in scatter_points(c, rng, r * 2.8):
        tilt = rng.normal(0, 0.5)
        for sx in (-1, 1):
            for length, angle in ((1.0, -0.7), (0.75, 0.65)):
                a = angle if sx > 0 else np.pi - angle
                cx, cy = x + 0.5 * r * length * np.cos(a + tilt), y + 0.5 * r * length * np.sin(a + tilt)
                c.disc(cx, cy, 0.42 * r * length, colours[0], metal[0])
        c.line([(x, y - 0.5 * r), (x, y + 0.5 * r)], (30, 25, 25), 0.05)


PAINTERS: dict[str, Painter] = {
    "french": french,
    "half_moon": half_moon,
    "ombre": ombre,
    "marble": marble,
    "dots": dots,
    "stripes": stripes,
    "check": check,
    "floral": floral,
    "leopard": leopard,
    "hearts": hearts,
    "stars": stars,
    "swirl": swirl,
    "tortoiseshell": tortoiseshell,
    "line_art": line_art,
    "snow": snow,
    "fruit": fruit,
    "flame": flame,
    "zigzag": zigzag,
    "splatter": splatter,
    "half_half": half_half,
    "cow": cow,
    "lattice": lattice,
    "butterfly": butterfly,
}
