"""Parts of real photos as what stands behind the hands, from a folder that `training.synth.backgrounds`
collected or that holds any other photos."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@lru_cache(maxsize=8)
def photos(folder: Path) -> tuple[Path, ...]:
    """Photos in a folder, in order of name. Raises ValueError where there is none."""
    found = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES))
    if not found:
        raise ValueError(f"no photo in {folder}")
    return found


@lru_cache(maxsize=64)
def _load(path: Path) -> NDArray[np.uint8]:
    """BGR u8 [h,w,3]."""
    image = cv2.imread(
        str(path), cv2.IMREAD_REDUCED_COLOR_2 if path.stat().st_size > 3_000_000 else cv2.IMREAD_COLOR
    )
    if image is None:
        raise ValueError(f"{path} is not a photo")
    return np.asarray(image, np.uint8)


def crop(rng: np.random.Generator, folder: Path, h: int, w: int) -> F32:
    """A random part of a random photo as sRGB [h,w,3] in 0-1, turned, mirrored, recoloured, perhaps out of
    focus."""
    paths = photos(folder)
    image = _load(paths[int(rng.integers(0, len(paths)))])
    turn = int(rng.integers(0, 4)) if rng.random() < 0.4 else 0
    th, tw = (w, h) if turn % 2 else (h, w)  # the part's size before it is turned
    height, width = image.shape[:2]
    fit = min(height / th, width / tw)
    share = float(rng.uniform(0.25, 1.0)) * fit
    ch, cw = max(int(th * share), 8), max(int(tw * share), 8)
    y, x = int(rng.integers(0, max(height - ch, 0) + 1)), int(rng.integers(0, max(width - cw, 0) + 1))
    part = image[y : y + ch, x : x + cw]
    method = cv2.INTER_AREA if share > 1 else cv2.INTER_LINEAR
    part = np.asarray(cv2.resize(part, (tw, th), interpolation=method), np.uint8)
    if rng.random() < 0.4:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), float(rng.uniform(0.8, 6))), np.uint8)
    gain, gamma = rng.uniform(0.6, 1.3), rng.uniform(0.7, 1.4)
    curve = np.clip(255 * gain * np.power(np.linspace(0, 1, 256), gamma), 0, 255).astype(np.uint8)
    part = np.asarray(cv2.LUT(part, curve), np.uint8)
    part = np.rot90(part, turn)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    order = [2, 1, 0] if rng.random() > 0.15 else rng.permutation(3)
    saturation = rng.uniform(0.05, 0.8) if rng.random() < 0.6 else 1.0  # wallpapers are gaudier than desks
    mix = (1 - saturation) / 3 + saturation * np.eye(3)[order]
    return np.asarray(cv2.transform(np.ascontiguousarray(part, np.float32), mix * (1 / 255)), np.float32)
