"""Shading of hands: normals smoothed where cones meet, skin, folds, sleeves, watch bands and rings."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.background.surfaces import grain, noise
from training.synth.background.surfaces import surface as surface_of
from training.synth.graphics.cones import DepthImage, surface
from training.synth.graphics.light import Light
from training.synth.hand.anatomy import Cones
from training.synth.hand.dress import BAND, HELD, RING, SLEEVE
from training.synth.hand.skin import SkinStyle
from training.synth.scene.layout import Layout, PlacedHand
from training.synth.scene.skin_lines import hand_lines, marks

F32 = NDArray[np.float32]

_FABRICS = ("cloth", "cloth", "plaid", "carpet")
_WARES = ("paper", "room", "wood", "plaid", "stone", "tiles")


def shade_hands(
    rng: np.random.Generator,
    image: F32,
    layout: Layout,
    cones: Cones,
    depth: DepthImage,
    owner: NDArray[np.int8],
    part: NDArray[np.int8],
    lit: F32,
    light: Light,
    groove: F32,
) -> None:
    """Draw the hands of a depth image (without nails) into `image` [h,w,3]; `lit`, `groove` [h,w] darken."""
    height, width = depth.z.shape
    where = np.flatnonzero(depth.cone >= 0)
    if not len(where):
        return
    cone, t = depth.cone.ravel()[where], depth.t.ravel()[where]
    ys, xs = np.divmod(where, width)
    normal, s = surface(cones, cone, t, xs.astype(np.float32), ys.astype(np.float32), depth.z.ravel()[where])
    finger, who = part.ravel()[where].astype(np.int64), owner.ravel()[where]
    scale = layout.hands[0].scale
    soft = np.where(finger == 5, 1.0, np.where(finger < 5, np.clip((0.62 - s) / 0.4, 0, 0.85), 0.9))
    normal = _smooth_normals(normal, ys, xs, where, soft.astype(np.float32), (height, width), 0.17 * scale)
    cell = max(1.5, float(rng.uniform(0.006, 0.024)) * scale)
    fine = grain(rng, height, width, cell, float(rng.uniform(1.0, 2.5)))
    relief = layout.hands[0].skin.relief * min(cell, 9.0) * fine
    patches = noise(rng, height, width, max(4.0, 0.12 * scale), 2)
    blood = noise(rng, height, width, max(6.0, float(rng.uniform(0.1, 0.4)) * scale), 2)
    relief += layout.hands[0].skin.bumps * 0.12 * scale * patches
    grooves, vessels, hairs = _render_marks(rng, layout, owner, part, relief)
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=0.125).ravel()[where]
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=0.125).ravel()[where]
    mottle = (0.7 * patches + 0.5 * fine).ravel()[where]
    blood_here = blood.ravel()[where]
    wavy = 0.012 * patches.ravel()[where] + 0.006 * fine.ravel()[where]
    grooves_here, vessels_here, hairs_here = (m.ravel()[where] for m in (grooves, vessels, hairs))
    prints = _prints(rng, finger, where, (height, width))
    light_here, groove_here = lit.ravel()[where], groove.ravel()[where]
    dorsal, lateral = cones.dorsal.astype(np.float32), cones.lateral.astype(np.float32)
    flat = image.reshape(-1, 3)
    for index, hand in enumerate(layout.hands):
        mine = np.flatnonzero(who == index) if len(layout.hands) > 1 else slice(None)
        n, f, position, c = normal[mine], finger[mine], s[mine], cone[mine]
        cosine = np.einsum("ij,ij->i", n, dorsal[c])
        on_finger = np.flatnonzero((f < 5) & (position > 0.3) & (position < 2.45))
        folds = np.zeros(len(f), np.float32)
        if len(on_finger):
            sine = np.einsum("ij,ij->i", n[on_finger], lateral[c[on_finger]])
            folds[on_finger] = hand.skin.folds_at(
                f[on_finger], position[on_finger] + wavy[mine][on_finger], sine, cosine[on_finger], hand.bend
            )
            folds *= 1 + 9 * wavy[mine]
        folds += grooves_here[mine]
        n[:, 0] -= slope_x[mine]
        n[:, 1] -= slope_y[mine]
        colour = _shade_skin(
            hand.skin,
            hand,
            n,
            f,
            position,
            folds,
            cosine,
            mottle[mine],
            blood_here[mine],
            vessels_here[mine],
            hairs_here[mine],
            light_here[mine],
            groove_here[mine],
            light,
            {code: texture[mine] for code, texture in prints.items()},
        )
        flat[where[mine]] = np.sqrt(np.clip(colour, 0, 1.2, out=colour), out=colour)


def _render_marks(
    rng: np.random.Generator, layout: Layout, owner: NDArray[np.int8], part: NDArray[np.int8], relief: F32
) -> tuple[F32, F32, F32]:
    """Maps [h,w] in 0-1 of creases, of veins, and of hairs and moles; sinews and veins rise in `relief`."""
    grooves, vessels, hairs = (np.zeros(relief.shape, np.float32) for _ in range(3))
    for index, hand in enumerate(layout.hands):
        palm_and_arm = (owner == index) & ((part == 5) | (part == 6))
        hand_lines(rng, hand, palm_and_arm, relief, grooves, vessels)
        if hand.skin.hair > 0 or hand.skin.moles:
            back = hand.cones.dorsal[np.argmax(hand.cones.part == 5), 2] > 0
            hairy = palm_and_arm if back else palm_and_arm & (part == 6)
            marks(rng, hand, hairy, (owner == index) & (part < 7), hairs)
    return grooves, vessels, hairs


def _prints(
    rng: np.random.Generator, finger: NDArray[np.int64], where: NDArray[np.int64], shape: tuple[int, int]
) -> dict[int, F32]:
    """What sleeves and held things are made of: sRGB [n,3] of the pixels `where`."""
    found = {}
    for code, share, names in ((SLEEVE, 0.7, _FABRICS), (HELD, 0.6, _WARES)):
        if rng.random() < share and (finger == code).any():
            texture = surface_of(rng, *shape, str(rng.choice(names)))
            found[code] = texture.reshape(-1, 3)[where]
    return found


def _smooth_normals(
    normal: F32,
    ys: NDArray[np.int64],
    xs: NDArray[np.int64],
    where: NDArray[np.int64],
    weight: F32,
    shape: tuple[int, int],
    reach: float,
) -> F32:
    """Blend normals with their blurred neighbours by `weight` [n]: flesh hides where the cones meet."""
    height, width = shape
    coarse = (ys % 3 == 0) & (xs % 3 == 0)
    small = np.zeros((-(-height // 3), -(-width // 3), 3), np.float32)
    small[ys[coarse] // 3, xs[coarse] // 3] = normal[coarse]
    k = max(int(reach / 3) | 1, 3)
    small = np.asarray(cv2.blur(cv2.blur(small, (k, k)), (k, k)), np.float32)
    chosen = np.flatnonzero(weight > 0.02)
    wide = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    blurred = wide.reshape(-1, 3)[where[chosen]]
    blurred /= np.maximum(np.sqrt(np.einsum("ij,ij->i", blurred, blurred)), 1e-6)[:, None]
    mixed = normal[chosen]
    mixed += (blurred - mixed) * weight[chosen, None]
    mixed /= np.maximum(np.sqrt(np.einsum("ij,ij->i", mixed, mixed)), 1e-6)[:, None]
    normal[chosen] = mixed
    return normal


def _shade_skin(
    skin: SkinStyle,
    hand: PlacedHand,
    normal: F32,
    finger: NDArray[np.int64],
    s: F32,
    folds: F32,
    cosine: F32,
    mottle: F32,
    blood: F32,
    vessels: F32,
    hairs: F32,
    lit: F32,
    groove: F32,
    light: Light,
    prints: dict[int, F32],
) -> F32:
    """Squared colour [n,3] of skin, sleeves, bands and rings."""
    red = skin.redness(s, finger)
    palm = np.clip(cosine * (-1.5 * (0.25 if skin.tone < 5 else 0.75)), 0, 0.25 if skin.tone < 5 else 0.75)
    red += skin.blotch * 2.5 * blood + np.float32(1.2) * palm
    shade = 1 + skin.mottle * mottle
    dark = 1 - groove
    away = np.clip(1 - normal[:, 2], 0, 1)
    away *= np.sqrt(away) * np.float32(skin.sides)
    diffuse = light.diffuse(normal, 0.3)
    direct = diffuse * lit
    # light that passes through skin is red: shadow borders are warm
    by_channel = (0.36 * np.sqrt(direct) + 0.64 * direct, direct, direct * (0.92 + 0.08 * direct))
    shine = light.reflect(normal, soft=True) * lit
    shine *= skin.shine * 0.55
    result = np.empty((len(s), 3), np.float32)
    for i, fold in enumerate((0.22, 0.32, 0.36)):
        albedo = red * (skin.colour[i] * (skin.blush[i] - 1))
        albedo += skin.colour[i]
        pale = min(float(skin.colour[i]) * (1.1, 1.0, 0.98)[i] + 0.06, 1.0)
        albedo += (pale - albedo) * palm
        albedo *= shade * (1 - away * np.float32((0.7, 1.0, 1.05)[i]))
        albedo *= 1 - hairs * np.float32((0.62, 0.7, 0.75)[i])
        albedo *= 1 - vessels * np.float32((0.17, 0.08, 0.04)[i])
        albedo *= (1 - np.float32(fold) * folds) * (1 - np.float32((0.8, 1.05, 1.1)[i]) * dark)
        albedo *= albedo
        albedo *= by_channel[i] * np.float32(1.06 * light.key * light.key_colour[i]) + np.float32(
            light.ambient * light.ambient_colour[i]
        )
        result[:, i] = albedo + shine
    for code, colour in hand.materials.items():
        mine = finger == code
        if not mine.any():
            continue
        base = prints[code][mine] ** 2 if code in prints else colour**2
        power = (light.key * diffuse * lit + light.ambient)[mine, None]
        if code == SLEEVE:
            result[mine] = base * power * (1 + 0.25 * mottle[mine])[:, None]
        elif code == HELD:
            result[mine] = base * power + 0.35 * light.reflect(normal[mine])[:, None]
        elif code in (RING, BAND):
            n = normal[mine]
            bands = 0.35 + 0.65 * (0.5 + 0.5 * np.sin(6 * n[:, 0] + 5 * n[:, 1]))
            result[mine] = base * (power * 0.5 + 0.6 * bands[:, None]) + 0.6 * light.reflect(n)[:, None]
    return result
