"""How carefully a set was painted and photographed, made visible: paint beside the nail, gaps and streaks in
it, exposure, colour cast, haze, and blur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.design.designs import Look
from training.synth.nail.canvas import RGB, Canvas

if TYPE_CHECKING:  # the drawing of nails calls this module
    from training.synth.nail.drawing import NailView

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_BLUR = 5.0  # standard deviation of the worst blur, in pixels of a photo of 640
_SPILL = 0.42  # how far paint runs beyond the nail at worst, in half widths


@dataclass(frozen=True)
class Craft:
    """`mess` and `blur` 0 (none) to 1 (worst), `haze` 0 to 1, `stops` of exposure from the right one, `warm`
    the colour cast: the share added to red and taken from blue."""

    mess: float = 0.0
    blur: float = 0.0
    stops: float = 0.0
    warm: float = 0.0
    haze: float = 0.0


def scuff(rng: np.random.Generator, canvas: Canvas, mess: float) -> None:
    """Take paint off where a careless hand leaves gaps: along the sides, at the cuticle, at the end, in
    streaks."""
    x, y = canvas.grid()
    outline = canvas.outline
    uneven = canvas.noise(rng, 0.55, 2)
    gap = mess * np.clip(0.04 + 0.22 * uneven, 0, 0.4)
    edge = np.clip((outline.inside(np.broadcast_to(x, uneven.shape), y) - gap) / 0.05 + 0.5, 0, 1)
    chips = canvas.noise(rng, 0.3, 2)
    end = np.clip((outline.length - mess * np.clip(0.5 * chips, 0, 0.6) - y) / 0.04 + 0.5, 0, 1)
    streaks = np.clip(rng.normal(0, 1, (1, max(canvas.w // 4, 2))), 0, 2).astype(np.float32)
    streaks = np.asarray(cv2.resize(streaks, (canvas.w, 1), interpolation=cv2.INTER_CUBIC), np.float32)
    thin = 1 - np.clip(0.34 * mess * streaks * (0.6 + 0.4 * chips), 0, 0.75)
    canvas.cover[:] = np.clip(canvas.cover * edge * end * thin, 0, 255).astype(np.uint8)


def spill(
    rng: np.random.Generator,
    image: F32,
    nail: NailView,
    look: Look,
    skin: NDArray[np.bool_],
    paint: RGB,
    mess: float,
) -> None:
    """Let a look's paint run onto the skin around a nail; `image` [h,w,3] sRGB 0-1, `skin` [h,w] where its
    finger is."""
    if look.bare:
        return
    x0, y0, x1, y1 = nail.window
    h, w = y1 - y0, x1 - x0
    coarse = rng.normal(0, 1, (5, 5)).astype(np.float32) + rng.normal(0, 1, (1, 1)).astype(np.float32) * 0.4
    uneven = np.asarray(cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC), np.float32)
    reach = nail.plate.half_width * _SPILL * mess * np.clip(0.15 + 0.75 * uneven, 0, 1)
    beside = (nail.view.y < nail.plate.outline.bed + 0.1) & (nail.view.normal[..., 2] > 0.05)
    around = 2 * int(np.ceil(float(reach.max()) + 1)) + 1
    seen = (nail.cover > 0.5).astype(np.uint8)  # where something hides the nail, it hides the paint beside it
    beside &= cv2.dilate(seen, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around))) > 0
    cover = np.clip(nail.view.inside + reach + 0.5, 0, 1) * skin[y0:y1, x0:x1] * beside * (reach > 0.5)
    patch = image[y0:y1, x0:x1]
    light = patch.mean(axis=2, keepdims=True)
    where = cover > 0
    if not where.any():
        return
    light = np.clip(light / max(float(light[where].mean()), 1e-3), 0.5, 1.35)
    colour = np.clip(np.array(paint, np.float32) / 255 * light, 0, 1)
    sheer = look.finish == "jelly" or look.colour in ("clear", "sheer_pink")
    alpha = ((0.4 if sheer else 0.92) * cover)[..., None].astype(np.float32)
    patch[:] = patch * (1 - alpha) + colour * alpha


def photograph(rng: np.random.Generator, image: F32, craft: Craft) -> U8:
    """Expose, focus and store a scene [h,w,3] in sRGB 0-1 as `craft` says; grain grows in the dark.

    Returns u8 of the same size.
    """
    h, w = image.shape[:2]
    gain = 2.0 ** (craft.stops / 2.2)  # stops of linear light, applied to sRGB values
    cast = np.array([1 + craft.warm, 1.0, 1 - craft.warm], np.float32)
    shown = np.maximum(image, 0) * np.float32(gain) * cast
    shown = shown * np.float32(1 - 0.55 * craft.haze) + np.float32(0.42 * craft.haze)
    sigma = _BLUR * craft.blur * max(h, w) / 640
    if sigma > 0.25:
        shown = np.asarray(cv2.GaussianBlur(shown, (0, 0), sigma), np.float32)
    grain = 2.0 + 4.5 * max(0.0, -craft.stops)
    noise = rng.standard_normal((h, w, 1), np.float32) + 0.5 * rng.standard_normal((h, w, 3), np.float32)
    stored = np.clip(shown * 255 + noise * np.float32(grain), 0, 255).astype(np.uint8)
    quality = int(rng.uniform(72, 95))
    data = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
