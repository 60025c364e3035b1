"""Contact sheets: many samples on one page, to be inspected by eye, also beside real photos."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.background.photos import photos
from training.synth.image import Sample, generate

U8 = NDArray[np.uint8]


def contact_sheet(
    seed: int,
    kind: str,
    count: int = 64,
    cell: int = 240,
    columns: int = 8,
    marked: bool = False,
    backgrounds: Path | None = None,
    beside: Path | None = None,
    without: Iterable[str] = (),
) -> U8:
    """Samples `seed`.. as a page u8 [h,w,3] RGB; `marked` draws nail outlines and joints.

    `beside`: a folder of real photos that fill every other row. `without`: see training.synth.ingredients.
    Raises ValueError where `beside` holds no photo.
    """
    real = photos(beside) if beside else ()
    rows = -(-count // columns)
    tall = 2 * rows if real else rows
    page = np.full((tall * cell, columns * cell, 3), 255, np.uint8)
    for i in range(count):
        sample = generate(seed + i, kind, 640, backgrounds, without=without)
        row, column = divmod(i, columns)
        _paste(page, marks(sample) if marked else sample.image, (2 * row if real else row), column, cell)
        if real:
            image = cv2.imread(str(real[i % len(real)]), cv2.IMREAD_COLOR)
            if image is not None:
                _paste(page, np.asarray(image, np.uint8)[..., ::-1], 2 * row + 1, column, cell)
    return page


def marks(sample: Sample) -> U8:
    """The sample's image with the outlines of its nails and the joints of its hands."""
    image = sample.image.copy()
    for instance in range(1, int(sample.mask.max()) + 1):
        outline, _ = cv2.findContours(
            (sample.mask == instance).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(image, outline, -1, (0, 255, 0), 2)
    for hand in sample.record["hands"]:
        for x, y, visible in hand["joints"]:
            cv2.circle(image, (int(x), int(y)), 5, [(0, 0, 255), (255, 0, 0), (255, 255, 0)][visible], -1)
    return image


def _paste(page: U8, image: U8, row: int, column: int, cell: int) -> None:
    h, w = image.shape[:2]
    f = (cell - 2) / max(h, w)
    size = max(int(w * f), 1), max(int(h * f), 1)
    small = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    page[row * cell : row * cell + size[1], column * cell : column * cell + size[0]] = small
