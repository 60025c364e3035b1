"""A hand as joints, bone frames and round cones, posed by forward kinematics.

Hand frame, right hand: x towards the little finger, y towards the fingertips, z out of the back of the hand.
The unit is the distance from the wrist to the middle knuckle (about 88 mm). A left hand is the mirror image.
Joint order (hand5): 0 wrist, 1-4 thumb, 5-8 index, 9-12 middle, 13-16 ring, 17-20 little finger.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
# One cone: the fields of Cones in their order.
Row = tuple[Array, Array, float, float, int, float, float, Array, Array]


# Knuckles (thumb: base joint), lengths of the three bones, and the radius at the middle joint.
_KNUCKLES = np.array(
    [[-0.24, 0.24, -0.10], [-0.27, 0.97, 0.0], [-0.02, 1.0, 0.03], [0.205, 0.93, 0.01], [0.40, 0.80, -0.05]]
)
_LENGTHS = np.array(
    [[0.47, 0.37, 0.31], [0.47, 0.29, 0.25], [0.52, 0.33, 0.265], [0.48, 0.315, 0.26], [0.37, 0.225, 0.23]]
)
_RADII = np.array([0.130, 0.112, 0.115, 0.108, 0.095])
# Radius along a finger in units of the middle joint's radius: (position, factor, palmar offset of the
# centre).
# Position counts bones: 0 knuckle, 1 middle joint, 2 last joint, 3 the end of the flesh.
_PROFILE = (
    (0.0, 1.12, 0.05),
    (0.5, 1.0, 0.06),
    (0.85, 1.0, 0.0),
    (1.08, 1.0, 0.0),
    (1.5, 0.92, 0.04),
    (1.88, 0.89, 0.0),
    (2.1, 0.88, 0.0),
    (2.5, 0.87, 0.05),
    (2.8, 0.74, 0.09),
)
_THUMB_PROFILE = (
    (0.0, 1.35, 0.1),
    (0.5, 1.2, 0.12),
    (0.9, 1.04, 0.0),
    (1.08, 1.0, 0.0),
    (1.5, 0.93, 0.02),
    (1.9, 0.97, 0.0),
    (2.1, 0.98, 0.0),
    (2.5, 0.95, 0.06),
    (2.8, 0.76, 0.1),
)


@dataclass(frozen=True)
class Build:
    """Proportions of one person's hand. All are factors around 1."""

    thickness: float = 1.0
    finger_length: float = 1.0
    palm_width: float = 1.0
    taper: float = 1.0
    knuckle: float = 1.0


@dataclass(frozen=True)
class Pose:
    """Angles in degrees. `flex` [5,3] bends towards the palm, `spread` [5] away from the middle finger.

    `thumb`: (abduction in the palm's plane, tilt towards the palm, roll of the nail away from the back).
    `wrist`: (flexion, sideways) of the forearm against the hand.
    """

    flex: Array
    spread: Array
    thumb: tuple[float, float, float] = (38.0, 18.0, 55.0)
    wrist: tuple[float, float] = (0.0, 0.0)


@dataclass
class Cones:
    """Round cones from `a` [n,3] with radius `ra` [n] to `b`, `rb`.

    `part` [n]: finger 0-4, 5 palm, 6 forearm, 7 sleeve. `s0`, `s1`: position along the finger at both ends.
    `dorsal`, `lateral` [n,3]: unit vectors of the bone's frame.
    """

    a: Array
    b: Array
    ra: Array
    rb: Array
    part: NDArray[np.int64]
    s0: Array
    s1: Array
    dorsal: Array
    lateral: Array


@dataclass
class HandShape:
    """A posed hand: `joints` [21,3], bone frames `axis`, `dorsal`, `lateral` [5,3,3], `cones`.

    `radius` [5]: of each finger at its middle joint.
    """

    joints: Array
    axis: Array
    dorsal: Array
    lateral: Array
    radius: Array
    cones: Cones
    side: str


def _rotate(vectors: Array, axis: Array, degrees: float) -> Array:
    """Rotate row vectors about a unit axis (Rodrigues)."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = vectors * cos + np.cross(axis, vectors) * sin + np.outer(vectors @ axis, axis) * (1 - cos)
    return np.asarray(turned)


def _finger_frames(finger: int, pose: Pose) -> Array:
    """Frames [3 bones, 3 (axis, dorsal, lateral), 3] of one finger."""
    frame = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    if finger == 0:
        abduction, tilt, roll = pose.thumb
        frame = _rotate(frame, np.array([0.0, 0, 1]), abduction)
        frame = _rotate(frame, frame[2], -tilt)
        frame = _rotate(frame, frame[0], -roll)
    else:
        outwards = (0.0, 1.0, 0.15, -1.0, -1.6)[finger]
        frame = _rotate(frame, np.array([0.0, 0, 1]), outwards * pose.spread[finger])
    frames = []
    for bone in range(3):
        frame = _rotate(frame, frame[2], -float(pose.flex[finger, bone]))
        frames.append(frame)
    return np.array(frames)


def pose_hand(pose: Pose, build: Build, side: str = "right", forearm: float = 6.0) -> HandShape:
    """Pose a hand. `side` is "left" or "right"; `forearm` is its length in hand units (0: none)."""
    knuckles = _KNUCKLES * np.array([build.palm_width, 1, 1])
    lengths = _LENGTHS * build.finger_length
    radii = _RADII * build.thickness
    joints = np.zeros((21, 3))
    frames = np.array([_finger_frames(finger, pose) for finger in range(5)])
    for finger in range(5):
        point = knuckles[finger]
        joints[1 + 4 * finger] = point
        for bone in range(3):
            point = point + lengths[finger, bone] * frames[finger, bone, 0]
            joints[2 + 4 * finger + bone] = point
    rows: list[tuple[Array, Array, float, float, int, float, float, Array, Array]] = []
    for finger in range(5):
        rows += finger_cones(finger, joints, frames, radii[finger], build)
    rows += _palm_cones(joints, frames, radii)
    if forearm > 0:
        rows += _forearm_cones(pose.wrist, forearm, build)
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    cones = Cones(*columns)  # the order of the columns is the order of the fields
    axis, dorsal, lateral = frames[:, :, 0], frames[:, :, 1], frames[:, :, 2]
    if side == "left":
        flip = np.array([-1.0, 1, 1])
        joints, axis, dorsal, lateral = joints * flip, axis * flip, dorsal * flip, lateral * flip
        cones.a, cones.b = cones.a * flip, cones.b * flip
        cones.dorsal, cones.lateral = cones.dorsal * flip, cones.lateral * flip
    return HandShape(joints, axis, dorsal, lateral, radii, cones, side)


def finger_cones(finger: int, joints: Array, frames: Array, radius: float, build: Build) -> list[Row]:
    """Cones of one finger (0: thumb) as rows of Cones' fields; `frames` [5,3,3,3] as in HandShape."""
    profile = _THUMB_PROFILE if finger == 0 else _PROFILE
    chain = joints[1 + 4 * finger : 5 + 4 * finger]
    points = []
    for position, factor, palmar in profile:
        bone = min(int(position), 2)
        part = position - bone
        taper = build.taper ** max(position - 1, 0)
        bulge = build.knuckle if abs(position - round(position)) < 0.16 and position < 2.2 else 1.0
        r = radius * factor * taper * bulge
        centre = (
            chain[bone] + part * (chain[bone + 1] - chain[bone]) - palmar * radius * frames[finger, bone, 1]
        )
        if position > 2.7:  # the end sphere touches the end of the flesh
            centre = chain[3] - r * frames[finger, 2, 0] - palmar * radius * frames[finger, 2, 1]
        points.append((position, r, centre))
    rows = []
    for (s0, r0, p0), (s1, r1, p1) in pairwise(points):
        bone = min(int((s0 + s1) / 2), 2)
        rows.append((p0, p1, r0, r1, finger, s0, s1, frames[finger, bone, 1], frames[finger, bone, 2]))
    return rows


def _palm_cones(joints: Array, frames: Array, radii: Array) -> list[Row]:
    up, right = np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
    rows = []

    def add(p: ArrayLike, q: ArrayLike, r: float, t: float, s0: float, s1: float) -> None:
        rows.append((np.asarray(p, float), np.asarray(q, float), r, t, 5, s0, s1, up, right))

    width = joints[17, 0]
    for finger, x in zip(range(1, 5), (-0.16, -0.05, 0.07, 0.17), strict=True):
        knuckle = joints[1 + 4 * finger]
        r = radii[finger] * 1.22
        add([x, 0.02, -0.02], knuckle - 0.35 * r * up, 0.17, r, -1, 0)
        add([x, 0.1, -0.06], knuckle - 0.6 * r * up - [0, 0.06, 0], 0.16, r * 1.05, -1, 0)
        if finger < 4:  # the web between neighbours, the row of knuckles, and what lies between the bones
            other = joints[5 + 4 * finger]
            between = 0.5 * (knuckle + other) - 0.4 * r * up
            add([x + 0.06, 0.03, -0.02], between - [0, 0.03, 0], 0.17, r * 0.99, -1, 0)
            add(knuckle - 0.5 * r * up, other - 0.5 * r * up, r * 0.95, r * 0.9, 0, 0)
            a = knuckle + 0.17 * frames[finger, 0, 0] - 0.35 * r * frames[finger, 0, 1]
            b = other + 0.17 * frames[finger + 1, 0, 0] - 0.35 * r * frames[finger + 1, 0, 1]
            add(a, b, r * 0.62, r * 0.6, 0, 0)
    base, thumb = joints[1], joints[2]
    add([-0.12, 0.05, -0.1], thumb - 0.03 * up, 0.19, radii[0] * 1.22, -1, 0)  # ball of the thumb
    add([-0.05, 0.3, -0.12], thumb * 0.7 + base * 0.3, 0.2, radii[0] * 1.25, -1, 0)
    add(
        thumb * 0.8 + base * 0.2, joints[5] - [-0.04, 0.16, 0.06], 0.1, 0.1, 0, 0
    )  # skin up to the index finger
    add(thumb * 0.5 + base * 0.5, joints[5] - [-0.06, 0.3, 0.06], 0.12, 0.12, 0, 0)
    add([width * 0.45, 0.08, -0.1], [width * 0.98, 0.6, -0.1], 0.18, 0.12, -1, 0)  # little-finger side
    return rows


def _forearm_cones(wrist: tuple[float, float], length: float, build: Build) -> list[Row]:
    frame = np.array([[0.0, -1, 0], [0, 0, 1], [1, 0, 0]])
    frame = _rotate(frame, np.array([1.0, 0, 0]), wrist[0])
    frame = _rotate(frame, np.array([0.0, 0, 1]), wrist[1])
    axis, up, right = frame
    rows = []
    start = np.array([0.0, 0.02, -0.03])
    for x in (-0.1, 0.1):
        a = start + x * right
        b = start + 0.45 * axis + x * 0.9 * right
        c = start + min(length, 2.6) * axis + x * 1.1 * right
        d = start + length * axis + x * 0.6 * right
        thick = build.thickness
        rows.append((a, b, 0.19 * thick, 0.205 * thick, 6, 0.0, 0.45, up, right))
        rows.append((b, c, 0.205 * thick, 0.35 * thick, 6, 0.45, 2.6, up, right))
        if length > 2.6:
            rows.append((c, d, 0.35 * thick, 0.42 * thick, 6, 2.6, length, up, right))
    return rows
