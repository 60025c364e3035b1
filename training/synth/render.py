"""From a layout to pixels: depth, nails on top, shadows, skin and paint."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.anatomy import FINGERS, Cones
from training.synth.canvas import EDGE, Canvas
from training.synth.cones import DepthImage, rasterise, surface
from training.synth.designs import Design, Look
from training.synth.layout import BAND, RING, SLEEVE, Layout, PlacedHand
from training.synth.light import Light, shadows
from training.synth.nail_surface import Plate, PlateView, view_plate
from training.synth.paint import Bottles, paint_nail, shade_nail
from training.synth.skin import SkinStyle

F32 = NDArray[np.float32]


@dataclass
class NailView:
    """A drawn nail: its window, what is seen, how much of each pixel it covers, and whose it is."""

    hand: int
    finger: int
    window: tuple[int, int, int, int]
    view: PlateView
    cover: F32
    plate: Plate
    instance: int = 0


@dataclass
class Rendered:
    """`image` [h,w,3] sRGB 0-1 float, `mask` u8 [h,w] instances, the nails in instance order, depth and hand index."""

    image: F32
    mask: NDArray[np.uint8]
    nails: list[NailView]
    depth: DepthImage
    hand: NDArray[np.int8]


def render(
    rng: np.random.Generator, layout: Layout, design: Design, background: F32, light: Light
) -> Rendered:
    """Draw the hands over `background` [h,w,3] in 0-1."""
    height, width = layout.height, layout.width
    depth = DepthImage.empty(height, width)
    first, hand_of_cone = 0, []
    for index, hand in enumerate(layout.hands):
        rasterise(hand.cones, depth, first)
        first += len(hand.cones.ra)
        hand_of_cone += [index] * len(hand.cones.ra)
    cones = _joined([hand.cones for hand in layout.hands])
    owner = np.array([*hand_of_cone, -1], np.int8)[depth.cone]
    part = np.array([*cones.part, -1], np.int8)[depth.cone]
    along = _along(cones, depth)
    groove = np.ones((height, width), np.float32)
    nails = []
    for index, hand in enumerate(layout.hands):
        for finger, plate in enumerate(hand.plates):
            nail = _see_nail(index, finger, plate, depth, owner, part, along, groove)
            if nail is not None:
                nails.append(nail)
    for nail in nails:
        x0, y0, x1, y1 = nail.window
        window = depth.z[y0:y1, x0:x1]
        np.copyto(window, np.maximum(window, nail.view.z), where=nail.cover > 0.5)
    scale = max(hand.scale for hand in layout.hands) if layout.hands else width / 3
    lowest = min((float(hand.cones.a[:, 2].min()) for hand in layout.hands), default=0.0)
    ground = lowest - scale * float(rng.choice([0.05, rng.uniform(0.1, 0.6), 8.0], p=[0.35, 0.35, 0.3]))
    lit = shadows(depth.z, light, ground, 0.35 * scale)
    image = background * (0.35 + 0.65 * lit)[..., None]
    image = _shade_hands(rng, image, layout, cones, depth, owner, part, along, lit, light, groove)
    edges = _silhouettes(depth)
    mask = np.zeros((height, width), np.uint8)
    bottles = Bottles(rng)
    drawn = []
    for nail in nails:
        skin = layout.hands[nail.hand].skin
        _draw_nail(rng, image, nail, design.looks[nail.finger], skin, light, lit, bottles)
        solid = nail.cover > 0.5
        if solid.sum() < 12:
            continue
        x0, y0, x1, y1 = nail.window
        nail.instance = len(drawn) + 1
        mask[y0:y1, x0:x1][solid] = nail.instance
        drawn.append(nail)
    soft = cv2.GaussianBlur(image, (3, 3), 0.8)
    image = np.where(edges[..., None], soft, image)
    return Rendered(image, mask, drawn, depth, owner)


def _joined(cones: list[Cones]) -> Cones:
    names = ("a", "b", "ra", "rb", "part", "s0", "s1", "dorsal", "lateral")
    if not cones:
        none = np.zeros((0, 3))
        flat = np.zeros(0)
        return Cones(none, none, flat, flat, np.zeros(0, np.int64), flat, flat, none, none)
    return Cones(*(np.concatenate([getattr(c, name) for c in cones]) for name in names))


def _along(cones: Cones, depth: DepthImage) -> F32:
    s0, s1 = np.append(cones.s0, 0).astype(np.float32), np.append(cones.s1, 0).astype(np.float32)
    result: F32 = s0[depth.cone] + (s1 - s0)[depth.cone] * depth.t
    return result


def _see_nail(
    hand: int,
    finger: int,
    plate: Plate,
    depth: DepthImage,
    owner: NDArray[np.int8],
    part: NDArray[np.int8],
    along: F32,
    groove: F32,
) -> NailView | None:
    height, width = depth.z.shape
    window = plate.window(width, height, 0.5)
    x0, y0, x1, y1 = window
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    own = (owner[y0:y1, x0:x1] == hand) & (part[y0:y1, x0:x1] == finger) & (along[y0:y1, x0:x1] > 1.95)
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
        front.under = under
    if cover.max() < 0.5:
        return None
    # the fold of skin around the nail: a dark groove, then a ridge that catches light
    outside = np.clip(-front.inside / plate.half_width, 0, 3)
    dark = 0.42 * np.exp(-((outside / 0.055) ** 2)) * (outside > 0)
    ridge = 0.10 * np.exp(-(((outside - 0.17) / 0.09) ** 2))
    bed = front.y < plate.outline.bed * 1.02
    np.copyto(
        groove[y0:y1, x0:x1],
        groove[y0:y1, x0:x1] * (1 - dark + ridge),
        where=own & bed & (front.normal[..., 2] > 0),
    )
    return NailView(hand, finger, window, front, cover.astype(np.float32), plate)


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


def _smooth_normals(
    normal: F32,
    ys: NDArray[np.int64],
    xs: NDArray[np.int64],
    weight: F32,
    shape: tuple[int, int],
    reach: float,
) -> F32:
    """Blend normals with their blurred neighbours by `weight` [n]: flesh hides where the cones meet."""
    height, width = shape
    field = np.zeros((height, width, 4), np.float32)
    field[ys, xs, :3] = normal
    field[ys, xs, 3] = 1
    small = cv2.resize(field, (max(width // 3, 4), max(height // 3, 4)), interpolation=cv2.INTER_AREA)
    k = max(int(reach / 3) | 1, 3)
    small = cv2.blur(cv2.blur(small, (k, k)), (k, k))
    blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)[ys, xs, :3]
    blurred /= np.maximum(np.linalg.norm(blurred, axis=1, keepdims=True), 1e-6)
    mixed = normal + (blurred - normal) * weight[:, None]
    result: F32 = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6)
    return result


def _shade_hands(
    rng: np.random.Generator,
    image: F32,
    layout: Layout,
    cones: Cones,
    depth: DepthImage,
    owner: NDArray[np.int8],
    part: NDArray[np.int8],
    along: F32,
    lit: F32,
    light: Light,
    groove: F32,
) -> F32:
    from training.synth.background import noise

    ys, xs = np.nonzero(depth.cone >= 0)
    if not len(ys):
        return image
    height, width = depth.z.shape
    cone, t = depth.cone[ys, xs], depth.t[ys, xs]
    # nails raised the depth afterwards: the surface below them is not needed
    normal, s = surface(
        cones, cone, t, xs.astype(np.float32), ys.astype(np.float32), _cone_z(cones, cone, t, xs, ys)
    )
    finger, who = part[ys, xs].astype(np.int64), owner[ys, xs]
    scale = layout.hands[0].scale
    soft = np.where(finger == 5, 1.0, np.where(finger < 5, np.clip((0.62 - s) / 0.4, 0, 0.85), 0.6))
    normal = _smooth_normals(normal, ys, xs, soft.astype(np.float32), (height, width), 0.17 * scale)
    rough = noise(rng, height, width, max(2.0, 0.02 * scale), 2)
    slope_x, slope_y = cv2.Sobel(rough, cv2.CV_32F, 1, 0)[ys, xs], cv2.Sobel(rough, cv2.CV_32F, 0, 1)[ys, xs]
    mottle = noise(rng, height, width, max(4.0, 0.12 * scale), 3)[ys, xs]
    light_here, groove_here = lit[ys, xs], groove[ys, xs]
    out = np.empty((len(ys), 3), np.float32)
    dorsal, lateral = cones.dorsal.astype(np.float32)[cone], cones.lateral.astype(np.float32)[cone]
    cosine, sine = np.einsum("ij,ij->i", normal, dorsal), np.einsum("ij,ij->i", normal, lateral)
    for index, hand in enumerate(layout.hands):
        mine = who == index
        if not mine.any():
            continue
        n = normal[mine].copy()
        skin = hand.skin
        n[:, 0] += skin.relief * slope_x[mine] * 0.15
        n[:, 1] += skin.relief * slope_y[mine] * 0.15
        f, position = finger[mine], s[mine]
        folds = np.zeros(len(f), np.float32)
        on_finger = f < 5
        folds[on_finger] = skin.folds_at(
            f[on_finger], position[on_finger], sine[mine][on_finger], cosine[mine][on_finger], hand.bend
        )
        out[mine] = _shade_skin(
            skin,
            hand,
            n,
            f,
            position,
            folds,
            cosine[mine],
            mottle[mine],
            light_here[mine],
            groove_here[mine],
            light,
        )
    image[ys, xs] = np.sqrt(np.clip(out, 0, 1.2))
    return image


def _cone_z(
    cones: Cones, cone: NDArray[np.int32], t: F32, xs: NDArray[np.int64], ys: NDArray[np.int64]
) -> F32:
    """Depth of the cones' surface at known positions along them."""
    a, d = cones.a.astype(np.float32)[cone], (cones.b - cones.a).astype(np.float32)[cone]
    ra, dr = cones.ra.astype(np.float32)[cone], (cones.rb - cones.ra).astype(np.float32)[cone]
    centre = a + d * t[:, None]
    gap = (ra + dr * t) ** 2 - (xs - centre[:, 0]) ** 2 - (ys - centre[:, 1]) ** 2
    result: F32 = (centre[:, 2] + np.sqrt(np.maximum(gap, 0))).astype(np.float32)
    return result


def _shade_skin(
    skin: SkinStyle,
    hand: PlacedHand,
    normal: F32,
    finger: NDArray[np.int64],
    s: F32,
    folds: F32,
    cosine: F32,
    mottle: F32,
    lit: F32,
    groove: F32,
    light: Light,
) -> F32:
    """Squared colour [n,3] of skin, sleeves, bands and rings."""
    red = skin.redness(s, finger)
    palm = np.clip(-cosine * 1.5, 0, 1)[:, None] * (0.25 if skin.tone < 5 else 0.75)
    albedo = skin.colour * (1 + (skin.blush - 1) * red[:, None])
    albedo = (
        albedo + (np.clip(skin.colour * np.array([1.1, 1.0, 0.98], np.float32) + 0.06, 0, 1) - albedo) * palm
    )
    albedo = albedo * (1 + skin.mottle * mottle)[:, None] * groove[:, None]
    fold = folds[:, None] * np.array([0.22, 0.32, 0.36], np.float32)
    albedo = (albedo * (1 - fold)) ** 2
    diffuse = light.diffuse(normal, 0.3)
    # light that passes through skin is red: shadow borders are warm
    power = (diffuse * lit)[:, None] ** np.array([0.82, 1.0, 1.08], np.float32)
    result = albedo * (light.key * power * light.key_colour * 1.06 + light.ambient * light.ambient_colour)
    result += (skin.shine * light.reflect(normal, soft=True) * lit)[:, None] * 0.55
    for code, colour in hand.materials.items():
        mine = finger == code
        if not mine.any():
            continue
        base = colour**2
        power = (light.key * diffuse * lit + light.ambient)[mine, None]
        if code == SLEEVE:
            result[mine] = base * power * (1 + 0.25 * mottle[mine])[:, None]
        elif code in (RING, BAND):
            n = normal[mine]
            bands = 0.35 + 0.65 * (0.5 + 0.5 * np.sin(6 * n[:, 0] + 5 * n[:, 1]))
            result[mine] = base * (power * 0.5 + 0.6 * bands[:, None]) + 0.6 * light.reflect(n)[:, None]
    return result.astype(np.float32)


def _draw_nail(
    rng: np.random.Generator,
    image: F32,
    nail: NailView,
    look: Look,
    skin: SkinStyle,
    light: Light,
    lit: F32,
    bottles: Bottles,
) -> None:
    x0, y0, x1, y1 = nail.window
    view, plate = nail.view, nail.plate
    rows, cols = np.nonzero(nail.cover > 0)
    x, y, normal = view.x[rows, cols], view.y[rows, cols], view.normal[rows, cols]
    here = lit[y0:y1, x0:x1][rows, cols]
    bare = _bare_nail(rng, skin, plate, x, y)
    if look.bare:
        finish, albedo, metal = ("gloss" if look.finish == "gloss" else "pearl_sheen"), bare, np.zeros_like(x)
    else:
        finish = look.finish
        unit = int(np.clip(plate.half_width * 1.1, 10, 110))
        canvas = paint_nail(rng, look, plate.outline, unit, bottles)
        albedo, metal = _look_up(canvas, bare, x, y, skin, plate)
    under = getattr(view, "under", None)
    if under is not None:
        below = under[rows, cols]
        albedo[below] = albedo[below] * 0.6 + 0.2
    inner = np.clip(view.inside[rows, cols] / max(0.07 * plate.half_width, 0.8), 0, 1)
    colour = shade_nail(rng, finish, albedo.astype(np.float32) ** 2, metal, normal, light, here)
    if look.bare:
        colour = colour * np.float32(0.92)
    colour *= (0.72 + 0.28 * inner)[:, None]  # paint thins and turns away at its border
    alpha = nail.cover[rows, cols][:, None]
    patch = image[y0:y1, x0:x1]
    patch[rows, cols] = patch[rows, cols] * (1 - alpha) + np.sqrt(np.clip(colour, 0, 1.3)) * alpha


def _look_up(canvas: Canvas, bare: F32, x: F32, y: F32, skin: SkinStyle, plate: Plate) -> tuple[F32, F32]:
    u = ((x + EDGE) * canvas.unit).astype(np.float32)[None]
    v = (y * canvas.unit).astype(np.float32)[None]
    stack = np.dstack([canvas.rgb, canvas.cover])
    rgba = (
        cv2.remap(stack, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0].astype(np.float32) / 255
    )
    metal = (
        cv2.remap(canvas.metal, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0].astype(np.float32)
        / 255
    )
    cover = rgba[:, 3:]
    albedo: F32 = bare * (1 - cover) + rgba[:, :3] * cover
    return albedo, metal


def _bare_nail(rng: np.random.Generator, skin: SkinStyle, plate: Plate, x: F32, y: F32) -> F32:
    """sRGB [n,3] of a nail without paint: a pink bed, a pale half-moon, a whitish free edge."""
    outline = plate.outline
    pink = (
        np.array([1.04, 0.84, 0.82], np.float32)
        if skin.tone < 6
        else np.array([1.35, 1.15, 1.15], np.float32)
    )
    bed = np.clip(skin.colour * pink + rng.uniform(0.02, 0.09), 0, 1)
    ridges = 1 + 0.02 * np.sin(x * rng.uniform(15, 40) + rng.uniform(0, 6))
    colour = bed * ridges[:, None]
    moon = rng.uniform(0.0, 0.75)
    if moon > 0.2:
        t = np.clip((moon - np.hypot(x * 0.8, (y - 0.05) * 1.1)) / 0.15 + 0.5, 0, 1)[:, None] * rng.uniform(
            0.2, 0.6
        )
        colour = colour + (np.clip(bed + 0.14, 0, 1) - colour) * t
    edge = outline.bed * rng.uniform(0.93, 1.02) - rng.uniform(0.05, 0.28) * (1 - x * x)
    t = np.clip((y - edge) / 0.06 + 0.5, 0, 1)[:, None] * rng.uniform(0.55, 0.95)
    white = np.array([0.95, 0.92, 0.86], np.float32) * rng.uniform(0.82, 1.0)
    if skin.tone > 6:
        white = white * 0.9
    result: F32 = (colour + (white - colour) * t).astype(np.float32)
    return result


def finger_name(index: int) -> str:
    """Name of a finger by its index."""
    return FINGERS[index]
