"""What a telephone does to a scene: white balance, exposure, focus, motion, noise, vignette, text, JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def expose(rng: np.random.Generator, image: F32, grey_share: float = 0.025) -> F32:
    """Colour temperature, exposure, contrast, saturation and vignette of an sRGB image [h,w,3] in 0-1.

    `grey_share`: of photos without colour.
    """
    warm, tint = rng.normal(0, 0.07), rng.normal(0, 0.025)
    if rng.random() < 0.14:  # lamps: yellow bulbs more often than cold tubes
        warm += rng.uniform(0.06, 0.2) if rng.random() < 0.7 else -rng.uniform(0.06, 0.18)
    gain = np.array([1 + warm, 1 + tint, 1 - warm]) * 2 ** np.clip(rng.normal(-0.02, 0.22), -0.8, 0.32)
    contrast = rng.uniform(0.85, 1.25)
    saturation = 0.0 if rng.random() < grey_share else rng.uniform(0.7, 1.28)
    grey = np.array([[0.299, 0.587, 0.114]] * 3)
    mix = grey + (np.eye(3) - grey) * saturation  # all of it is one affine map of the colours
    matrix = np.hstack([contrast * mix * gain, np.full((3, 1), 0.45 * (1 - contrast))])
    image = np.asarray(cv2.transform(image, matrix), np.float32)
    if rng.random() < 0.35:
        h, w = image.shape[:2]
        yy = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
        xx = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
        image = image * (1 - rng.uniform(0.05, 0.4) * 0.5 * (xx * xx + yy * yy))[..., None].astype(np.float32)
    if rng.random() < 0.12:  # a beauty filter or haze
        image = image * np.float32(0.88) + np.float32(rng.uniform(0.04, 0.12))
    return image


def plain_photo(image: F32) -> U8:
    """The scene as rendered, without anything that a camera does to it."""
    result: U8 = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return result


def capture(rng: np.random.Generator, image: F32) -> U8:
    """Blur, noise, sharpening, overlays and JPEG of an image [h,w,3] in 0-1; returns u8 of the same size."""
    h, w = image.shape[:2]
    result = cv2.convertScaleAbs(np.maximum(image, 0, out=image), alpha=255.0)
    draw = rng.random()
    if draw < 0.55:
        result = cv2.GaussianBlur(result, (3, 3), rng.uniform(0.3, 0.7))
    elif draw < 0.8:
        result = cv2.GaussianBlur(result, (0, 0), rng.uniform(0.6, 1.5))
    elif draw < 0.88:
        n = int(rng.integers(3, 10))
        kernel = np.zeros((n, n), np.float32)
        cv2.line(kernel, (0, int(rng.integers(0, n))), (n - 1, int(rng.integers(0, n))), 1.0)
        result = cv2.filter2D(result, -1, kernel / kernel.sum())
    elif draw < 0.95:  # a small picture made large
        f = rng.uniform(0.35, 0.7)
        small = cv2.resize(result, (int(w * f), int(h * f)), interpolation=cv2.INTER_AREA)
        result = cv2.resize(small, (w, h), interpolation=cv2.INTER_CUBIC)
    smear = rng.random()
    if smear < 0.1:  # denoising wipes fine detail away and leaves flat areas with edges
        result = cv2.medianBlur(result, 3 if smear < 0.06 else 5)
    strength = rng.choice([1.0, 2.5, 5.5], p=[0.45, 0.4, 0.15]) * rng.uniform(0.5, 1.5)
    # a small tile of noise, repeated: as good as a large one at this strength and much cheaper
    tile = rng.standard_normal((64, 96, 3), np.float32) * np.float32(strength)
    if rng.random() < 0.5:
        tile = cv2.GaussianBlur(tile, (3, 3), 0.7) * 1.6
    grain = np.tile(np.rint(tile).astype(np.int16), (h // 64 + 1, w // 96 + 1, 1))[:h, :w]
    result = cv2.add(result, np.ascontiguousarray(grain), dtype=cv2.CV_8U)
    if rng.random() < 0.4:  # sharpening, with the halos that telephones leave
        soft = cv2.GaussianBlur(result, (0, 0), rng.uniform(0.9, 2.6))
        amount = rng.uniform(0.3, 1.1)
        result = cv2.addWeighted(result, 1 + amount, soft, -amount, 0)
    if rng.random() < 0.12:
        result = _watermark(rng, np.asarray(result, np.uint8))
    if rng.random() < 0.6:
        quality = int(rng.uniform(35, 92))
        data = cv2.imencode(".jpg", result[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(result, np.uint8)


def _watermark(rng: np.random.Generator, image: U8) -> U8:
    h, w = image.shape[:2]
    text = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz.@_"), int(rng.integers(5, 14))))
    at = (
        int(rng.uniform(0.02, 0.6) * w),
        int(rng.choice([rng.uniform(0.04, 0.12), rng.uniform(0.85, 0.98)]) * h),
    )
    layer = image.copy()
    colour = (255, 255, 255) if rng.random() < 0.7 else (20, 20, 20)
    cv2.putText(
        layer,
        text,
        at,
        cv2.FONT_HERSHEY_SIMPLEX,
        w / rng.uniform(500, 1200),
        colour,
        1 + int(w > 500),
        cv2.LINE_AA,
    )
    if rng.random() < 0.2:
        return np.asarray(cv2.addWeighted(layer, float(rng.uniform(0.5, 1)), image, 0.0, 0), np.uint8)
    return layer
