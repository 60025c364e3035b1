"""Nails in the picture: which of their pixels are seen, and the paint or bare nail on them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.anatomy import Cones
from training.synth.canvas import EDGE, Canvas
from training.synth.cones import DepthImage
from training.synth.designs import Look
from training.synth.light import Light
from training.synth.nail_surface import Plate, PlateView, view_plate
from training.synth.paint import Bottles, paint_nail, shade_nail
from training.synth.skin import SkinStyle

F32 = NDArray[np.float32]


@dataclass
class NailView:
    """A drawn nail: its window, what is seen, how much of each pixel it covers, and whose it is.

    `under` [h,w]: where the free edge is seen from below. `hand` is -1 for a loose nail.
    """

    hand: int
    finger: int
    window: tuple[int, int, int, int]
    view: PlateView
    cover: F32
    plate: Plate
    under: NDArray[np.bool_]
    instance: int = 0


def see_nail(
    hand: int,
    finger: int,
    plate: Plate,
    depth: DepthImage,
    cones: Cones,
    owner: NDArray[np.int8],
    part: NDArray[np.int8],
    groove: F32,
    crease: float,
) -> NailView | None:
    height, width = depth.z.shape
    window = plate.window(width, height, 0.5)
    x0, y0, x1, y1 = window
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    own = (owner[y0:y1, x0:x1] == hand) & (part[y0:y1, x0:x1] == finger)
    own &= np.append(cones.s0 > 1.8, False).take(depth.cone[y0:y1, x0:x1], mode="wrap")
    z = depth.z[y0:y1, x0:x1]
    front = view_plate(plate, window)
    back = view_plate(plate, window, back=True)
    if front is None or back is None:
        return None
    thick = plate.radius
    seen = (front.normal[..., 2] > 0.05) & (front.z > z - np.where(own, 0.5 * thick, 0.0))
    cover = np.clip(front.inside + 0.5, 0, 1) * seen
    under = (back.normal[..., 2] > 0.05) & (back.z > z) & (back.inside > 0) & (cover < 0.5)
    if under.any():  # the free edge from below
        for name in ("x", "y", "z", "inside"):
            np.copyto(getattr(front, name), getattr(back, name), where=under)
        np.copyto(front.normal, back.normal, where=under[..., None])
        cover = np.where(under, np.clip(back.inside + 0.5, 0, 1), cover)
    if cover.max() < 0.5:
        return None
    # the fold of skin around the nail: a dark groove, then a ridge that catches light
    outside = np.clip(-front.inside / plate.half_width, 0, 3)
    dark = crease * np.exp(-((outside / 0.055) ** 2)) * (outside > 0)
    ridge = 0.045 * np.exp(-(((outside - 0.17) / 0.09) ** 2))
    bed = front.y < plate.outline.bed * 1.02
    np.copyto(
        groove[y0:y1, x0:x1],
        groove[y0:y1, x0:x1] * (1 - dark + ridge),
        where=own & bed & (front.normal[..., 2] > 0),
    )
    return NailView(hand, finger, window, front, cover.astype(np.float32), plate, under)


def draw_nail(
    rng: np.random.Generator,
    image: F32,
    nail: NailView,
    look: Look,
    skin: SkinStyle | None,
    light: Light,
    lit: F32,
    bottles: Bottles,
) -> None:
    x0, y0, x1, y1 = nail.window
    view, plate = nail.view, nail.plate
    rows, cols = np.nonzero(nail.cover > 0)
    x, y, normal = view.x[rows, cols], view.y[rows, cols], view.normal[rows, cols]
    here = lit[y0:y1, x0:x1][rows, cols]
    bare = bare_nail(skin, plate, x, y) if skin else np.full((len(x), 3), 0.88, np.float32)
    if look.bare:
        finish, albedo, metal = ("gloss" if look.finish == "gloss" else "pearl_sheen"), bare, np.zeros_like(x)
    else:
        finish = look.finish
        unit = int(np.clip(plate.half_width * 1.1, 10, 110))
        canvas = paint_nail(
            bottles.stream(look, nail.hand * 5 + nail.finger), look, plate.outline, unit, bottles
        )
        albedo, metal = _look_up(canvas, bare, x, y, bottles.growth)
    below = nail.under[rows, cols]  # the free edge seen from below is dull
    albedo[below] = albedo[below] * 0.6 + 0.2
    inner = np.clip(view.inside[rows, cols] / max(0.07 * plate.half_width, 0.8), 0, 1)
    colour = shade_nail(rng, finish, albedo.astype(np.float32) ** 2, metal, normal, light, here)
    if look.bare:
        colour = colour * np.float32(0.92)
    colour *= (0.72 + 0.28 * inner)[:, None]  # paint thins and turns away at its border
    alpha = nail.cover[rows, cols][:, None]
    patch = image[y0:y1, x0:x1]
    patch[rows, cols] = patch[rows, cols] * (1 - alpha) + np.sqrt(np.clip(colour, 0, 1.3)) * alpha


def _look_up(canvas: Canvas, bare: F32, x: F32, y: F32, growth: float) -> tuple[F32, F32]:
    """Paint over bare nail at nail coordinates: sRGB [n,3] and metal [n]; `growth`: bare half widths at
    the base."""
    layers = np.dstack([canvas.rgb, canvas.cover])
    # remap takes at most 32,767 columns: long rows of pixels are folded
    fold = -(-len(x) // 4096)
    u, v = np.zeros((2, fold * 4096), np.float32)
    u[: len(x)], v[: len(x)] = (x + EDGE) * canvas.unit, y * canvas.unit
    u, v = u.reshape(fold, 4096), v.reshape(fold, 4096)
    linear, repeat = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    rgba = cv2.remap(layers, u, v, linear, borderMode=repeat).reshape(-1, 4)[: len(x)].astype(np.float32)
    shine = cv2.remap(canvas.metal, u, v, linear, borderMode=repeat).reshape(-1)[: len(x)]
    rgba *= np.float32(1 / 255)
    cover, metal = rgba[:, 3], shine.astype(np.float32) / 255
    if growth > 0:
        base = canvas.outline.cuticle * (1 - np.sqrt(np.clip(1 - np.minimum(np.abs(x), 1) ** 2, 0, 1)))
        grown = np.clip((y - base - growth) / 0.06 + 0.5, 0, 1)
        cover, metal = cover * grown, metal * grown
    albedo: F32 = bare + (rgba[:, :3] - bare) * cover[:, None]
    return albedo, metal


def bare_nail(skin: SkinStyle, plate: Plate, x: F32, y: F32) -> F32:
    """sRGB [n,3] of a nail without paint: a pink bed, a pale half-moon, a whitish free edge."""
    bed = skin.nail_bed
    colour = bed * (1 + skin.ridges * np.sin(x * 24 + 1.0))[:, None]
    if skin.moon > 0.15:
        moon = np.clip((skin.moon - np.hypot(x * 0.8, (y - 0.05) * 1.1)) / 0.15 + 0.5, 0, 1) * skin.moon_pale
        colour = colour + (np.clip(bed + 0.14, 0, 1) - colour) * moon[:, None]
    edge = plate.outline.bed * skin.edge_at - skin.edge_smile * (1 - x * x)
    pink = np.clip((y - edge + 0.22) / 0.2, 0, 1) * np.clip(
        (edge - y) / 0.03, 0, 1
    )  # the band before the edge
    colour = colour * (1 - pink[:, None] * np.array([0.02, 0.09, 0.08], np.float32))
    white = np.clip((y - edge) / 0.06 + 0.5, 0, 1) * skin.edge_opaque
    result: F32 = (colour + (skin.edge_colour - colour) * white[:, None]).astype(np.float32)
    return result
