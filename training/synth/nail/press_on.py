"""Press-on sets: nails that lie on a card or a table, without a hand."""

from __future__ import annotations

import numpy as np

from training.synth.nail.plate import Plate
from training.synth.nail.shape import sample_outline

# Width of each finger's nail against the middle finger's.
_WIDTHS = (1.28, 1.0, 1.04, 0.97, 0.78)


def sample_set(
    rng: np.random.Generator, shape: str, length: str, width: int, height: int
) -> list[tuple[int, Plate]]:
    """(finger, plate) of five or ten nails in rows that fill the picture."""
    rows = 2 if rng.random() < 0.5 else 1
    bed = rng.uniform(1.5, 2.0)
    seed = int(rng.integers(0, 2**31))
    turn = rng.normal(0, 8) + rng.choice([0, 180, 90, -90], p=[0.7, 0.2, 0.05, 0.05])
    long = sample_outline(np.random.default_rng(seed), shape, length, bed).length
    share = rng.uniform(0.55, 0.95)
    step = 2 * rng.uniform(1.12, 1.5)  # from nail to nail, in half widths
    sideways = abs(np.sin(np.deg2rad(turn))) > 0.7
    across, down = (height, width) if sideways else (width, height)
    half = share * min(across / (5 * step), down / (rows * (long + 1.0)))
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    plates = []
    for row in range(rows):
        order = range(5) if row == 0 else range(4, -1, -1)
        for place, finger in enumerate(order):
            outline = sample_outline(np.random.default_rng(seed), shape, length, bed)
            x = (place - 2) * step * half + rng.normal(0, 0.06 * half)
            y = ((row - (rows - 1) / 2) * (long + 1.0) + 0.5 * long) * half + rng.normal(0, 0.06 * half)
            tilt = np.deg2rad(turn + rng.normal(0, 3))
            axis = np.array([np.sin(tilt), -np.cos(tilt), rng.normal(0, 0.06)])
            axis /= np.linalg.norm(axis)
            lateral = np.cross(axis, [0.0, 0.0, 1.0])
            lateral /= np.linalg.norm(lateral)
            origin = np.array([width / 2 + x * cos - y * sin, height / 2 + x * sin + y * cos, half * 0.5])
            own = half * _WIDTHS[finger]
            radius = own * float(rng.uniform(1.0, 1.25))
            plates.append(
                (finger, Plate(origin, axis, np.cross(lateral, axis), lateral, radius, own, 0.5, outline))
            )
    return plates
