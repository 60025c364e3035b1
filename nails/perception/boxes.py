"""Boxes (x0, y0, x1, y1) as float arrays: overlap and non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating[Any]]


def box_iou(box: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Intersection over union of `box` (4,) with each of `others` (n,4); 0 where both are empty."""
    corner = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    overlap = np.prod(np.clip(corner, 0, None), axis=1, dtype=np.float64)
    areas = np.prod(np.clip(others[:, 2:] - others[:, :2], 0, None), axis=1, dtype=np.float64)
    own = float(np.prod(np.clip(box[2:] - box[:2], 0, None), dtype=np.float64))
    union = own + areas - overlap
    return np.where(union > 0, overlap / np.maximum(union, 1e-12), 0.0)


def suppress(boxes: Boxes, scores: NDArray[np.floating[Any]], max_iou: float) -> list[int]:
    """Greedy non-maximum suppression: indices kept, best score first; equal scores by lower index."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best = int(order[0])
        kept.append(best)
        rest = order[1:]
        order = rest[box_iou(boxes[best], boxes[rest]) <= max_iou]
    return kept
