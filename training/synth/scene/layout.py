"""Where everything stands: hands placed in the picture in pixels, nails on their fingers, sleeves and
rings."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.synth.design.colours import random_colour
from training.synth.design.designs import Design
from training.synth.hand.anatomy import Array, Build, Cones, HandShape, pose_hand
from training.synth.hand.dress import SLEEVE, dress
from training.synth.hand.feet import pose_foot
from training.synth.hand.poses import MANNERS, View, sample_pose
from training.synth.hand.skin import SkinStyle
from training.synth.nail.plate import Plate
from training.synth.nail.press_on import sample_set
from training.synth.nail.shape import sample_outline


@dataclass
class PlacedHand:
    """A hand in pixels (x right, y down, z to the viewer). `joints` [21,3]; plates thumb to little finger."""

    shape: HandShape
    cones: Cones
    joints: Array
    plates: list[Plate]
    skin: SkinStyle
    side: str
    manner: str
    scale: float
    bend: NDArray[np.float32]
    materials: dict[int, NDArray[np.float32]] = field(default_factory=dict)


@dataclass
class Layout:
    """All hands of a picture of `width` x `height`."""

    width: int
    height: int
    hands: list[PlacedHand]
    arrangement: str
    framing: str
    loose: list[tuple[int, Plate]] = field(default_factory=list)

    def nails_in_view(self) -> int:
        """How many nails face the camera with their middle inside the picture, whatever hides them."""
        count = len(self.loose)
        for hand in self.hands:
            for plate in hand.plates:
                x, y, _ = plate.centre
                count += 0 <= x < self.width and 0 <= y < self.height and plate.dorsal[2] > 0.3
        return count


@dataclass(frozen=True)
class _Free:
    """A hand before it is placed: camera axes with y up, hand units."""

    shape: HandShape
    rotation: Array
    offset: Array
    manner: str
    bend: NDArray[np.float32]

    def joints(self) -> Array:
        return self.shape.joints @ self.rotation.T + self.offset

    def nails_visible(self) -> NDArray[np.bool_]:
        return (self.shape.dorsal[:, 2] @ self.rotation.T)[:, 2] > 0.15


def _build(rng: np.random.Generator) -> Build:
    return Build(
        *(float(v) for v in rng.normal([1.0, 1.0, 1.03, 0.98, 1.02], [0.09, 0.05, 0.05, 0.02, 0.025]))
    )


def _free_hand(
    rng: np.random.Generator,
    build: Build,
    side: str,
    manner: str,
    offset: Array,
    roll: float | None,
    visible: int,
) -> _Free:
    """Draw until at least `visible` nails face the camera (or ten times)."""
    for _ in range(10):
        pose, view = sample_pose(rng, manner, side == "left")
        if roll is not None:
            view = View(view.yaw, view.pitch, roll)
        shape = pose_hand(pose, build, side)
        bend = np.deg2rad(np.abs(pose.flex[:, 1:])).astype(np.float32)
        hand = _Free(shape, view.matrix(), offset, manner, bend)
        if hand.nails_visible().sum() >= visible:
            break
    return hand


LOOSE_SHARE = 0.04  # press-on sets without a hand
FEET_SHARE = 0.04
ARRANGEMENTS = {"one": 0.70, "side_by_side": 0.08, "stacked": 0.16, "facing": 0.06}
# "macro": one to three nails fill the picture; "skin": knuckles, palm or wrist do.
FRAMINGS = {"whole": 0.26, "fingers": 0.28, "nails": 0.23, "macro": 0.11, "skin": 0.05, "wide": 0.07}
CLOSE_FRAMINGS = {"whole": 0.24, "fingers": 0.43, "nails": 0.33}


@dataclass(frozen=True)
class Habit:
    """How one person photographs: weights of framings and of arrangements, and the seed of the skin and
    the nails of her own hand."""

    framings: dict[str, float]
    arrangements: dict[str, float]
    hand: int


ASPECTS = ((3, 4), (3, 4), (4, 3), (1, 1), (9, 16), (16, 9), (2, 3), (4, 5))


def sample_layout(
    rng: np.random.Generator,
    size: int,
    design: Design,
    tone: int | None = None,
    close: bool = False,
    without: frozenset[str] = frozenset(),
    habit: Habit | None = None,
    own_hand: bool = False,
) -> Layout:
    """Draw hands and place them in a picture whose longer side is `size`; `tone` (0-9) fixes the skin.

    `close`: without the photos from far away, in which designs are too small to tell, and without views that
    show no nail on purpose. `without`: see training.synth.ingredients. `habit`: of who photographs;
    `own_hand`: it is her own hand.
    """
    aw, ah = ASPECTS[int(rng.integers(0, len(ASPECTS)))]
    width, height = (size, round(size * ah / aw)) if aw >= ah else (round(size * aw / ah), size)
    if rng.random() < LOOSE_SHARE:
        loose = sample_set(rng, design.shape, design.length, width, height)
        return Layout(width, height, [], "set", "nails", loose)
    arrangement = _pick(rng, habit.arrangements if habit else ARRANGEMENTS)
    if not close and rng.random() < FEET_SHARE:
        arrangement = "feet"
    framings = _framings(close, without)
    framing = _pick(rng, {name: habit.framings[name] for name in framings} if habit and close else framings)
    free = _arrange(rng, arrangement, "hard_negatives" not in without)
    frame = _frame(rng, free, framing, width, height)
    body = np.random.default_rng(habit.hand) if habit is not None and own_hand else rng
    build_nails = _NailSizes(body)
    sampled_tone = int(rng.choice(10, p=[0.15, 0.15, 0.14, 0.13, 0.13, 0.08, 0.07, 0.06, 0.05, 0.04]))
    skin = SkinStyle(body, sampled_tone if tone is None else tone, "skin_detail" not in without)
    hands = [_place(rng, hand, frame, skin, design, build_nails) for hand in free]
    return Layout(width, height, hands, arrangement, framing)


def _framings(close: bool, without: frozenset[str]) -> dict[str, float]:
    shares = dict(CLOSE_FRAMINGS if close else FRAMINGS)
    for ingredient, names in (("close_ups", ("nails", "macro")), ("hard_negatives", ("skin",))):
        if ingredient in without:
            for name in names:
                shares.pop(name, None)
    return shares


def _pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    p = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(p), p=p / p.sum()))]


def _arrange(rng: np.random.Generator, arrangement: str, negatives: bool = True) -> list[_Free]:
    build = _build(rng)
    side = "left" if rng.random() < 0.6 else "right"
    other = "right" if side == "left" else "left"
    zero = np.zeros(3)
    if arrangement == "feet":
        return _feet(rng, build)
    if arrangement == "one":
        manner = _pick(
            rng, MANNERS if negatives else {k: v for k, v in MANNERS.items() if k not in ("fist", "palm")}
        )
        visible = {"fist": 0, "palm": 0, "side": 1}.get(manner, 3)
        return [_free_hand(rng, build, side, manner, zero, None, visible)]
    calm = str(rng.choice(["flat", "relaxed"]))
    if arrangement == "side_by_side":
        manner = calm if rng.random() < 0.7 else str(rng.choice(["curl", "fan"]))
        gap, roll = rng.uniform(1.0, 1.7), rng.normal(0, 12)
        turn = 0.0 if rng.random() < 0.7 else 180.0
        near = -1.0 if (side == "left") == (manner != "curl") else 1.0  # thumbs towards each other
        if turn:
            near = -near
        a = _free_hand(rng, build, side, manner, np.array([near * gap / 2, 0, 0]), turn - near * roll, 3)
        b = _free_hand(
            rng,
            build,
            other,
            manner,
            np.array([-near * gap / 2, rng.normal(0, 0.1), 0]),
            turn + near * roll,
            3,
        )
        return [a, b]
    if arrangement == "facing":
        reach = rng.uniform(1.5, 2.3)
        a = _free_hand(rng, build, side, calm, np.array([-reach, 0, 0]), -90 + rng.normal(0, 12), 3)
        b = _free_hand(
            rng, build, other, calm, np.array([reach, rng.normal(0, 0.4), 0.1]), 90 + rng.normal(0, 12), 3
        )
        return [a, b]
    heading = rng.uniform(0, 360) if rng.random() < 0.5 else 180 + rng.normal(0, 40)  # stacked
    cross = rng.choice([-1, 1]) * rng.uniform(15, 85)
    shift = rng.normal([0.0, 0.0], [0.35, 0.3])
    below = _free_hand(rng, build, side, calm, zero, heading, 3)
    back = np.deg2rad(heading)
    apart = np.array([-np.sin(back), np.cos(back), 0]) * -rng.uniform(0.0, 0.5)
    above = _free_hand(
        rng, build, other, calm, apart + np.array([shift[0], shift[1], 0.62]), heading + cross, 3
    )
    return [below, above]


def _feet(rng: np.random.Generator, build: Build) -> list[_Free]:
    """One or two feet, mostly as their owner sees them from above."""
    tilt, turn, heading = (
        rng.normal(8, 18),
        rng.normal(0, 12),
        float(rng.choice([0.0, rng.uniform(-180, 180)])),
    )
    sides = ["left", "right"] if rng.random() < 0.7 else ["right"]
    gap, bend = rng.uniform(0.95, 1.5), np.zeros((5, 2), np.float32)
    free = []
    for side in sides:
        out = 1.0 if side == "right" else -1.0
        view = View(turn, tilt, heading - out * rng.normal(4, 7))
        about = np.deg2rad(heading)
        away = (
            0.5 * gap * out * np.array([np.cos(about), np.sin(about), 0.0]) if len(sides) > 1 else np.zeros(3)
        )
        free.append(_Free(pose_foot(rng, build, side), view.matrix(), away, "foot", bend))
    return free


@dataclass(frozen=True)
class _Frame:
    """Camera (y up, hand units) to pixels: perspective at distance `focus`, then scale and shift."""

    focus: float
    scale: float
    shift: Array

    def points(self, points: Array) -> Array:
        """Pixels [n,3] of points [n,3]."""
        near = self.focus / (self.focus - points[:, 2:3])
        flat = points[:, :2] * near * [1.0, -1.0] * self.scale + self.shift
        return np.concatenate([flat, points[:, 2:3] * self.scale], axis=1)

    def radii(self, radii: Array, points: Array) -> Array:
        return radii * self.scale * self.focus / (self.focus - points[:, 2])


def _frame(rng: np.random.Generator, hands: list[_Free], framing: str, width: int, height: int) -> _Frame:
    focus = float(rng.uniform(7, 25))
    flat = _Frame(focus, 1.0, np.zeros(2))
    joints = [flat.points(hand.joints())[:, :2] for hand in hands]
    if framing in ("whole", "wide"):
        target = np.concatenate(joints)
        share = rng.uniform(0.6, 1.0) if framing == "whole" else rng.uniform(0.3, 0.6)
    elif framing == "fingers":
        target = np.concatenate([j[[4, 8, 12, 16, 20, 6, 10, 14, 18, 5, 17]] for j in joints])
        share = rng.uniform(0.7, 1.15)
    elif framing == "skin":  # around one or two joints that are no fingertip
        j = joints[int(rng.integers(0, len(joints)))]
        middle = j[rng.choice([0, 1, 5, 6, 9, 10, 10, 13, 14, 17, 18, 2])]
        target = np.array([middle - 0.25, middle + 0.25])
        share = rng.uniform(0.25, 0.9)
    elif framing == "macro":
        j = joints[-1]
        first = int(rng.integers(0, 5))
        fingers = range(first, min(first + int(rng.choice([1, 1, 1, 2, 3])), 5))
        target = np.concatenate([j[4 + 4 * f] + np.array([[-0.09, -0.09], [0.09, 0.09]]) for f in fingers])
        share = rng.uniform(0.4, 1.05)
    else:  # two to five fingertips fill the picture
        j = joints[-1]
        count = int(rng.integers(2, 6))
        start = int(rng.integers(0, 6 - count)) if count < 5 else 0
        fingers = range(start, start + count)
        target = j[[k for f in fingers for k in (3 + 4 * f, 4 + 4 * f)]]
        share = rng.uniform(0.55, 0.95)
    low, high = target.min(0), target.max(0)
    extent = np.maximum(high - low, 0.15 if framing == "macro" else 0.45)
    scale = float(share * min(width / extent[0], height / extent[1]))
    spare = np.abs(np.array([width, height]) - extent * scale) * 0.5
    shift = np.array([width, height]) / 2 - (low + high) / 2 * scale + rng.uniform(-0.55, 0.55, 2) * spare
    return _Frame(focus, scale, shift)


class _NailSizes:
    """One person's nails: how wide, long and curved they are."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.width = rng.uniform(0.7, 0.96)
        self.bed = rng.uniform(1.35, 2.35)
        self.curve = rng.uniform(0.82, 1.2)
        self.slope = rng.normal(5, 3)
        self.arch = rng.uniform(0.12, 0.85)
        # how far before the end of the flesh the bed ends, in finger radii: bitten nails end early
        self.inset = rng.uniform(0.02, 0.16) if rng.random() < 0.8 else rng.uniform(0.16, 0.42)


def _place(
    rng: np.random.Generator, hand: _Free, frame: _Frame, skin: SkinStyle, design: Design, sizes: _NailSizes
) -> PlacedHand:
    shape, source = hand.shape, hand.shape.cones
    flip = np.array([1.0, -1.0, 1.0])

    def turn(vectors: Array) -> Array:
        rotated: Array = (vectors @ hand.rotation.T) * flip
        return rotated

    materials: dict[int, NDArray[np.float32]] = {}
    if hand.manner == "foot":
        materials[SLEEVE] = random_colour(rng, 0.6)
    else:
        source = dress(rng, source, shape, materials, hand.manner)
    a, b = source.a @ hand.rotation.T + hand.offset, source.b @ hand.rotation.T + hand.offset
    cones = Cones(
        frame.points(a),
        frame.points(b),
        frame.radii(source.ra, a),
        frame.radii(source.rb, b),
        source.part,
        source.s0,
        source.s1,
        turn(source.dorsal),
        turn(source.lateral),
    )
    joints_3d = hand.joints()
    joints = frame.points(joints_3d)
    length_class = "short" if hand.manner == "foot" else design.length
    plates = []
    outline_seed = rng.integers(0, 2**31)
    for finger in range(5):
        shared = np.random.default_rng(outline_seed)  # all nails of a set have one shape
        tip, last = joints_3d[4 + 4 * finger], joints_3d[3 + 4 * finger]
        near = frame.focus / (frame.focus - tip[2]) * frame.scale
        r = shape.radius[finger] * 0.87 * near
        half_width = r * sizes.width * (1.06 if finger == 0 else 1.0) * rng.uniform(0.96, 1.04)
        bed = sizes.bed * (0.92 if finger == 0 else 1.0) * rng.uniform(0.95, 1.05)
        outline = sample_outline(shared, design.shape, length_class, bed)
        axis, dorsal, lateral = (
            turn(v[finger, 2][None])[0] for v in (shape.axis, shape.dorsal, shape.lateral)
        )
        length = np.linalg.norm(tip - last) * near
        start = max(length - (sizes.inset * r + bed * half_width), 0.12 * length)
        base = frame.points(last[None])[0] + axis * start + dorsal * (0.945 * r)
        slope = np.deg2rad(np.clip(sizes.slope + rng.normal(0, 1.5), -3, 14))
        forward = axis * np.cos(slope) - dorsal * np.sin(slope)
        upward = dorsal * np.cos(slope) + axis * np.sin(slope)
        yaw = rng.normal(0, 0.03)
        forward, lateral = (
            forward * np.cos(yaw) + lateral * np.sin(yaw),
            lateral * np.cos(yaw) - forward * np.sin(yaw),
        )
        plates.append(Plate(base, forward, upward, lateral, r * sizes.curve, half_width, sizes.arch, outline))
    return PlacedHand(
        shape, cones, joints, plates, skin, shape.side, hand.manner, frame.scale, hand.bend, materials
    )
