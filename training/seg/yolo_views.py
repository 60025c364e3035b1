"""YOLO11n-seg's network and loss from ultralytics, fed with our own views; needs `make yolo-env`.

For `training.seg.compare`, which trains every candidate on the same stream of views: the network and its
loss are ultralytics' own, the loop around them is ours. The documented route is `training.seg.yolo`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.kit.compute import CPU, Compute
from training.seg.yolo import ARCHITECTURE, load_ultralytics

MASK_STRIDE = 4
# Fewer pixels than this of a nail in a view are no object to find.
MIN_PIXELS = 12

Labels = NDArray[np.uint8]


def yolo_network(settings: Path) -> nn.Module:
    """A new YOLO11n-seg for one class, not pretrained."""
    load_ultralytics(settings)
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import SegmentationModel

    network: nn.Module = SegmentationModel(ARCHITECTURE, nc=1, verbose=False)
    network.args = get_cfg()  # the gains of the loss, at their defaults
    return network


def yolo_targets(labels: list[Labels]) -> dict[str, Tensor]:
    """batch_idx [M], cls [M,1], bboxes [M,4] (centre x, y, width, height, as shares) and masks [N,S/4,S/4].

    A mask's value is the nail's place among those of its view, from 1 on.
    """
    items, boxes, masks = [], [], []
    for item, view in enumerate(labels):
        height, width = view.shape
        numbered = np.zeros_like(view)
        numbers, areas = np.unique(view[view > 0], return_counts=True)
        for place, number in enumerate(numbers[areas >= MIN_PIXELS], start=1):
            own = view == number
            numbered[own] = place
            columns, rows = np.flatnonzero(own.any(axis=0)), np.flatnonzero(own.any(axis=1))
            x0, x1, y0, y1 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
            items.append(item)
            boxes.append(
                [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
            )
        small = (width // MASK_STRIDE, height // MASK_STRIDE)
        masks.append(cv2.resize(numbered, small, interpolation=cv2.INTER_NEAREST))
    return {
        "batch_idx": torch.tensor(items, dtype=torch.float32),
        "cls": torch.zeros(len(items), 1),
        "bboxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "masks": torch.from_numpy(np.stack(masks)).float(),
    }


def yolo_loss(network: Any, images: Tensor, labels: list[Labels], compute: Compute = CPU) -> Tensor:
    """Ultralytics' segmentation loss of one batch; images f32 [N,3,S,S] in (x-127)/128.

    The network runs in mixed precision, its loss does not.
    """
    scaled = (images * 128 + 127) / 255
    with compute.autocast():
        found = network(scaled)
    found = {name: [x.float() for x in v] if isinstance(v, list) else v.float() for name, v in found.items()}
    targets = {name: compute.batch(tensor) for name, tensor in yolo_targets(labels).items()}
    parts, _ = network.loss(targets | {"img": scaled}, found)
    return parts.sum() / len(images)
