"""Nails in the picture: which of their pixels are seen, and the paint or bare nail on them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.design.designs import Look
from training.synth.graphics.cones import DepthImage
from training.synth.graphics.light import Light
from training.synth.hand.anatomy import Cones
from training.synth.hand.skin import SkinStyle
from training.synth.nail.canvas import EDGE, Canvas
from training.synth.nail.craft import scuff
from training.synth.nail.paint import Bottles, paint_nail, shade_nail
from training.synth.nail.plate import Plate, PlateView, view_plate

F32 = NDArray[np.float32]


@dataclass
class NailView:
    """A rendered nail: its window, what is seen, how much of each pixel it covers, and whose it is.

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
    skin: SkinStyle | None,
    light: Light,
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
    if skin is not None:
        bed = front.y < plate.outline.bed * 1.02
        fold = _fold(plate, front, skin, light)
        np.copyto(
            groove[y0:y1, x0:x1],
            groove[y0:y1, x0:x1] * fold,
            where=own & bed & (front.normal[..., 2] > 0),
        )
    return NailView(hand, finger, window, front, cover.astype(np.float32), plate, under)


def _fold(plate: Plate, front: PlateView, skin: SkinStyle, light: Light) -> F32:
    """What the fold of skin around a nail does to the light [h,w].

    A thin dark line that comes and goes, a bulge lit on the lamp's side, a pale rim at the base.
    """
    outside = np.clip(-front.inside / np.float32(plate.half_width), 0, 3)
    beside = (outside > 0) & (outside < 0.8)
    turn = np.arctan2(front.x, plate.outline.bed * 0.5 - front.y)
    comes_and_goes = 0.6 + 0.4 * np.sin(2 * turn + skin.bed_pale[0] * 40) * np.sin(
        3 * turn + skin.ridges * 200
    )
    line = skin.crease * comes_and_goes * np.exp(-((outside / np.float32(0.05)) ** 2))
    gx = cv2.Sobel(front.inside, cv2.CV_32F, 1, 0, scale=0.125)
    gy = cv2.Sobel(front.inside, cv2.CV_32F, 0, 1, scale=0.125)
    towards = -(gx * light.direction[0] + gy * light.direction[1])  # outwards against the lamp's direction
    up, down = np.exp(-(((outside - 0.12) / 0.09) ** 2)), np.exp(-(((outside - 0.36) / 0.13) ** 2))
    bulge = np.float32(skin.bulge) * np.clip(towards, -1.2, 1.2) * (down - up) * 0.35
    rim = np.where(front.y < 0.3, skin.cuticle, 0.02) * np.exp(-(((outside - 0.1) / 0.07) ** 2))
    fold: F32 = np.where(beside, np.clip(1 - line + bulge + rim, 0.3, 1.25), 1).astype(np.float32)
    return fold


def draw_nail(
    rng: np.random.Generator,
    image: F32,
    nail: NailView,
    look: Look,
    skin: SkinStyle | None,
    light: Light,
    lit: F32,
    bottles: Bottles,
    see_through: bool = True,
) -> None:
    """Draw a nail over `image` [h,w,3]; `see_through`: what lies behind a clear free edge is seen."""
    x0, y0, x1, y1 = nail.window
    view, plate = nail.view, nail.plate
    rows, cols = np.nonzero(nail.cover > 0)
    x, y, normal = view.x[rows, cols], view.y[rows, cols], view.normal[rows, cols]
    here = lit[y0:y1, x0:x1][rows, cols]
    bare = bare_nail(skin, plate, x, y, see_through) if skin else np.full((len(x), 3), 0.88, np.float32)
    normal = _uneven(rng, normal, x, y)
    painted = np.zeros_like(x)
    if look.bare:
        finish, albedo, metal = ("gloss" if look.finish == "gloss" else "pearl_sheen"), bare, np.zeros_like(x)
    else:
        finish = look.finish
        unit = int(np.clip(plate.half_width * 1.1, 10, 110))
        canvas = paint_nail(
            bottles.stream(look, nail.hand * 5 + nail.finger), look, plate.outline, unit, bottles
        )
        if bottles.mess:
            scuff(rng, canvas, bottles.mess)
        albedo, metal, painted = _look_up(canvas, bare, x, y, bottles.growth)
    below = nail.under[rows, cols]  # the free edge seen from below is dull
    albedo[below] = albedo[below] * 0.6 + 0.2
    inner = np.clip(view.inside[rows, cols] / max(bottles.rim_width * plate.half_width, 0.8), 0, 1)
    colour = shade_nail(rng, finish, albedo.astype(np.float32) ** 2, metal, normal, light, here)
    if look.bare:
        colour = colour * np.float32(bottles.gain)
    colour *= (1 - bottles.rim * (1 - inner))[:, None]  # paint thins and turns away at its border
    end = np.clip((y - plate.outline.length) / 0.07 + 1.3, 0, 1) * (view.inside[rows, cols] > 0)
    colour *= (1 + bottles.end * end)[:, None]  # the thickness of the tip
    alpha = nail.cover[rows, cols]
    if see_through and skin is not None:
        clear = np.clip((y - _smile(skin, plate, x)) / skin.edge_sharp + 0.5, 0, 1)
        clear *= skin.edge_clear * (1 - painted) * inner
        alpha = alpha * (1 - clear)
        shine = clear[:, None] * np.maximum(colour - albedo**2, 0)  # what is clear still mirrors lamps
        colour = colour + 0.5 * shine
    alpha = alpha[:, None]
    patch = image[y0:y1, x0:x1]
    patch[rows, cols] = patch[rows, cols] * (1 - alpha) + np.sqrt(np.clip(colour, 0, 1.3)) * alpha


def _uneven(rng: np.random.Generator, normal: F32, x: F32, y: F32) -> F32:
    """Tilt a nail and make its surface a little uneven, so that no two nails mirror a lamp alike."""
    tilt, waves = rng.normal(0, 0.07, 2), rng.normal(0, 0.035, 4)
    phase = rng.uniform(0, 6.3, 4)
    out = normal.copy()
    out[:, 0] += tilt[0] + waves[0] * np.sin(2.1 * y + phase[0]) + waves[1] * np.sin(4.3 * x + phase[1])
    out[:, 1] += tilt[1] + waves[2] * np.sin(2.9 * y + phase[2]) + waves[3] * np.sin(3.7 * x + phase[3])
    out /= np.maximum(np.sqrt(np.einsum("ij,ij->i", out, out)), 1e-6)[:, None]
    return out


def _smile(skin: SkinStyle, plate: Plate, x: F32) -> F32:
    """Where the free edge begins [n], in half widths from the base: a line a little wavy."""
    wave = skin.edge_wave
    bent = wave[0] * np.sin(5 * x + 1) + wave[1] * np.sin(9 * x + 2) + wave[2] * x
    line: F32 = (plate.outline.bed * skin.edge_at - skin.edge_smile * (x * x) + bent).astype(np.float32)
    return line


def _look_up(canvas: Canvas, bare: F32, x: F32, y: F32, growth: float) -> tuple[F32, F32, F32]:
    """Paint over bare nail at nail coordinates: sRGB [n,3], metal [n] and how opaque the paint is [n];
    `growth`: bare half widths at the base."""
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
    return albedo, np.asarray(metal, np.float32), cover


def bare_nail(skin: SkinStyle, plate: Plate, x: F32, y: F32, free_edge: bool = True) -> F32:
    """sRGB [n,3] of a nail without paint: a pink bed, a pale half-moon, a whitish free edge."""
    bed = skin.nail_bed
    ridges = np.sin(x * 24 + 1.0) + 0.6 * np.sin(x * 41 + 2.0)
    pale = skin.bed_pale[0] * (1 - y / plate.outline.bed) + skin.bed_pale[1] * x * x
    colour = bed * (1 + skin.ridges * ridges + pale)[:, None]
    if skin.moon > 0.15:
        moon = np.clip((skin.moon - np.hypot(x * 0.8, (y - 0.05) * 1.1)) / 0.15 + 0.5, 0, 1) * skin.moon_pale
        colour = colour + (np.clip(bed + 0.14, 0, 1) - colour) * moon[:, None]
    if not free_edge:
        return np.asarray(colour, np.float32)
    edge = _smile(skin, plate, x)
    pink = np.clip((y - edge + 0.22) / 0.2, 0, 1) * np.clip(
        (edge - y) / 0.03, 0, 1
    )  # the band before the edge
    colour = colour * (1 - pink[:, None] * np.array([0.02, 0.09, 0.08], np.float32))
    white = np.clip((y - edge) / skin.edge_sharp + 0.5, 0, 1) * skin.edge_opaque
    result: F32 = (colour + (skin.edge_colour - colour) * white[:, None]).astype(np.float32)
    return result
