"""The decoders that could read a 12-megapixel JPEG: what each costs, and which of them notice damage."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from bench.report import Laps
from nails.photo.codec import PhotoError, decode_photo

WIDTH, HEIGHT = 4000, 3000


@dataclass(frozen=True)
class Decoder:
    """cpu_ms to a long side of about 1000; how many of the damaged files it refused."""

    what: str
    cpu_ms: float
    truncated: str
    flipped: str


def compare_decoders(data: bytes, rounds: int) -> list[Decoder]:
    """Every decoder on the whole photo, on truncated ones and on ones with flipped bits."""
    fast = {"min_width": WIDTH // 4, "min_height": HEIGHT // 4}

    def pillow(bytes_: bytes) -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(bytes_)) as picture:
            picture.draft("RGB", (WIDTH // 4, HEIGHT // 4))
            return np.asarray(picture.convert("RGB"))

    def opencv(flag: int) -> Callable[[bytes], NDArray[np.uint8]]:
        def read(bytes_: bytes) -> NDArray[np.uint8]:
            image = cv2.imdecode(np.frombuffer(bytes_, np.uint8), flag)
            if image is None:
                raise ValueError("refused")
            return np.asarray(image, np.uint8)

        return read

    def full(bytes_: bytes) -> NDArray[np.uint8]:
        image = simplejpeg.decode_jpeg(bytes_, colorspace="RGB", strict=True)
        return np.asarray(
            cv2.resize(image, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA), np.uint8
        )

    readers: dict[str, Callable[[bytes], Any]] = {
        "ours: header, simplejpeg strict, cheapest scale": lambda b: decode_photo(
            b, max_side=1600, enough_side=960
        ),
        "simplejpeg strict, 3/8, then reduced to 1000": lambda b: decode_photo(b, max_side=1001),
        "simplejpeg lax, 1/4": lambda b: simplejpeg.decode_jpeg(b, strict=False, **fast),
        "simplejpeg strict, whole, then reduced": full,
        "OpenCV reduced by 4": opencv(cv2.IMREAD_REDUCED_COLOR_4),
        "Pillow draft by 4": pillow,
    }
    rng = np.random.default_rng(0)
    body = data.index(b"\xff\xda") + 16
    cut_off = [data[: int(len(data) * share)] for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999)]
    flipped = []
    for _ in range(24):
        damaged = bytearray(data)
        for _ in range(3):
            damaged[int(rng.integers(body, len(data) - 2))] ^= 1 << int(rng.integers(0, 8))
        flipped.append(bytes(damaged))
    laps = Laps(time.thread_time)
    for _ in range(max(3, rounds // 3)):
        for name, read in readers.items():
            with laps.lap(name):
                read(data)
    return [
        Decoder(
            name,
            float(np.median(laps.cpu[name])),
            _count_refused(read, cut_off),
            _count_refused(read, flipped),
        )
        for name, read in readers.items()
    ]


def _count_refused(read: Callable[[bytes], Any], files: Sequence[bytes]) -> str:
    refused = 0
    for data in files:
        try:
            read(data)
        except (PhotoError, ValueError, OSError, RuntimeError, SyntaxError, cv2.error):
            refused += 1
    return f"{refused} of {len(files)}"
