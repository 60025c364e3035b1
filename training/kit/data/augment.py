"""Views of a photo for training: the whole or the crop, distorted as real photographs are.

Geometry (window, turn, mirror) is drawn once and applied to photo and mask alike; then light, white balance,
noise, blur and JPEG. Colour is what requests are about, so its distortions stay within what cameras and lamps
do to it. A plain view is exactly what serving sees: `nails.photo.preprocess.backbone_input`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from nails.perception.crop_rules import cut_square, expand_square
from nails.photo.preprocess import backbone_input

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
GREY = (127, 127, 127)


@dataclass(frozen=True)
class ViewConfig:
    """Strength of the distortions."""

    turn: float = 25.0  # degrees, standard deviation is half of it
    quarter_turns: float = 0.15  # probability of a turn by 90, 180 or 270 degrees
    mirror: float = 0.5
    gain: float = 0.12  # of each channel: white balance
    exposure: float = 0.3  # log range of brightness
    contrast: float = 0.25
    saturation: float = 0.25
    noise: float = 6.0  # of 255
    patch: float = 0.5  # probability of foreign patches on the background


PLAIN = ViewConfig(
    turn=0, quarter_turns=0, mirror=0, gain=0, exposure=0, contrast=0, saturation=0, noise=0, patch=0
)


def plain_view(photo: Image, box: Box | None, size: int) -> NDArray[np.float32]:
    """The serving view, f32 [3,size,size]: of the whole photo, or of the padded square around `box`."""
    if box is None:
        return backbone_input(photo, size)
    height, width = photo.shape[:2]
    return backbone_input(cut_square(photo, expand_square(box, (width, height))), size)


def distorted_view(
    photo: Image,
    mask: Image,
    box: Box | None,
    size: int,
    rng: np.random.Generator,
    config: ViewConfig,
    clutter: Image | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A view f32 [3,size,size] and the share of nail in each cell at stride 8, f32 [size/8,size/8].

    `clutter` is another photo whose patches may cover the background.
    """
    height, width = photo.shape[:2]
    if box is None:
        side = max(width, height) * float(rng.uniform(0.75, 1.1))
        centre = (
            width / 2 + float(rng.normal(0, 0.05)) * width,
            height / 2 + float(rng.normal(0, 0.05)) * height,
        )
    else:
        x0, y0, x1, y1 = expand_square(box, (width, height))
        side = max(x1 - x0, y1 - y0) * float(rng.uniform(0.8, 1.35))
        centre = (
            (x0 + x1) / 2 + float(rng.normal(0, 0.05)) * side,
            (y0 + y1) / 2 + float(rng.normal(0, 0.05)) * side,
        )
    matrix = _placement(centre, side, size, rng, config)
    shrink = size / side
    if shrink < 0.5:  # warping samples four pixels only: reduce first
        factor = 2 * shrink
        small = (max(1, round(width * factor)), max(1, round(height * factor)))
        photo = np.asarray(cv2.resize(photo, small, interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(mask, small, interpolation=cv2.INTER_NEAREST), np.uint8)
        matrix = matrix @ np.diag([width / small[0], height / small[1], 1.0])
    place, square = matrix[:2], (size, size)
    warped = cv2.warpAffine(photo, place, square, flags=cv2.INTER_LINEAR, borderValue=GREY)
    view = np.asarray(warped, np.uint8)
    nails = np.asarray(cv2.warpAffine(mask, place, square, flags=cv2.INTER_NEAREST), np.uint8)
    if clutter is not None and rng.random() < config.patch:
        view = _covered(view, nails, clutter, rng)
    share = cv2.resize(nails.astype(np.float32), (size // 8, size // 8), interpolation=cv2.INTER_AREA)
    lit = _photographed(view, rng, config)
    normalised = (lit.astype(np.float32) - 127) / 128
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)), np.asarray(share, np.float32)


def _placement(
    centre: tuple[float, float], side: float, size: int, rng: np.random.Generator, config: ViewConfig
) -> NDArray[np.float64]:
    """Photo pixels to view pixels, [3,3]: the square around `centre`, turned, perhaps mirrored."""
    angle = float(rng.normal(0, config.turn / 2 + 1e-9))
    if rng.random() < config.quarter_turns:
        angle += 90 * int(rng.integers(1, 4))
    angle = np.deg2rad(angle)
    scale = size / side
    mirror = -1.0 if rng.random() < config.mirror else 1.0
    stretch = float(np.exp(rng.normal(0, 0.06))) if config.turn else 1.0
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[mirror * cos * stretch, -mirror * sin * stretch], [sin, cos]])
    shift = np.array([size / 2, size / 2]) - linear @ np.array(centre)
    return np.array([[*linear[0], shift[0]], [*linear[1], shift[1]], [0.0, 0.0, 1.0]])


def _covered(view: Image, nails: Image, clutter: Image, rng: np.random.Generator) -> Image:
    """Lays up to three rectangles of another photo over places that hold no nail."""
    size = view.shape[0]
    view = view.copy()
    keep = cv2.dilate(nails, np.ones((9, 9), np.uint8))
    for _ in range(int(rng.integers(1, 4))):
        wide, high = (int(value) for value in rng.integers(size // 10, size // 2, 2))
        x, y = int(rng.integers(0, size - wide)), int(rng.integers(0, size - high))
        left = int(rng.integers(0, max(1, clutter.shape[1] - wide)))
        top = int(rng.integers(0, max(1, clutter.shape[0] - high)))
        piece = clutter[top : top + high, left : left + wide]
        if piece.shape[:2] != (high, wide):
            piece = np.asarray(cv2.resize(piece, (wide, high)), np.uint8)
        free = keep[y : y + high, x : x + wide, None] == 0
        view[y : y + high, x : x + wide] = np.where(free, piece, view[y : y + high, x : x + wide])
    return view


def _photographed(view: Image, rng: np.random.Generator, config: ViewConfig) -> Image:
    x = view.astype(np.float32) / 255
    gain = np.exp(rng.uniform(-config.gain, config.gain, 3)) * np.exp(
        rng.uniform(-config.exposure, config.exposure)
    )
    x *= gain.astype(np.float32)
    contrast = float(np.exp(rng.uniform(-config.contrast, config.contrast)))
    mean = float(x.mean())
    x = (x - mean) * contrast + mean
    grey = x.mean(axis=2, keepdims=True)
    x = grey + (x - grey) * float(np.exp(rng.uniform(-config.saturation, config.saturation)))
    if config.noise and rng.random() < 0.4:
        x += rng.normal(0, rng.uniform(0, config.noise) / 255, x.shape).astype(np.float32)
    image = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if config.noise and rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.4)))
    if config.noise and rng.random() < 0.3:
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=int(rng.integers(35, 85)))
        image = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return image
