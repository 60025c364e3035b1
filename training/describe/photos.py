"""A photo to be described: a file or an array, named by the sha256 of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.photo.codec import PhotoError, decode_photo, encode_jpeg

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_QUALITIES = (90, 80, 65)
_LEAST_SIDE = 64


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as a path or as RGB uint8 [H,W,3]. Nothing is read before it is asked for, nothing kept."""

    source: Path | NDArray[np.uint8]

    def __post_init__(self) -> None:
        if isinstance(self.source, np.ndarray) and (
            self.source.ndim != 3 or self.source.shape[2] != 3 or self.source.dtype != np.uint8
        ):
            raise ValueError(f"RGB uint8 [H,W,3] expected, found {self.source.dtype} {self.source.shape}")

    @property
    def label(self) -> str:
        """What to call it: its path, or its size."""
        if isinstance(self.source, Path):
            return str(self.source)
        return f"array {self.source.shape[1]}x{self.source.shape[0]}"

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes, or of an array's size and pixels. OSError where the file cannot be read."""
        if isinstance(self.source, Path):
            return hashlib.sha256(self.source.read_bytes()).hexdigest()
        size = "x".join(str(length) for length in self.source.shape)
        return hashlib.sha256(size.encode() + np.ascontiguousarray(self.source).tobytes()).hexdigest()

    def rgb(self, max_side: int) -> NDArray[np.uint8]:
        """RGB uint8 [H,W,3], upright, its long side at most `max_side`. OSError, or PhotoError."""
        if isinstance(self.source, Path):
            return decode_photo(self.source.read_bytes(), max_side=max_side)
        height, width = self.source.shape[:2]
        factor = max_side / max(height, width)
        if factor >= 1:
            return self.source
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        return np.asarray(cv2.resize(self.source, size, interpolation=cv2.INTER_AREA), np.uint8)

    def jpeg(self, max_side: int, max_bytes: int) -> bytes:
        """The photo as a JPEG of at most `max_bytes`, made anew: no metadata, no place where it was taken.

        Quality goes down first, then size. OSError, or PhotoError, also where no size is small enough.
        """
        side = max_side
        while side >= _LEAST_SIDE:
            image = self.rgb(side)
            for quality in _QUALITIES:
                encoded = encode_jpeg(image, quality)
                if len(encoded) <= max_bytes:
                    return encoded
            side = max(image.shape[:2]) * 3 // 4
        raise PhotoError("PHOTO_TOO_MANY_BYTES", f"no JPEG of at most {max_bytes} bytes shows it")


def find_photos(places: Sequence[Path]) -> list[Photo]:
    """The photos named, and those in the folders named, at any depth and sorted; FileNotFoundError."""
    found: list[Photo] = []
    for place in places:
        if place.is_dir():
            files = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
            found += [Photo(path) for path in files]
        elif place.is_file():
            found.append(Photo(place))
        else:
            raise FileNotFoundError(f"{place}: no such file or folder")
    return found
