"""The photo and the nail mask of a synthetic design."""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg

from training.design.data.records import Design
from training.kit.data.augment import Image


def read_photo(design: Design) -> Image:
    """The photo, RGB u8 [H,W,3]."""
    data = design.image.read_bytes()
    if data[:2] == b"\xff\xd8":
        return simplejpeg.decode_jpeg(data, colorspace="RGB")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{design.image}: not a readable image")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def read_mask(design: Design, shape: tuple[int, int]) -> Image:
    """1 where there is a nail, u8 [H,W]; zero everywhere if the record has no mask."""
    if design.mask is None or not design.mask.exists():
        return np.zeros(shape, np.uint8)
    mask = cv2.imread(str(design.mask), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise ValueError(f"{design.mask}: not a readable mask")
    return (np.asarray(mask) > 0).astype(np.uint8)
