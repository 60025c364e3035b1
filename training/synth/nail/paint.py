"""One nail's paint as a canvas, and the light that each finish sends back."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from training.synth.design.colours import bottle
from training.synth.design.designs import METALS, Look
from training.synth.graphics.light import Light
from training.synth.nail.canvas import RGB, Canvas
from training.synth.nail.parts import PLACERS
from training.synth.nail.patterns import PAINTERS
from training.synth.nail.shape import Outline

F32 = NDArray[np.float32]


class Bottles:
    """What all nails of one photo share: the exact shade of each colour, the hand of the painter, the time
    since.

    `own`: seed of shades that are always the same, those of one person's bottles; None for any bottles.
    `growth`: half widths of bare nail that have grown at the base; `mess`: see training.synth.nail.craft.
    """

    def __init__(self, rng: np.random.Generator, mess: float = 0.0, own: int | None = None) -> None:
        self._rng = rng
        self._own = own
        self.mess = mess
        self._shades: dict[str, RGB] = {}
        self._seed = int(rng.integers(0, 2**31))
        self._free = rng.random() < 0.5
        self.growth = float(rng.uniform(0.05, 0.4)) if rng.random() < 0.15 else 0.0
        # how dark and wide the rim of the nails is, how bright a bare nail, how light the tip's thickness
        self.rim = float(rng.uniform(0.0, 0.3))
        self.rim_width = float(rng.uniform(0.03, 0.14))
        self.gain = float(rng.uniform(0.88, 1.08))
        self.end = float(rng.normal(0, 0.15))

    def stream(self, look: Look, place: int) -> np.random.Generator:
        """Random numbers for one nail: nails of one look share their sizes, and stamps also their places."""
        own = place if look.pattern in _FREEHAND and self._free else 0
        return np.random.default_rng([self._seed, zlib.crc32(repr(look).encode()), own + 10])

    def shade(self, name: str) -> RGB:
        """sRGB 0-255 of a named colour in this photo."""
        if name not in self._shades:
            rng, spread = self._rng, _SPREAD
            if self._own is not None:
                rng, spread = np.random.default_rng([self._own, zlib.crc32(name.encode())]), _OWN_SPREAD
            self._shades[name] = bottle(rng, name, spread)
        return self._shades[name]


_SPREAD, _OWN_SPREAD = 3.0, 5.0  # CIELAB: people choose bottles further apart than chance does
_FREEHAND = ("marble", "splatter", "tortoiseshell", "cow", "swirl", "line_art", "floral")


def paint_nail(rng: np.random.Generator, look: Look, outline: Outline, unit: int, bottles: Bottles) -> Canvas:
    """Draw a look on a fresh canvas with `unit` pixels for half the nail's width."""
    canvas = Canvas(outline, unit)
    base = bottles.shade(look.colour)
    canvas.rgb[:] = base
    if look.finish == "jelly":
        canvas.cover[:] = int(rng.uniform(110, 190))
    elif look.colour in ("clear", "sheer_pink"):
        canvas.cover[:] = int(rng.uniform(30, 150))
    if look.finish == "glitter":
        _glitter(canvas, rng, base)
    if look.finish == "cat_eye":
        _cat_eye(canvas, rng, base)
    if look.finish == "chrome":
        canvas.metal[:] = 230
    if look.pattern in PAINTERS:
        colours = [bottles.shade(name) for name in look.accents] or [(250, 250, 250)]
        metal = [int(rng.uniform(90, 190)) if name in METALS else 0 for name in look.accents] or [0]
        PAINTERS[look.pattern](canvas, rng, colours, metal)
    if look.part:
        PLACERS[look.part](canvas, rng, bottles.shade(look.part_colour))
    return canvas


def _glitter(c: Canvas, rng: np.random.Generator, base: RGB) -> None:
    coarse = rng.random() < 0.4
    cell = 0.16 if coarse else max(0.06, 1.5 / c.unit)
    h, w = max(int(c.h / (cell * c.unit)), 2), max(int(c.w / (cell * c.unit)), 2)
    grains = rng.random((h, w)).astype(np.float32)
    rows = np.minimum((np.arange(c.h) * h) // c.h, h - 1)
    cols = np.minimum((np.arange(c.w) * w) // c.w, w - 1)
    field = grains[rows][:, cols]
    tint = (rng.random((h, w, 3)).astype(np.float32) - 0.5)[rows][:, cols] * rng.uniform(20, 110)
    bright = np.where(field > 0.86, 0.85, np.where(field > 0.6, 0.25, -0.22 * (0.6 - field)))
    flat = np.array(base, np.float32)
    rgb = flat + (255 - flat) * np.maximum(bright, 0)[..., None] + flat * np.minimum(bright, 0)[..., None] * 2
    c.rgb[:] = np.clip(rgb + tint * (field > 0.5)[..., None], 0, 255).astype(np.uint8)
    c.metal[:] = (field * 150).astype(np.uint8)


def _cat_eye(c: Canvas, rng: np.random.Generator, base: RGB) -> None:
    x, y = c.grid()
    slant, offset = rng.uniform(-0.6, 0.6), rng.uniform(-0.25, 0.25)
    band = np.exp(-(((x - offset - slant * (y / c.outline.length - 0.5)) / rng.uniform(0.2, 0.4)) ** 2))
    band = band * (0.85 + 0.15 * c.noise(rng, 0.08, 1))
    dark = np.array(base, np.float32) * 0.62
    light = np.array(base, np.float32) * 0.55 + 255 * 0.45
    c.rgb[:] = np.clip(dark + (light - dark) * np.clip(band, 0, 1)[..., None], 0, 255).astype(np.uint8)


# finish: (mirror reflection, soft sheen)
_SHINE = {
    "gloss": (0.75, 0.1),
    "matte": (0.0, 0.05),
    "glitter": (0.5, 0.15),
    "chrome": (0.6, 0.4),
    "cat_eye": (0.7, 0.15),
    "aurora": (0.6, 0.3),
    "jelly": (0.85, 0.15),
    "pearl_sheen": (0.4, 0.45),
}


def shade_nail(
    rng: np.random.Generator, finish: str, albedo: F32, metal: F32, normal: F32, light: Light, lit: F32
) -> F32:
    """Colour [n,3] leaving painted pixels: `albedo` [n,3] and result squared (about linear), `metal` and
    `lit` [n].

    `lit` is the share of the key light that arrives.
    """
    diffuse = light.diffuse(normal, 0.35)
    power = light.key * (diffuse * lit)[:, None] * light.key_colour + light.ambient * light.ambient_colour
    mirror, sheen = _SHINE[finish]
    hard = light.reflect(normal) * (0.35 + 0.65 * lit)
    soft = light.reflect(normal, soft=True)
    if finish == "aurora":
        phase = rng.uniform(0, 6) + 3.2 * normal[:, 0] + 2.4 * normal[:, 1]
        shift = np.stack([np.cos(phase), np.cos(phase + 2.1), np.cos(phase + 4.2)], axis=1)
        albedo = np.clip(albedo * (1 + 0.2 * shift) + 0.04 * (1 + shift), 0, 1)
    if finish == "pearl_sheen":
        albedo = albedo + (1 - albedo) * (0.5 * soft)[:, None]
    bands = 0.5 + 0.5 * np.sin(5.0 * normal[:, 1] + 7.0 * normal[:, 0] + rng.uniform(0, 6))
    mirrored = 0.25 + 0.55 * bands + 1.2 * hard
    share = metal[:, None]
    colour = albedo * power * (1 - 0.75 * share) + albedo * (
        share * (0.85 * mirrored * (0.4 + 0.6 * lit))[:, None]
    )
    gain = rng.uniform(0.7, 1.15)
    highlight = mirror * gain * hard * 0.8 + sheen * 0.25 * soft
    result: F32 = (colour + highlight[:, None] * light.key_colour).astype(np.float32)
    return result
