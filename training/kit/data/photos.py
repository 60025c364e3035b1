"""SyntheticPhoto photographs as training data: the index, the pictures, the masks, and clutter without hands.

Shared by the perception models. Everything is read from the folder that `training.synth` wrote (its
`index.jsonl`); clutter is any folder of photographs without hands, used as backgrounds and as negatives.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# Every VALIDATION_STEP-th synthetic photo is kept for choosing checkpoints, the rest are trained on.
VALIDATION_STEP = 20
CLUTTER_SIDE = 1280
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class SyntheticPhoto:
    """One synthetic photo. nails and hands are the index's own dictionaries; hands_mask: where hands are."""

    id: str
    image: Path
    mask: Path
    size: tuple[int, int]
    nails: tuple[dict[str, Any], ...]
    hands: tuple[dict[str, Any], ...]
    hands_mask: Path | None = None


def read_synthetic(folder: Path) -> list[SyntheticPhoto]:
    """The photos of a synth folder in the order of its index.

    Raises ValueError when there are none. A last line that a running writer has not finished is left out.
    """
    found = []
    for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        width, height = entry["size"]
        found.append(
            SyntheticPhoto(
                id=entry["id"],
                image=folder / entry["image"],
                mask=folder / entry["mask"],
                size=(int(width), int(height)),
                nails=tuple(entry["nails"]),
                hands=tuple(entry["hands"]),
                hands_mask=folder / entry["hands_mask"] if "hands_mask" in entry else None,
            )
        )
    if not found:
        raise ValueError(f"{folder}: no synthetic photos")
    return found


def split(photos: list[SyntheticPhoto]) -> tuple[list[SyntheticPhoto], list[SyntheticPhoto]]:
    """(training, validation) photos; which is which depends on the order of the index alone."""
    training = [photo for i, photo in enumerate(photos) if i % VALIDATION_STEP]
    return training, photos[::VALIDATION_STEP]


def digest(folders: list[Path]) -> str:
    """sha256 hex over the indices of synth folders: says which data a checkpoint was trained on."""
    total = hashlib.sha256()
    for folder in folders:
        total.update((folder / "index.jsonl").read_bytes())
    return total.hexdigest()


def read_image(path: Path) -> Image:
    """uint8 RGB [H,W,3]. Raises ValueError when OpenCV cannot read the file."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{path}: not a readable image")
    return np.asarray(image, np.uint8)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """uint8 [H,W]: 0 background, otherwise the nail's instance number."""
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise ValueError(f"{path}: not a readable mask")
    return np.asarray(mask if mask.ndim == 2 else mask[..., 0], np.uint8)


class Clutter:
    """Photographs without hands, cut at random. Near-duplicates (one photo in several sizes) count once."""

    def __init__(self, folders: list[Path]) -> None:
        seen: set[bytes] = set()
        self.paths: list[Path] = []
        for path in sorted(p for f in folders for p in f.rglob("*") if p.suffix.lower() in SUFFIXES):
            thumb = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_8)
            if thumb is None or min(thumb.shape[:2]) < 32:
                continue
            key = (cv2.resize(thumb, (4, 4), interpolation=cv2.INTER_AREA) // 24).tobytes()
            if key not in seen:
                seen.add(key)
                self.paths.append(path)

    def __len__(self) -> int:
        return len(self.paths)

    def cut(self, rng: np.random.Generator, width: int, height: int) -> Image:
        """A random window of a random photograph, mirrored or not: uint8 [height,width,3]."""
        image = _clutter_image(self.paths[rng.integers(len(self.paths))])
        rows, columns = image.shape[:2]
        fit = min(rows / height, columns / width)
        # From a quarter of the photograph (large objects, smooth) to all of it.
        factor = fit * float(np.exp(rng.uniform(np.log(0.2), 0.0)))
        cut_h, cut_w = max(8, int(height * factor)), max(8, int(width * factor))
        top, left = rng.integers(0, rows - cut_h + 1), rng.integers(0, columns - cut_w + 1)
        window = image[top : top + cut_h, left : left + cut_w]
        if rng.random() < 0.5:
            window = window[:, ::-1]
        method = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(window, (width, height), interpolation=method), np.uint8)


@lru_cache(maxsize=256)
def _clutter_image(path: Path) -> Image:
    image = read_image(path)
    factor = CLUTTER_SIDE / max(image.shape[:2])
    if factor < 1:
        size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image


def photographed(image: Image, rng: np.random.Generator) -> Image:
    """The same picture from another camera, light and file: colour, tone, blur, noise, resolution, JPEG.

    Wide on purpose: what is learnt must not hang on the look of the drawing. uint8 [H,W,3] in and out.
    """
    x: NDArray[Any] = image.astype(np.float32) / 255
    if rng.random() < 0.8:
        gains = np.exp(rng.normal(0, 0.12, 3) + rng.normal(0, 0.2))
        x = x * gains.astype(np.float32)
    if rng.random() < 0.6:
        x = np.clip(x, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.6:
        pivot = np.float32(x.mean())
        x = (x - pivot) * np.float32(np.exp(rng.normal(0, 0.2))) + pivot
    if rng.random() < 0.6:
        grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
        saturation = 0.0 if rng.random() < 0.1 else np.exp(rng.normal(0, 0.35))
        x = grey[..., None] + (x - grey[..., None]) * np.float32(saturation)
    if rng.random() < 0.2:
        x = _hue_turned(x, rng.normal(0, 0.25))
    height, width = x.shape[:2]
    if rng.random() < 0.25:
        sigma = float(rng.uniform(0.3, 1.6))
        x = cv2.GaussianBlur(x, (0, 0), sigma)
    if rng.random() < 0.2:
        factor = float(rng.uniform(0.35, 0.9))
        small = cv2.resize(x, (int(width * factor), int(height * factor)), interpolation=cv2.INTER_AREA)
        x = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.2:  # sharpened, as phones do
        x = x + np.float32(rng.uniform(0.3, 1.2)) * (x - cv2.GaussianBlur(x, (0, 0), 1.2))
    if rng.random() < 0.4:
        grain = rng.normal(0, rng.uniform(0.005, 0.05), (height, width, 3 if rng.random() < 0.6 else 1))
        x = x + grain.astype(np.float32)
    result = np.asarray(np.clip(x * 255 + 0.5, 0, 255), np.uint8)
    if rng.random() < 0.4:
        quality = int(rng.integers(25, 95))
        _, code = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])
        result = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)
    return result


def _hue_turned(x: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """Turns colours around the grey axis by `angle` radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    third, root = 1 / 3, np.sqrt(1 / 3)
    matrix = np.full((3, 3), third * (1 - cosine)) + np.eye(3) * cosine
    matrix += sine * root * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return x @ matrix.T.astype(np.float32)
