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
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def read_mask(design: Design, shape: tuple[int, int]) -> Image:
    """1 where there is a nail, u8 [H,W]; zero everywhere if the record has no mask."""
    if design.mask is None or not design.mask.exists():
        return np.zeros(shape, np.uint8)
    mask = cv2.imread(str(design.mask), cv2.IMREAD_UNCHANGED)
    return (mask > 0).astype(np.uint8)
