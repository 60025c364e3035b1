"""Contact sheets: many samples on one page, to be judged by eye."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.scene import draw


def contact_sheet(
    seed: int,
    kind: str,
    count: int = 64,
    cell: int = 240,
    columns: int = 8,
    marked: bool = False,
    backgrounds: Path | None = None,
) -> NDArray[np.uint8]:
    """Samples `seed`.. as a page u8 [h,w,3] RGB; `marked` draws nail outlines and joints."""
    rows = -(-count // columns)
    page = np.full((rows * cell, columns * cell, 3), 255, np.uint8)
    for i in range(count):
        sample = draw(seed + i, kind, 640, backgrounds)
        image = sample.image
        if marked:
            image = image.copy()
            for instance in range(1, int(sample.mask.max()) + 1):
                outline, _ = cv2.findContours(
                    (sample.mask == instance).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
                )
                cv2.drawContours(image, outline, -1, (0, 255, 0), 2)
            for hand in sample.record["hands"]:
                for x, y, visible in hand["joints"]:
                    cv2.circle(
                        image, (int(x), int(y)), 5, [(0, 0, 255), (255, 0, 0), (255, 255, 0)][visible], -1
                    )
        h, w = image.shape[:2]
        f = (cell - 2) / max(h, w)
        small = cv2.resize(image, (int(w * f), int(h * f)), interpolation=cv2.INTER_AREA)
        y, x = (i // columns) * cell, (i % columns) * cell
        page[y : y + small.shape[0], x : x + small.shape[1]] = small
    return page
