"""Colour: sRGB, CIELAB under D65 (2 degree observer), and the CIEDE2000 difference.

CIELAB L is in [0, 100]; a and b are about [-128, 127]. Sources: IEC 61966-2-1 for sRGB, CIE 15 for CIELAB,
Sharma, Wu and Dalal (2005) for CIEDE2000.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]

_RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _RGB_TO_XYZ.sum(axis=1)  # D65 as these digits give it, so that white is exactly neutral
_XYZ_TO_RGB = np.linalg.inv(_RGB_TO_XYZ)
_DELTA = 6.0 / 29.0

# What the gamma curve makes of each 8-bit value: photos are converted by look-up.
_LINEAR_U8 = np.where(
    np.arange(256) / 255 <= 0.04045,
    np.arange(256) / 255 / 12.92,
    ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4,
)


def srgb_to_lab(rgb: NDArray[np.uint8] | Floats) -> NDArray[np.float64]:
    """CIELAB [...,3] of sRGB [...,3], uint8 in 0-255 or float in [0, 1]."""
    values = np.asarray(rgb)
    if values.dtype == np.uint8:
        linear = _LINEAR_U8[values]
    else:
        floats = values.astype(np.float64)
        linear = np.where(floats <= 0.04045, floats / 12.92, ((np.maximum(floats, 0) + 0.055) / 1.055) ** 2.4)
    relative = (linear @ _RGB_TO_XYZ.T) / _WHITE
    curved = np.where(
        relative > _DELTA**3, np.cbrt(np.maximum(relative, 0)), relative / (3 * _DELTA**2) + 4.0 / 29.0
    )
    x, y, z = curved[..., 0], curved[..., 1], curved[..., 2]
    return np.stack([np.clip(116 * y - 16, 0, 100), 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_srgb(lab: ArrayLike, *, clip: bool = True) -> NDArray[np.float64]:
    """sRGB [...,3] of CIELAB [...,3], in [0, 1] where `clip`; else as computed, beyond it out of gamut."""
    values = np.asarray(lab, np.float64)
    y = (values[..., 0] + 16) / 116
    curved = np.stack([y + values[..., 1] / 500, y, y - values[..., 2] / 200], axis=-1)
    relative = np.where(curved > _DELTA, curved**3, 3 * _DELTA**2 * (curved - 4.0 / 29.0))
    linear = (relative * _WHITE) @ _XYZ_TO_RGB.T
    gamma = 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, gamma)
    return np.asarray(np.clip(rgb, 0.0, 1.0) if clip else rgb, np.float64)


def lab_to_srgb_u8(lab: ArrayLike) -> NDArray[np.uint8]:
    """sRGB uint8 [...,3] of CIELAB [...,3], clipped to the gamut."""
    return np.rint(lab_to_srgb(lab) * 255).astype(np.uint8)


def in_gamut(lab: ArrayLike, tolerance: float = 0.02) -> bool:
    """Whether one CIELAB colour (3,) can be shown in sRGB, each channel within [-tolerance, 1 + tolerance].

    False for NaN and infinities. The default tolerance forgives colours rounded to whole units.
    """
    values = np.asarray(lab, np.float64)
    # Far-out values would overflow the cube; no display shows them.
    if not np.isfinite(values).all() or np.abs(values).max() > 1000:
        return False
    rgb = lab_to_srgb(values, clip=False)
    return bool((rgb >= -tolerance).all() and (rgb <= 1 + tolerance).all())


def ciede2000(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """CIEDE2000 difference (kL = kC = kH = 1) of CIELAB colours [...,3], broadcast against each other.

    0 is equal, about 1 just noticeable, 10 plainly another shade, 30 and more another colour.
    """
    one, two = np.asarray(first, np.float64), np.asarray(second, np.float64)
    l1, a1, b1 = one[..., 0], one[..., 1], one[..., 2]
    l2, a2, b2 = two[..., 0], two[..., 1], two[..., 2]
    mean_chroma7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(mean_chroma7 / (mean_chroma7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360

    neutral = c1 * c2 == 0
    dh = h2 - h1
    dh = np.where(dh > 180, dh - 360, np.where(dh < -180, dh + 360, dh))
    dh = np.where(neutral, 0.0, dh)
    d_lightness, d_chroma = l2 - l1, c2 - c1
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh) / 2)

    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    total = h1 + h2
    hue = np.where(np.abs(h1 - h2) <= 180, total / 2, np.where(total < 360, total / 2 + 180, total / 2 - 180))
    hue = np.where(neutral, total, hue)
    t = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    offset = (lightness - 50) ** 2
    s_lightness = 1 + 0.015 * offset / np.sqrt(20 + offset)
    s_chroma, s_hue = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    chroma7 = chroma**7
    rotation = (
        -2
        * np.sqrt(chroma7 / (chroma7 + 25.0**7))
        * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    )
    terms = (d_lightness / s_lightness, d_chroma / s_chroma, d_hue / s_hue)
    squared = sum(term**2 for term in terms) + rotation * terms[1] * terms[2]
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)), np.float64)
