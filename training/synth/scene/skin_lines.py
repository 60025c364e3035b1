"""Lines of the whole hand: creases of the palm and wrist, sinews and veins on the back."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.hand.anatomy import Array
from training.synth.scene.layout import PlacedHand

F32 = NDArray[np.float32]

# Palm creases as (across, along) from the thumb's side (0) to the little finger's (1), wrist 0 to knuckles 1.
_PALM = (
    ((0.02, 0.72), (0.22, 0.62), (0.36, 0.4), (0.4, 0.16), (0.36, 0.0)),  # around the ball of the thumb
    ((0.02, 0.74), (0.35, 0.64), (0.65, 0.5), (0.92, 0.42)),  # the middle one
    ((0.98, 0.68), (0.7, 0.74), (0.45, 0.82), (0.25, 0.97)),  # under the fingers
)


def hand_lines(
    rng: np.random.Generator,
    hand: PlacedHand,
    where: NDArray[np.bool_],
    relief: F32,
    grooves: F32,
    vessels: F32,
) -> None:
    """Add a hand's lines inside `where` [h,w] to `relief` (pixels), `grooves` (0-1) and `vessels` (0-1)."""
    skin, scale = hand.skin, hand.scale
    if skin.lines + skin.sinews + skin.veins <= 0 or not where.any():
        return
    palm = np.flatnonzero(hand.cones.part == 5)
    back = hand.cones.dorsal[palm[0], 2] > 0
    strokes = np.zeros(where.shape, np.uint8)
    if not back:
        for line in _PALM:
            _draw(rng, strokes, hand, np.array(line) + rng.normal(0, 0.035, (len(line), 2)), 0.009, 255)
        for _ in range(int(rng.integers(2, 14))):  # fine ones, anywhere
            start, run = rng.uniform(0, 1, 2), rng.normal(0, 0.2, 2)
            points = np.array([start, start + 0.5 * run + rng.normal(0, 0.03, 2), start + run])
            _draw(rng, strokes, hand, points, 0.006, int(rng.uniform(60, 190)))
        for along in (-0.02, -0.08):  # the wrist
            points = np.array([[0.2, along], [0.5, along + 0.02], [0.8, along]]) + rng.normal(0, 0.01, (3, 2))
            _draw(rng, strokes, hand, points, 0.01, int(rng.uniform(60, 220)))
        soft = cv2.GaussianBlur(strokes, (0, 0), max(0.005 * scale, 0.5)).astype(np.float32) / 255
        strength = np.float32(0.35 + 0.6 * skin.lines)
        np.copyto(grooves, np.maximum(grooves, strength * soft), where=where)
        return
    if skin.sinews > 0.15:
        for finger in range(1, 5):
            top = (finger - 1) / 3
            points = np.array(
                [[top, 0.97], [0.5 + 0.75 * (top - 0.5), 0.55], [0.5 + 0.4 * (top - 0.5), 0.12]]
            )
            _draw(rng, strokes, hand, points + rng.normal(0, 0.015, (3, 2)), 0.07, int(rng.uniform(120, 255)))
        soft = cv2.blur(cv2.blur(strokes, (k := _odd(0.05 * scale), k)), (k, k)).astype(np.float32)
        relief += where * soft * np.float32(0.05 * skin.sinews * scale / 255)
    if skin.veins > 0.1:
        strokes[:] = 0
        for _ in range(int(rng.integers(2, 6))):
            at = np.array([rng.uniform(0.05, 0.95), rng.uniform(0.75, 1.0)])
            path = [at]
            for _ in range(5):
                at = at + np.array([rng.normal(0, 0.11), -rng.uniform(0.1, 0.22)])
                path.append(at)
            _draw(rng, strokes, hand, np.array(path), 0.028, int(rng.uniform(90, 255)))
        soft = cv2.blur(strokes, (k := _odd(0.035 * scale), k)).astype(np.float32) / 255
        np.copyto(vessels, np.float32(skin.veins) * soft, where=where)
        relief += where * soft * np.float32(0.02 * skin.veins * scale)


def marks(
    rng: np.random.Generator, hand: PlacedHand, hairy: NDArray[np.bool_], skin: NDArray[np.bool_], dark: F32
) -> None:
    """Add hairs inside `hairy` [h,w] and moles inside `skin` [h,w] into `dark` (0-1)."""
    style, scale = hand.skin, hand.scale
    strokes = np.zeros(dark.shape, np.uint8)
    width = dark.shape[1]
    if style.hair > 0:
        roots = np.flatnonzero(hairy[::2, ::2])
        if len(roots):
            share = len(roots) * 4 / max(scale * scale, 1.0)  # of a palm's square
            roots = rng.choice(roots, min(int(700 * style.hair * share) + 1, 700))
            ys, xs = np.divmod(roots, -(-width // 2))
            heading = np.arctan2(*(hand.joints[9, :2] - hand.joints[0, :2])[::-1]) + np.pi
            angle = heading + rng.choice([-1, 1]) * 0.5 + rng.normal(0, 0.25, len(roots))
            length = rng.uniform(0.03, 0.12, len(roots)) * scale
            start = np.stack([xs * 2, ys * 2], axis=1)
            middle = start + 0.5 * length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            bent = angle + rng.normal(0, 0.4, len(roots))
            end = middle + 0.5 * length[:, None] * np.stack([np.cos(bent), np.sin(bent)], axis=1)
            lines = np.rint(np.stack([start, middle, end], axis=1) * 8).astype(np.int32)
            thick = 1 if scale < 400 else 2
            cv2.polylines(strokes, list(lines), False, int(30 + 90 * style.hair), thick, cv2.LINE_AA, 3)
    spots = np.flatnonzero(skin[::2, ::2])
    if style.moles and len(spots):
        for y, x in zip(*np.divmod(rng.choice(spots, style.moles), -(-width // 2)), strict=True):
            radius = max(1, round(float(rng.uniform(0.003, 0.009)) * scale))
            cv2.circle(strokes, (int(x) * 2, int(y) * 2), radius, int(rng.uniform(60, 200)), -1, cv2.LINE_AA)
    dark += skin * (strokes.astype(np.float32) / 255)


def _odd(value: float) -> int:
    return max(int(value) | 1, 3)


def _draw(
    rng: np.random.Generator,
    into: NDArray[np.uint8],
    hand: PlacedHand,
    points: Array,
    width: float,
    strength: int,
) -> None:
    """A smooth curve through points (across, along) of the hand."""
    t = np.linspace(0, len(points) - 1, 6 * len(points))
    knots = np.arange(len(points))
    curve = np.stack([np.interp(t, knots, points[:, i]) for i in range(2)], axis=1)
    curve[1:-1] = (curve[:-2] + 2 * curve[1:-1] + curve[2:]) / 4
    joints = hand.joints[:, :2]
    wrist, index, little = joints[0], joints[5], joints[17]
    u, v = curve[:, :1], curve[:, 1:]
    low = wrist + (u - 0.5) * 0.75 * (little - index)
    pixels = low + v * (index + u * (little - index) - low)
    pixels = np.clip(pixels, -4000, 4000)
    thick = max(1, round(width * hand.scale * float(rng.uniform(0.6, 1.3))))
    cv2.polylines(into, [np.rint(pixels).astype(np.int32)], False, strength, thick, cv2.LINE_AA)
