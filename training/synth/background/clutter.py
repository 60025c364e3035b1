"""Things that lie about: phones, cups, rings, cables, leaves, sweets, ovals that look like nails but are
none."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.background.like_nails import LIKE_NAILS
from training.synth.background.photos import crop
from training.synth.background.surfaces import noise
from training.synth.design.colours import named_colour, random_colour
from training.synth.design.designs import PLAIN_COLOURS
from training.synth.hand.skin import tone_colour

F32 = NDArray[np.float32]
Colour = tuple[float, float, float]


def _rgb(values: F32) -> Colour:
    return float(values[0]), float(values[1]), float(values[2])


def scatter(rng: np.random.Generator, image: F32, count: int, real: Path | None = None) -> F32:
    """Draw `count` random things on a background [h,w,3] in 0-1; returns the image.

    `real`: a folder of photos from which shapes are cut and laid down as further things.
    """
    kinds = (
        _phone,
        _cup,
        _ring,
        _cable,
        _leaf,
        _sweets,
        _skin_blob,
        _book,
        _flower,
        _text,
        _face,
        _figure,
        *LIKE_NAILS,
    )
    for _ in range(count):
        if real is not None and rng.random() < 0.3:
            _cut_out(rng, image, real)
        else:
            kinds[int(rng.integers(0, len(kinds)))](rng, image)
    if rng.random() < 0.35:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 3.5)), np.float32)
    return image


def _place(
    rng: np.random.Generator, image: F32, low: float, high: float
) -> tuple[tuple[float, float], float, float]:
    h, w = image.shape[:2]
    return (
        (float(rng.uniform(0, w)), float(rng.uniform(0, h))),
        float(rng.uniform(low, high) * max(h, w)),
        float(rng.uniform(0, 180)),
    )


def _shadow(image: F32, centre: tuple[float, float], size: tuple[float, float], angle: float) -> None:
    box = np.rint(cv2.boxPoints(((centre[0] + 6, centre[1] + 8), size, angle))).astype(np.int32)
    x0, y0 = np.clip(box.min(0) - 8, 0, None)
    x1, y1 = box.max(0) + 9
    part = image[y0:y1, x0:x1]
    if part.size == 0:
        return
    mask = np.zeros(part.shape[:2], np.float32)
    cv2.fillConvexPoly(mask, box - [x0, y0], 1.0)
    part *= (1 - 0.4 * cv2.GaussianBlur(mask, (0, 0), 5))[..., None]


def _phone(rng: np.random.Generator, image: F32) -> None:
    centre, size, angle = _place(rng, image, 0.2, 0.7)
    dims = (size * 0.5, size)
    _shadow(image, centre, dims, angle)
    box = np.rint(cv2.boxPoints((centre, dims, angle))).astype(np.int32)
    cv2.fillConvexPoly(image, box, _rgb(random_colour(rng, 0.2) * 0.4), cv2.LINE_AA)
    inner = np.rint(cv2.boxPoints((centre, (dims[0] * 0.9, dims[1] * 0.92), angle))).astype(np.int32)
    cv2.fillConvexPoly(image, inner, _rgb(random_colour(rng, 0.6) * rng.uniform(0.05, 1.0)), cv2.LINE_AA)


def _cup(rng: np.random.Generator, image: F32) -> None:
    centre, size, _ = _place(rng, image, 0.08, 0.3)
    c = random_colour(rng)
    for r, shade in ((1.0, 1.0), (0.9, 0.8), (0.82, 0.35)):
        cv2.circle(
            image,
            (int(centre[0]), int(centre[1])),
            int(size * r),
            _rgb(np.clip(c * shade, 0, 1)),
            -1,
            cv2.LINE_AA,
        )


def _ring(rng: np.random.Generator, image: F32) -> None:
    """Steering wheels, bicycle wheels, bangles, cables: rings of any size."""
    centre, size, angle = _place(rng, image, 0.08, 0.9)
    axes = (size, size * float(rng.uniform(0.35, 1.0)))
    width = int(max(2, size * rng.uniform(0.02, 0.14)))
    c = random_colour(rng) * rng.uniform(0.2, 1.0)
    cv2.ellipse(image, (centre, axes, angle), _rgb(c), width, cv2.LINE_AA)
    cv2.ellipse(
        image, (centre, axes, angle), _rgb(np.clip(c * 1.6 + 0.1, 0, 1)), max(1, width // 4), cv2.LINE_AA
    )


def _cable(rng: np.random.Generator, image: F32) -> None:
    h, w = image.shape[:2]
    t = np.linspace(0, 1, 40)
    x = rng.uniform(0, w) + rng.normal(0, w) * t + 0.2 * w * np.sin(rng.uniform(2, 9) * t + rng.uniform(0, 6))
    y = rng.uniform(0, h) + rng.normal(0, h) * t + 0.2 * h * np.sin(rng.uniform(2, 9) * t)
    points = np.stack([x, y], 1).astype(np.int32)
    cv2.polylines(image, [points], False, _rgb(random_colour(rng)), int(rng.uniform(2, 14)), cv2.LINE_AA)


def _leaf(rng: np.random.Generator, image: F32) -> None:
    centre, size, angle = _place(rng, image, 0.03, 0.15)
    c = np.array([rng.uniform(0.1, 0.5), rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.3)], np.float32)
    for _ in range(int(rng.integers(1, 6))):
        cv2.ellipse(image, (centre, (size * 0.4, size), angle), _rgb(c), -1, cv2.LINE_AA)
        centre = (centre[0] + float(rng.normal(0, size)), centre[1] + float(rng.normal(0, size)))
        angle += float(rng.normal(0, 40))


def _sweets(rng: np.random.Generator, image: F32) -> None:
    """Glossy ovals in nail colours and nail sizes, without a finger: the hardest distractor."""
    centre, size, angle = _place(rng, image, 0.015, 0.06)
    for _ in range(int(rng.integers(1, 7))):
        c = np.array(named_colour(str(rng.choice(PLAIN_COLOURS))), np.float32)
        dims = (size * float(rng.uniform(0.8, 1.2)), size * float(rng.uniform(1.0, 2.0)))
        _shadow(image, centre, dims, angle)
        cv2.ellipse(image, (centre, dims, angle), _rgb(c * 0.9), -1, cv2.LINE_AA)
        shine = (centre[0] - 0.12 * size, centre[1] - 0.12 * size)
        cv2.ellipse(
            image,
            (shine, (dims[0] * 0.25, dims[1] * 0.4), angle),
            _rgb(np.clip(c + 0.35, 0, 1)),
            -1,
            cv2.LINE_AA,
        )
        centre = (centre[0] + float(rng.normal(0, 4 * size)), centre[1] + float(rng.normal(0, 4 * size)))
        angle += float(rng.uniform(0, 90))


def _skin_blob(rng: np.random.Generator, image: F32) -> None:
    """Legs, arms, faces out of focus: skin without nails."""
    h, w = image.shape[:2]
    centre, size, angle = _place(rng, image, 0.1, 0.8)
    mask = np.zeros((h, w), np.float32)
    cv2.ellipse(mask, (centre, (size * 0.4, size), angle), 1.0, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(1, 14))
    shade = (
        tone_colour(rng, int(rng.integers(0, 10))) * (1 + 0.12 * noise(rng, h, w, size / 2 + 4, 1))[..., None]
    )
    image += (shade - image) * soft[..., None]


def _book(rng: np.random.Generator, image: F32) -> None:
    centre, size, angle = _place(rng, image, 0.1, 0.5)
    dims = (size * float(rng.uniform(0.4, 1)), size)
    _shadow(image, centre, dims, angle)
    box = np.rint(cv2.boxPoints((centre, dims, angle))).astype(np.int32)
    cv2.fillConvexPoly(image, box, _rgb(random_colour(rng, 0.8)), cv2.LINE_AA)
    for k in range(int(rng.integers(0, 5))):
        at = centre[0], centre[1] + (k - 2) * size * 0.1
        line = np.rint(cv2.boxPoints((at, (dims[0] * 0.6, size * 0.03), angle))).astype(np.int32)
        cv2.fillConvexPoly(image, line, _rgb(random_colour(rng)), cv2.LINE_AA)


def _flower(rng: np.random.Generator, image: F32) -> None:
    centre, size, angle = _place(rng, image, 0.04, 0.18)
    c, n = random_colour(rng, 0.9), int(rng.integers(5, 16))
    for k in range(n):
        a = np.deg2rad(angle) + 2 * np.pi * k / n
        at = centre[0] + 0.6 * size * float(np.cos(a)), centre[1] + 0.6 * size * float(np.sin(a))
        petal = np.clip(c * rng.uniform(0.8, 1.1), 0, 1).astype(np.float32)
        cv2.ellipse(image, (at, (size, size * 0.4), float(np.rad2deg(a))), _rgb(petal), -1, cv2.LINE_AA)
    cv2.circle(
        image,
        (int(centre[0]), int(centre[1])),
        int(size * 0.3),
        _rgb(random_colour(rng) * 0.5),
        -1,
        cv2.LINE_AA,
    )


def _text(rng: np.random.Generator, image: F32) -> None:
    """Lines of letters and digits: labels, screens, prints on clothes."""
    h, w = image.shape[:2]
    font = int(
        rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX])
    )
    size, c = float(rng.uniform(0.3, 3.5)) * max(h, w) / 640, random_colour(rng, 0.8)
    x, y = int(rng.uniform(-0.2, 0.8) * w), int(rng.uniform(0, h))
    letters = list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghiklmnorstuvwyz0123456789&!?%")
    ink = np.zeros((h, w), np.uint8)
    for _ in range(int(rng.integers(1, 6))):
        word = "".join(rng.choice(letters, int(rng.integers(2, 14))))
        thick = max(1, int(size * rng.uniform(1, 4)))
        cv2.putText(ink, word, (x, y), font, size, 255, thick, cv2.LINE_AA)
        y += int(34 * size)
    inked = ink > 0
    image[inked] += (c - image[inked]) * (ink[inked].astype(np.float32) / 255)[:, None]


def _face(rng: np.random.Generator, image: F32) -> None:
    """A face, a doll's or a print's: skin, eyes, a mouth as red and shiny as a nail."""
    centre, size, angle = _place(rng, image, 0.04, 0.25)
    skin = tone_colour(rng, int(rng.integers(0, 10)))
    turn = np.deg2rad(angle if rng.random() < 0.3 else rng.normal(0, 15))
    cos, sin = float(np.cos(turn)), float(np.sin(turn))

    def oval(x: float, y: float, a: float, b: float, c: F32) -> None:
        at = centre[0] + size * (x * cos - y * sin), centre[1] + size * (x * sin + y * cos)
        box = (at, (2 * a * size, 2 * b * size), float(np.rad2deg(turn)))
        cv2.ellipse(image, box, _rgb(np.clip(c, 0, 1)), -1, cv2.LINE_AA)

    oval(0, -0.25, 0.95, 1.1, random_colour(rng, 0.3) * 0.4)  # hair
    oval(0, 0, 0.75, 1.0, skin)
    white, iris = np.full(3, 0.95, np.float32), random_colour(rng, 0.5) * 0.4
    lips = np.array([rng.uniform(0.5, 0.9), rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.4)], np.float32)
    for side in (-1, 1):
        oval(0.3 * side, -0.15, 0.17, 0.08, white)
        oval(0.3 * side, -0.15, 0.07, 0.07, iris)
        oval(0.3 * side, -0.36, 0.2, 0.04, skin * 0.4)
    oval(0, 0.2, 0.1, 0.12, skin * 0.85)
    oval(0, 0.5, 0.27, 0.1, lips)
    oval(0.05, 0.53, 0.1, 0.02, lips + 0.35)


def _figure(rng: np.random.Generator, image: F32) -> None:
    """A sticker or a cartoon character: coloured blobs with an outline, eyes, a white border."""
    centre, size, angle = _place(rng, image, 0.03, 0.2)
    line, x, y = (0.05, 0.05, 0.05), centre[0], centre[1]
    parts = []
    for _ in range(int(rng.integers(2, 6))):
        dims = size * float(rng.uniform(0.4, 1.6)), size * float(rng.uniform(0.4, 1.6))
        parts.append((((x, y), dims, angle + float(rng.normal(0, 40))), random_colour(rng, 1.0)))
        x, y = x + float(rng.normal(0, 0.5 * size)), y + float(rng.normal(0, 0.5 * size))
    edge = max(1, int(0.05 * size))
    if rng.random() < 0.5:
        for box, _ in parts:
            cv2.ellipse(image, box, (0.98, 0.98, 0.98), 6 * edge, cv2.LINE_AA)
    for box, c in parts:
        cv2.ellipse(image, box, _rgb(c), -1, cv2.LINE_AA)
        cv2.ellipse(image, box, line, edge, cv2.LINE_AA)
    for side in (-0.2, 0.2):
        at = int(centre[0] + side * size), int(centre[1] - 0.1 * size)
        cv2.circle(image, at, max(1, int(0.1 * size)), (1.0, 1.0, 1.0), -1, cv2.LINE_AA)
        cv2.circle(image, at, max(1, int(0.05 * size)), line, -1, cv2.LINE_AA)


def _cut_out(rng: np.random.Generator, image: F32, real: Path) -> None:
    """A shape cut from a real photo, with a soft shadow: a thing of real colour and texture."""
    h, w = image.shape[:2]
    centre, size, _ = _place(rng, image, 0.08, 0.5)
    sides = int(rng.integers(3, 9))
    around = np.sort(rng.uniform(0, 2 * np.pi, sides))
    reach = size * rng.uniform(0.5, 1.0, sides)
    points = np.stack([centre[0] + reach * np.cos(around), centre[1] + reach * np.sin(around)], axis=1)
    x0, y0 = np.clip(np.floor(points.min(0)).astype(int), 0, [w, h])
    x1, y1 = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, [w, h])
    if x1 - x0 < 12 or y1 - y0 < 12:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.float32)
    outline = np.rint(points - [x0, y0]).astype(np.int32)
    if rng.random() < 0.5:
        cv2.fillPoly(mask, [outline], 1.0, cv2.LINE_8)
    else:
        cv2.ellipse(mask, cv2.fitEllipse(_hull(points - [x0, y0])), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (3, 3), 0.8)[..., None]
    part = image[y0:y1, x0:x1]
    part += (crop(rng, real, y1 - y0, x1 - x0) - part) * mask


def _hull(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """At least five points around the given ones."""
    low, high = points.min(0), points.max(0)
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    return np.concatenate([points, corners]).astype(np.float32)
