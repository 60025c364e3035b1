"""Procedural surfaces behind the hand: cloth, wood, stone, paper, keyboards, rooms, light spots, plain
colour."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.design.colours import random_colour

F32 = NDArray[np.float32]


def noise(
    rng: np.random.Generator, h: int, w: int, cell: float, octaves: int = 3, stretch: float = 1.0
) -> F32:
    """Smooth noise [h,w], about unit variance, features of `cell` pixels (times `stretch` along x)."""
    total = np.zeros((h, w), np.float32)
    norm = 0.0
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        shape = (int(h / step) + 3, int(w / (step * stretch)) + 3)
        coarse = rng.standard_normal(shape, np.float32)
        total += cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC) * (0.6**octave)
        norm += 0.36**octave
    return total / np.float32(np.sqrt(norm))


@lru_cache(maxsize=1)
def _tile() -> F32:
    """One large field of noise with features of 4 pixels, from which `grain` takes its parts."""
    return noise(np.random.default_rng(20), 1024, 1024, 4.0, 3)


def grain(rng: np.random.Generator, h: int, w: int, cell: float, stretch: float = 1.0) -> F32:
    """Noise [h,w] like `noise`, several times faster: a part of one tile, turned, scaled and shifted.

    Features of `cell` pixels, `stretch` times as long in one random direction; good up to about 20 pixels.
    """
    tile = _tile()
    angle, zoom = rng.uniform(0, 2 * np.pi), 4.0 / max(cell, 1.0)
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    shift = rng.uniform(0, 1024, 2)
    matrix = np.array([[cos / stretch, -sin / stretch, shift[0]], [sin, cos, shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(tile, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(part, np.float32)


def plain(rng: np.random.Generator, h: int, w: int) -> F32:
    a, b = random_colour(rng), random_colour(rng)
    b = a + (b - a) * rng.uniform(0.0, 0.4)
    t = np.clip(
        np.linspace(-0.2, 1.2, h, dtype=np.float32)[:, None] + 0.25 * noise(rng, h, w, max(h, w) / 2, 1), 0, 1
    )
    return np.asarray(a + (b - a) * t[..., None], np.float32)


def cloth(rng: np.random.Generator, h: int, w: int) -> F32:
    base, second = random_colour(rng), random_colour(rng)
    period = rng.uniform(2.5, 14)
    yy, xx = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)[None, :]
    wob = noise(rng, h, w, 60, 1) * rng.uniform(0, 6)
    weave = np.sin((xx + wob) * np.float32(2 * np.pi / period)) * np.sin(
        (yy + wob) * np.float32(2 * np.pi / period)
    )
    manner = rng.integers(0, 4)
    shade = 1 + 0.12 * weave + 0.1 * noise(rng, h, w, 3, 2) + 0.16 * noise(rng, h, w, 120, 2)
    image = base * shade[..., None]
    if manner == 0:  # printed stripes
        band = (
            (xx * rng.uniform(-1, 1) + yy * rng.uniform(-1, 1) + wob * 3) % rng.uniform(30, 120)
        ) < rng.uniform(10, 40)
        image = np.where(band[..., None], second * shade[..., None], image)
    elif manner == 1:  # printed blots or dots
        blot = noise(rng, h, w, rng.uniform(15, 60), 1) > rng.uniform(0.5, 1.1)
        image = np.where(blot[..., None], second * shade[..., None], image)
    elif manner == 2:  # ribs of a knit
        rib = np.sin((xx + 2 * wob) * np.float32(2 * np.pi / rng.uniform(8, 26)))
        image = image * (0.8 + 0.25 * np.abs(rib))[..., None]
    return np.asarray(image, np.float32)


def wood(rng: np.random.Generator, h: int, w: int) -> F32:
    dark = np.array([0.28, 0.16, 0.09], np.float32) * rng.uniform(0.4, 1.6)
    light = dark + np.array([0.35, 0.26, 0.17], np.float32) * rng.uniform(0.3, 1.4)
    grain = noise(rng, h, w, rng.uniform(5, 14), 3, rng.uniform(10, 40))
    rings = np.sin(noise(rng, h, w, 90, 2, 5) * rng.uniform(4, 12))
    t = np.clip(0.5 + 0.25 * grain + 0.2 * rings, 0, 1)
    image = dark + (light - dark) * t[..., None]
    if rng.random() < 0.5:  # boards
        step = int(rng.uniform(60, 220))
        image[::step] *= 0.5
        image[1::step] *= 0.6
    return np.asarray(image, np.float32)


def stone(rng: np.random.Generator, h: int, w: int) -> F32:
    base = np.clip(random_colour(rng, 0.25) * 0.5 + 0.45, 0, 1)
    image = base * (1 + 0.06 * noise(rng, h, w, 80, 3))[..., None]
    if rng.random() < 0.5:  # veins
        veins = np.abs(noise(rng, h, w, rng.uniform(60, 160), 4))
        t = np.clip(1 - veins / rng.uniform(0.04, 0.12), 0, 1)[..., None] * rng.uniform(0.3, 0.9)
        return np.asarray(image * (1 - t) + random_colour(rng, 0.4) * t, np.float32)
    for _ in range(3):  # grains of granite
        spots = noise(rng, h, w, rng.uniform(2.5, 9), 1) > rng.uniform(0.7, 1.4)
        image = np.where(spots[..., None], random_colour(rng, 0.4), image)
    return np.asarray(image, np.float32)


def paper(rng: np.random.Generator, h: int, w: int) -> F32:
    """A printed page, turned: lines of dashes as long as words."""
    side = int(1.5 * max(h, w))
    page = np.full((side, side), rng.uniform(0.8, 1.0), np.float32)
    line, ink = int(rng.uniform(9, 30)), rng.uniform(0.05, 0.45)
    for y in range(line, side - line, line):
        if rng.random() < 0.12:
            continue
        x = int(rng.uniform(10, 40))
        end = side if rng.random() < 0.85 else int(side * rng.uniform(0.2, 0.9))
        while x < end:
            n = int(rng.uniform(1.2, 5) * line * 0.6)
            page[y : y + max(line // 3, 1), x : x + n] = ink + 0.3 * rng.random()
            x += n + max(line // 4, 2)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 360), 1.0)
    turn[:, 2] += np.array([w / 2 - side / 2, h / 2 - side / 2])
    flat = cv2.warpAffine(page, turn, (w, h), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
    tint = np.array([1, rng.uniform(0.93, 1), rng.uniform(0.85, 1)], np.float32)
    return np.asarray(flat[..., None] * tint, np.float32)


def keyboard(rng: np.random.Generator, h: int, w: int) -> F32:
    """Rows of rounded keys, turned and seen at an angle."""
    side = int(1.4 * max(h, w))
    body, keys = random_colour(rng, 0.15) * 0.6, random_colour(rng, 0.15)
    image = np.empty((side, side, 3), np.float32)
    image[:] = body
    key = int(rng.uniform(26, 90))
    for row in range(side // key + 1):
        x = -int(rng.uniform(0, key))
        while x < side:
            n = int(key * rng.choice([1, 1, 1, 1.5, 2]))
            box = (x + 2, row * key + 2), (x + n - 3, row * key + key - 3)
            cv2.rectangle(image, *box, tuple(float(v) for v in keys * rng.uniform(0.9, 1.05)), -1)
            cx, cy = x + n // 2, row * key + key // 2
            cv2.line(image, (cx - 3, cy), (cx + 3, cy - 2), (float(1 - keys.mean()),) * 3, 1)
            x += n
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    to = corners * np.array([w / side * 1.3, h / side * 1.3]) - np.array([0.15 * w, 0.15 * h])
    to = to + rng.normal(0, 0.12 * w, (4, 2))
    warp = cv2.getPerspectiveTransform(corners, to.astype(np.float32))
    seen = cv2.warpPerspective(image, warp, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.float32)


def room(rng: np.random.Generator, h: int, w: int) -> F32:
    """Large flat things with edges, out of focus or not: furniture, screens, windows, folds."""
    image = plain(rng, h, w)
    for _ in range(int(rng.integers(6, 26))):
        centre = (float(rng.uniform(0, w)), float(rng.uniform(0, h)))
        size = (float(rng.exponential(w / 5) + 6), float(rng.exponential(h / 5) + 6))
        c = random_colour(rng) if rng.random() < 0.8 else np.array([1.0, 0.98, 0.95], np.float32)
        if rng.random() < 0.7:
            box = np.rint(
                cv2.boxPoints((centre, size, float(rng.choice([0, 90, rng.uniform(0, 90)]))))
            ).astype(np.int32)
            cv2.fillConvexPoly(image, box, tuple(float(v) for v in c), cv2.LINE_AA)
        else:
            cv2.ellipse(
                image, (centre, size, float(rng.uniform(0, 180))), tuple(float(v) for v in c), -1, cv2.LINE_AA
            )
    for _ in range(int(rng.integers(0, 9))):
        p, q = rng.uniform(0, w, 2), rng.uniform(0, h, 2)
        cv2.line(
            image,
            (int(p[0]), int(q[0])),
            (int(p[1]), int(q[1])),
            tuple(float(v) for v in random_colour(rng)),
            int(rng.uniform(1, 12)),
            cv2.LINE_AA,
        )
    image *= (1 + 0.1 * noise(rng, h, w, 90, 2))[..., None]
    sigma = rng.choice([0.0, rng.uniform(1, 4), rng.uniform(4, 14)])
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32) if sigma > 0 else image


def bokeh(rng: np.random.Generator, h: int, w: int) -> F32:
    image = plain(rng, h, w) * 0.6
    for _ in range(int(rng.integers(10, 50))):
        layer_r = int(rng.uniform(0.01, 0.07) * max(h, w))
        centre = (int(rng.uniform(0, w)), int(rng.uniform(0, h)))
        c = np.clip(random_colour(rng, 0.8) * 1.3, 0, 1)
        cv2.circle(image, centre, layer_r, tuple(float(v) for v in c), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(2, 6)), np.float32)


def carpet(rng: np.random.Generator, h: int, w: int) -> F32:
    """Carpet, felt, wool, sand: fine strong grain."""
    base = random_colour(rng, 0.4)
    field = grain(rng, h, w, rng.uniform(1.2, 5), rng.uniform(1, 3)) + 0.4 * noise(rng, h, w, 90, 2)
    image = base * (1 + np.float32(rng.uniform(0.1, 0.35)) * field)[..., None]
    if rng.random() < 0.4:  # threads of another colour
        image = np.where((grain(rng, h, w, 2.5) > 1.1)[..., None], random_colour(rng, 0.6), image)
    return image.astype(np.float32)


def plaid(rng: np.random.Generator, h: int, w: int) -> F32:
    """Checks, tartans, table cloths, turned."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(12, 120)
    yy, xx = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)[None, :]
    u = (xx * np.cos(angle) + yy * np.sin(angle)) / period
    v = (yy * np.cos(angle) - xx * np.sin(angle)) / period
    image = np.empty((h, w, 3), np.float32)
    image[:] = random_colour(rng)
    for _ in range(int(rng.integers(1, 4))):
        at, wide, tone = rng.uniform(0, 1), rng.uniform(0.05, 0.5), random_colour(rng, 0.7)
        for lines in (u, v):
            image += (((lines + at) % 1 < wide) * np.float32(0.5))[..., None] * (tone - image)
    return image * (1 + 0.08 * grain(rng, h, w, 2.0))[..., None].astype(np.float32)


def tiles(rng: np.random.Generator, h: int, w: int) -> F32:
    """Tiles and mosaics: cells of their own shade with joints between them."""
    angle, size = rng.uniform(0, np.pi), rng.uniform(12, 160)
    long, gap = rng.uniform(1, 2.5), rng.uniform(0.02, 0.12)
    yy, xx = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)[None, :]
    v = (yy * np.cos(angle) - xx * np.sin(angle)) / size + 100
    u = (xx * np.cos(angle) + yy * np.sin(angle)) / (size * long) + 100 + 0.5 * (v.astype(np.int32) % 2)
    cell = (u.astype(np.int32) * 73 + v.astype(np.int32) * 151) % 64
    shades = random_colour(rng) * (1 + rng.uniform(0.02, 0.3) * rng.standard_normal((64, 1)))
    if rng.random() < 0.3:
        shades[rng.random(64) < 0.4] = random_colour(rng, 0.8)
    joint = np.minimum(u % 1, v % 1) < gap
    return np.where(joint[..., None], random_colour(rng, 0.2), shades[cell]).astype(np.float32)


SURFACES: dict[str, tuple[float, Callable[[np.random.Generator, int, int], F32]]] = {
    "plain": (0.14, plain),
    "cloth": (0.2, cloth),
    "wood": (0.13, wood),
    "stone": (0.1, stone),
    "paper": (0.08, paper),
    "keyboard": (0.06, keyboard),
    "room": (0.22, room),
    "bokeh": (0.07, bokeh),
    "carpet": (0.12, carpet),
    "plaid": (0.06, plaid),
    "tiles": (0.06, tiles),
}


def surface(rng: np.random.Generator, h: int, w: int, name: str = "") -> F32:
    """A background [h,w,3], sRGB 0-1, with the light falling off across it; `name`: one of SURFACES."""
    names = list(SURFACES)
    weights = np.array([SURFACES[name][0] for name in names])
    name = name or names[int(rng.choice(len(names), p=weights / weights.sum()))]
    image = SURFACES[name][1](rng, h, w)
    fall = 1 + rng.uniform(0, 0.35) * np.clip(noise(rng, h, w, max(h, w), 1), -1.5, 1.5)
    return np.clip(image * fall[..., None], 0, 1).astype(np.float32)
