"""From a layout to pixels: depth, nails on top, shadows, skin and paint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.design.designs import Design
from training.synth.graphics.cones import DepthImage, rasterise
from training.synth.graphics.light import Light, shadows
from training.synth.hand.anatomy import Cones
from training.synth.nail.craft import spill
from training.synth.nail.drawing import NailView, draw_nail, see_nail
from training.synth.nail.paint import Bottles
from training.synth.nail.plate import Plate
from training.synth.scene.flesh import shade_hands
from training.synth.scene.layout import Layout

F32 = NDArray[np.float32]


@dataclass
class Rendered:
    """`image` [h,w,3] sRGB 0-1 float, `mask` u8 [h,w] instances, the nails in instance order, depth and
    hand index."""

    image: F32
    mask: NDArray[np.uint8]
    nails: list[NailView]
    depth: DepthImage
    hand: NDArray[np.int8]


def render(
    rng: np.random.Generator,
    layout: Layout,
    design: Design,
    background: F32,
    light: Light,
    see_through: bool = True,
    mess: float = 0.0,
    own_bottles: int | None = None,
) -> Rendered:
    """Draw the hands over `background` [h,w,3] in 0-1; `see_through`: free edges without paint are clear;
    `mess`: see training.synth.nail.craft; `own_bottles`: see training.synth.nail.paint.Bottles."""
    height, width = layout.height, layout.width
    depth = DepthImage.empty(height, width)
    first, hand_of_cone = 0, []
    for index, hand in enumerate(layout.hands):
        rasterise(hand.cones, depth, first)
        first += len(hand.cones.ra)
        hand_of_cone += [index] * len(hand.cones.ra)
    cones = _joined([hand.cones for hand in layout.hands])
    owner = np.array([*hand_of_cone, -1], np.int8).take(depth.cone, mode="wrap")
    part = np.array([*cones.part, -1], np.int8).take(depth.cone, mode="wrap")
    flesh = DepthImage(depth.z.copy(), depth.cone, depth.t)
    groove = np.ones((height, width), np.float32)
    nails = []
    for index, finger, plate in _plates(layout):
        wearer = layout.hands[index].skin if index >= 0 else None
        nail = see_nail(index, finger, plate, depth, cones, owner, part, groove, wearer, light)
        if nail is None:
            continue
        nails.append(nail)
        x0, y0, x1, y1 = nail.window
        window = depth.z[y0:y1, x0:x1]
        np.copyto(window, np.maximum(window, nail.view.z), where=nail.cover > 0.5)
    scale = max((hand.scale for hand in layout.hands), default=min(width, height) / 3)
    lowest = min((float(hand.cones.a[:, 2].min()) for hand in layout.hands), default=0.0)
    ground = lowest - scale * float(rng.choice([0.05, rng.uniform(0.1, 0.6), 8.0], p=[0.35, 0.35, 0.3]))
    if layout.loose:
        ground = 0.0
    lit = shadows(depth.z, light, ground, 0.35 * scale)
    image = background * (0.35 + 0.65 * lit)[..., None]
    shade_hands(rng, image, layout, cones, flesh, owner, part, lit, light, groove)
    edges = _silhouettes(depth)
    mask = np.zeros((height, width), np.uint8)
    bottles = Bottles(rng, mess, own_bottles)
    views: list[NailView] = []
    for nail in nails:
        skin = layout.hands[nail.hand].skin if nail.hand >= 0 else None
        look = design.looks[nail.finger]
        if mess and nail.hand >= 0:
            own = (owner == nail.hand) & (part == nail.finger)
            spill(rng, image, nail, look, own, bottles.shade(look.colour), mess)
        draw_nail(rng, image, nail, look, skin, light, lit, bottles, see_through)
        solid = nail.cover > 0.5
        if solid.sum() < 12:
            continue
        x0, y0, x1, y1 = nail.window
        nail.instance = len(views) + 1
        mask[y0:y1, x0:x1][solid] = nail.instance
        views.append(nail)
    softened = np.flatnonzero(edges)
    flat = image.reshape(-1, 3)
    flat[softened] = cv2.GaussianBlur(image, (3, 3), 0.8).reshape(-1, 3)[softened]
    return Rendered(image, mask, views, depth, owner)


def _plates(layout: Layout) -> Iterator[tuple[int, int, Plate]]:
    """(hand, finger, plate) of all nails; hand -1: a loose nail."""
    for index, hand in enumerate(layout.hands):
        for finger, plate in enumerate(hand.plates):
            yield index, finger, plate
    for finger, plate in layout.loose:
        yield -1, finger, plate


def _joined(cones: list[Cones]) -> Cones:
    names = ("a", "b", "ra", "rb", "part", "s0", "s1", "dorsal", "lateral")
    if not cones:
        none = np.zeros((0, 3))
        flat = np.zeros(0)
        return Cones(none, none, flat, flat, np.zeros(0, np.int64), flat, flat, none, none)
    return Cones(*(np.concatenate([getattr(c, name) for c in cones]) for name in names))


def _silhouettes(depth: DepthImage) -> NDArray[np.bool_]:
    """Pixels beside a jump in depth, to be softened."""
    z = depth.z
    jump = np.zeros(z.shape, bool)
    dx, dy = np.abs(z[:, 1:] - z[:, :-1]) > 4, np.abs(z[1:] - z[:-1]) > 4
    jump[:, 1:] |= dx
    jump[:, :-1] |= dx
    jump[1:] |= dy
    jump[:-1] |= dy
    return jump
