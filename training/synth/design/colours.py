"""sRGB of the named colours, with the small differences that bottles and photos show, and of things about."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.vocabulary import COLOUR_BY_NAME

F32 = NDArray[np.float32]

_XYZ_TO_RGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab_to_srgb(lab: tuple[float, float, float]) -> NDArray[np.float64]:
    """CIELAB (D65) to sRGB [3] in 0-1, clipped."""
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
    linear = np.clip(_XYZ_TO_RGB @ xyz, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(curved, 0, 1))


@cache
def named_colour(name: str) -> tuple[float, float, float]:
    """sRGB in 0-1 of a colour of nails.vocabulary."""
    red, green, blue = lab_to_srgb(COLOUR_BY_NAME[name].lab)
    return float(red), float(green), float(blue)


def bottle(rng: np.random.Generator, name: str, spread: float = 3.0) -> tuple[int, int, int]:
    """sRGB 0-255 of one bottle of a named colour: CIELAB noise of `spread`."""
    lightness, a, b = COLOUR_BY_NAME[name].lab
    dl, da, db = rng.normal(0, spread, 3)
    rgb = lab_to_srgb((float(np.clip(lightness + dl, 2, 98)), a + da, b + db)) * 255
    return int(rgb[0]), int(rgb[1]), int(rgb[2])


def random_colour(rng: np.random.Generator, saturation: float = 0.5) -> F32:
    """A random sRGB colour [3]: greys and muted colours are as common as in rooms."""
    hue, s, v = rng.uniform(0, 180), rng.beta(1.0, 3.0) * saturation * 2, rng.beta(1.4, 1.2)
    hsv = np.array([[[int(hue), int(min(s, 1) * 255), int(np.clip(v, 0.03, 1) * 255)]]], np.uint8)
    rgb = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0], np.float32)
    return np.asarray(rgb / 255, np.float32)
