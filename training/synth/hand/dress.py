"""What a hand wears and holds: sleeves, watch bands, rings, and things in its grip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.synth.design.colours import random_colour
from training.synth.hand.anatomy import Cones, HandShape, Row

# Part numbers of cones beyond those of training.synth.hand.anatomy.
SLEEVE, BAND, RING, HELD = 7, 8, 9, 10
# How often a hand holds something.
_HOLDS = {"grip": 0.65, "curl": 0.35, "fist": 0.25, "relaxed": 0.12, "side": 0.3, "fan": 0.1}


def dress(
    rng: np.random.Generator,
    cones: Cones,
    shape: HandShape,
    materials: dict[int, NDArray[np.float32]],
    manner: str,
) -> Cones:
    """Add a sleeve, a watch band and rings; `materials` gets their sRGB colours by part number."""
    rows: list[Row] = []
    arm = np.flatnonzero(cones.part == 6)
    if len(arm) and rng.random() < 0.5:
        cut = rng.uniform(0.1, 1.1)
        materials[SLEEVE] = random_colour(rng, 0.6)
        loose = rng.uniform(0.03, 0.12)
        for i in arm[1::3]:  # the part above the wrist; after it comes the part up to the elbow
            share = cut / np.linalg.norm(cones.b[i] - cones.a[i])
            start = cones.a[i] + (cones.b[i] - cones.a[i]) * share
            r = cones.ra[i] + (cones.rb[i] - cones.ra[i]) * share + loose
            frame = (cones.dorsal[i], cones.lateral[i])
            rows.append((start, cones.b[i], r, cones.rb[i] + 1.5 * loose, SLEEVE, 0.0, 2.0, *frame))
            wide = (cones.rb[i] + 1.5 * loose, cones.rb[i + 1] + 2 * loose)
            rows.append((cones.b[i], cones.b[i + 1], *wide, SLEEVE, 2.0, 5.0, *frame))
    if len(arm) and rng.random() < 0.2:
        materials[BAND] = np.array(
            rng.choice([[0.8, 0.66, 0.3], [0.75, 0.76, 0.78], [0.1, 0.1, 0.1], [0.35, 0.2, 0.12]]), np.float32
        )
        at, broad = rng.uniform(0.15, 0.5), rng.uniform(0.01, 0.12)
        for i in arm[1::3]:
            run = (cones.b[i] - cones.a[i]) / np.linalg.norm(cones.b[i] - cones.a[i])
            p = cones.a[i] + run * (at - 0.45)
            rows.append(
                (
                    p,
                    p + run * broad,
                    cones.ra[i] * 1.06,
                    cones.ra[i] * 1.06,
                    BAND,
                    0,
                    1,
                    cones.dorsal[i],
                    cones.lateral[i],
                )
            )
    if rng.random() < 0.36:
        materials[RING] = np.array(
            rng.choice([[0.85, 0.68, 0.32], [0.8, 0.8, 0.82], [0.82, 0.58, 0.48]]), np.float32
        )
        for finger in rng.choice([1, 2, 3, 3, 4, 0], int(rng.integers(1, 4)), replace=False):
            start, end = shape.joints[1 + 4 * finger], shape.joints[2 + 4 * finger]
            p = start + (end - start) * rng.uniform(0.38, 0.6)
            r = shape.radius[finger] * (1.25 if finger == 0 else 1.03)
            run = (end - start) / np.linalg.norm(end - start) * rng.uniform(0.0, 0.05)
            rows.append(
                (
                    p - 0.05 * r * shape.dorsal[finger, 0],
                    p + run - 0.05 * r * shape.dorsal[finger, 0],
                    r * 1.045,
                    r * 1.045,
                    RING,
                    0,
                    1,
                    shape.dorsal[finger, 0],
                    shape.lateral[finger, 0],
                )
            )
            if rng.random() < 0.4:
                top = p + shape.dorsal[finger, 0] * r
                rows.append(
                    (
                        top,
                        top + run,
                        r * 0.35,
                        r * 0.35,
                        RING,
                        0,
                        1,
                        shape.dorsal[finger, 0],
                        shape.lateral[finger, 0],
                    )
                )
    if rng.random() < _HOLDS.get(manner, 0.0):
        rows += _held(rng, shape, materials, manner)
    if not rows:
        return cones
    added = [np.array(column) for column in zip(*rows, strict=True)]
    old = (cones.a, cones.b, cones.ra, cones.rb, cones.part, cones.s0, cones.s1, cones.dorsal, cones.lateral)
    return Cones(*(np.concatenate([o, n]) for o, n in zip(old, added, strict=True)))


def _held(
    rng: np.random.Generator, shape: HandShape, materials: dict[int, NDArray[np.float32]], manner: str
) -> list[Row]:
    """A cup, a bottle, a handle, a telephone, a card, a stick or a ball across the palm."""
    materials[HELD] = random_colour(rng, 0.8)
    flip = np.array([-1.0, 1, 1]) if shape.side == "left" else np.ones(3)
    thing = str(rng.choice(["round", "round", "slab", "stick", "ball"]))
    r = rng.uniform(0.22, 0.5) if manner == "grip" else rng.uniform(0.1, 0.22)
    if thing == "ball":
        r = rng.uniform(0.3, 0.6)
    elif thing == "stick":
        r = rng.uniform(0.025, 0.08)
    elif thing == "slab":
        r = rng.uniform(0.03, 0.09)
    up, right = np.array([0.0, 0, 1]), np.array([1.0, 0, 0])
    middle = np.array([0.03, 0.85 + 0.3 * r, -0.16 - r])
    along = np.array([1.0, rng.normal(0.15, 0.15), rng.normal(0, 0.1)]) * rng.uniform(0.8, 2.5)
    if thing == "ball":
        along *= 0.02
    if thing in ("slab", "stick"):
        turn = rng.normal(0, 0.5) if rng.random() < 0.5 else rng.uniform(0, np.pi)
        along = np.array([np.cos(turn), np.sin(turn), rng.normal(0, 0.08)]) * rng.uniform(0.7, 1.6)
    if thing != "slab":
        wide = r * rng.uniform(0.85, 1.2)
        return [((middle - along) * flip, (middle + along) * flip, r, wide, HELD, 0.0, 1.0, up, right)]
    across = np.array([-along[1], along[0], 0.0])
    across *= rng.uniform(0.3, 0.6) / np.linalg.norm(across)
    rows = []
    steps = int(np.clip(2 * np.linalg.norm(across) / (0.9 * r), 4, 22))
    for share in np.linspace(-1, 1, steps):
        centre = middle + share * across
        rows.append(((centre - along) * flip, (centre + along) * flip, r, r, HELD, 0.0, 1.0, up, right))
    return rows
