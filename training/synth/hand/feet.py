"""Feet with painted or bare toenails, out of the same cones as hands: toes stand for fingers.

Foot frame, right foot: x towards the little toe, y towards the toes, z out of the back of the foot. The unit
is that of training.synth.hand.anatomy, about 88 mm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from training.synth.hand.anatomy import Array, Build, Cones, HandShape, Row, finger_cones

_ROOTS = np.array(
    [[-0.35, 0.98, -0.02], [-0.08, 1.12, 0.0], [0.1, 1.08, -0.01], [0.25, 0.99, -0.03], [0.38, 0.86, -0.06]]
)
_LENGTHS = np.array(
    [[0.2, 0.28, 0.26], [0.2, 0.14, 0.15], [0.18, 0.12, 0.14], [0.16, 0.1, 0.13], [0.14, 0.08, 0.12]]
)
_RADII = np.array([0.165, 0.105, 0.098, 0.092, 0.088])
_ANKLE = np.array([0.0, -0.35, 0.12])


def pose_foot(rng: np.random.Generator, build: Build, side: str) -> HandShape:
    """Pose a foot; `side` is "left" or "right". Joint 0 is the instep, then toes, big one first."""
    roots = (_ROOTS + rng.normal(0, 0.015, (5, 3))) * [build.palm_width, 1, 1]
    lengths = _LENGTHS * build.finger_length * rng.uniform(0.85, 1.15)
    radii = _RADII * build.thickness * rng.uniform(0.9, 1.1)
    curl = rng.uniform(0, 1)  # how far the toes grip
    spread = rng.uniform(-2, 7)
    joints, frames = np.zeros((21, 3)), np.zeros((5, 3, 3, 3))
    joints[0] = _ANKLE
    for toe in range(5):
        point = roots[toe]
        joints[1 + 4 * toe] = point
        turn = np.deg2rad((-1.2, -0.5, 0.2, 0.9, 1.6)[toe] * spread - (8.0 if toe == 0 else -2.0 * toe))
        down = np.deg2rad(rng.uniform(-14, 4))
        bends = [
            0.0,
            *((rng.uniform(0, 10), rng.uniform(-6, 10)) if toe == 0 else (10 + 35 * curl, 5 + 30 * curl)),
        ]
        lateral = np.array([np.cos(turn), -np.sin(turn), 0.0])
        for bone in range(3):
            down += np.deg2rad(bends[bone] + rng.normal(0, 2))
            ahead = np.array([np.sin(turn) * np.cos(down), np.cos(turn) * np.cos(down), -np.sin(down)])
            frames[toe, bone] = [ahead, np.cross(lateral, ahead), lateral]
            point = point + lengths[toe, bone] * ahead
            joints[2 + 4 * toe + bone] = point
    rows = []
    for toe in range(5):
        rows += finger_cones(toe, joints, frames, float(radii[toe]), build)
    rows += _body(rng, roots, radii)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    cones = Cones(*columns)
    axis, dorsal, lateral = frames[:, :, 0], frames[:, :, 1], frames[:, :, 2]
    if side == "left":
        flip = np.array([-1.0, 1, 1])
        joints, axis, dorsal, lateral = joints * flip, axis * flip, dorsal * flip, lateral * flip
        cones.a, cones.b = cones.a * flip, cones.b * flip
        cones.dorsal, cones.lateral = cones.dorsal * flip, cones.lateral * flip
    return HandShape(joints, axis, dorsal, lateral, radii, cones, side)


def _body(rng: np.random.Generator, roots: Array, radii: Array) -> list[Row]:
    up, right = np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
    rows = []

    def add(p: ArrayLike, q: ArrayLike, r: float, t: float, part: int = 5) -> None:
        rows.append((np.asarray(p, float), np.asarray(q, float), r, t, part, -1.0, 0.0, up, right))

    for toe, x in enumerate((-0.16, -0.06, 0.02, 0.1, 0.17)):
        start = _ANKLE + np.array([x, 0, -0.08 * abs(toe - 1)])
        add(start, roots[toe] - [0, 0.04, 0.04], 0.3, float(radii[toe]) * 1.2)
        if toe < 4:
            between = 0.5 * (roots[toe] + roots[toe + 1]) - [0, 0.02, 0.06]
            add(start + np.array([0.04, 0, -0.04]), between, 0.3, float(radii[toe + 1]) * 1.25)
            add(roots[toe] - 0.05 * up, roots[toe + 1] - 0.05 * up, float(radii[toe]), float(radii[toe + 1]))
    heel = np.array([0.0, -1.35, -0.12])
    add(_ANKLE, heel, 0.33, 0.34)
    knee = np.array([rng.normal(0, 0.3), -1.0 - rng.uniform(0.6, 2.6), rng.uniform(0.6, 2.4)])
    add([0.0, -0.85, 0.1], knee, 0.33, 0.46, 6)
    if rng.random() < 0.25:  # the strap of a sandal is a second skin over the ball of the foot
        y, bar = rng.uniform(0.2, 0.75), rng.uniform(0.05, 0.13)
        add([-0.42, y, 0.02], [0.0, y + 0.05, 0.2], bar, bar, 7)
        add([0.0, y + 0.05, 0.2], [0.42, y - 0.1, 0.0], bar, bar, 7)
    return rows
