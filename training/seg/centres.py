"""A candidate for nail_seg: nails as centres and offsets, on a feature pyramid at stride 4.

After Panoptic-DeepLab (Cheng et al., 2020), in one size: EfficientNet-Lite0, a top-down pyramid of separable
blocks, and three heads at a quarter of the input's resolution: nail, a heatmap of nail centres, and for each
nail pixel the way to its centre. `decode_centres` reads them: every nail pixel goes to the centre nearest to
where it points. Compared in docs/segmentation.md by `training.seg.compare`.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nails.perception.nail_decode import NailInstance, instance_from_mask
from nails.photo.preprocess import Letterbox
from training.kit.networks.backbone import PYRAMID_CHANNELS, EfficientNetLite0
from training.kit.networks.blocks import Separable, Up
from training.seg.loss import dice_loss, focused_bce

STRIDE = 4
# Spread of a centre's peak, as a share of the nail's size, in cells at least one.
CENTRE_SPREAD = 0.1
HEATMAP_WEIGHT, OFFSET_WEIGHT = 4.0, 0.1
MIN_CENTRE = 0.1
# Two centres are at least this many cells apart.
PEAK_WINDOW = 5
MIN_CELLS = 3

Labels = NDArray[np.uint8]
Floats = NDArray[np.float32]


class CentreSeg(nn.Module):
    """f32 [N,3,S,S] in (x-127)/128 -> f32 [N,4,S/4,S/4]: nail logit, centre logit, offset x, y in cells."""

    def __init__(self, backbone: EfficientNetLite0, *, widths: tuple[int, int, int] = (96, 64, 48)) -> None:
        super().__init__()
        self.backbone = backbone
        coarse = PYRAMID_CHANNELS[32]
        self.context = Separable(coarse, coarse)
        self.ups = nn.ModuleList()
        for stride, width in zip((16, 8, 4), widths, strict=True):
            self.ups.append(Up(coarse, PYRAMID_CHANNELS[stride], width, blocks=2))
            coarse = width
        self.heads = nn.ModuleList(
            nn.Sequential(Separable(coarse, coarse), nn.Conv2d(coarse, maps, 1)) for maps in (1, 1, 2)
        )
        for head in self.heads[:2]:
            nn.init.constant_(head[-1].bias, -3.0)  # type: ignore[index]  # a Sequential

    def forward(self, images: Tensor) -> Tensor:
        levels = self.backbone.levels(images)
        x = self.context(levels[32])
        for up, stride in zip(self.ups, (16, 8, 4), strict=True):
            x = up(x, levels[stride])
        return torch.cat([head(x) for head in self.heads], dim=1)


class CentreMaps(nn.Module):
    """What is exported: `CentreSeg` with the sigmoids in the graph; maps f32 [N,4,S/4,S/4]."""

    def __init__(self, network: CentreSeg) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        maps = self.network(images)
        return torch.cat([maps[:, :2].sigmoid(), maps[:, 2:]], dim=1)


def centre_targets(labels: Labels) -> tuple[Floats, Floats, Floats]:
    """Of instance labels [S,S]: nail [h,w] (covered share), heatmap [h,w] and offsets [2,h,w] in cells."""
    height, width = labels.shape[0] // STRIDE, labels.shape[1] // STRIDE
    nail = cv2.resize((labels > 0).astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    heatmap, offsets = np.zeros((height, width), np.float32), np.zeros((2, height, width), np.float32)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    # One pixel stands for its cell where the instances are told apart.
    cells = labels[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE][:height, :width]
    for number in np.unique(labels):
        if number == 0:
            continue
        ys, xs = np.nonzero(labels == number)
        x, y = (xs.mean() + 0.5) / STRIDE - 0.5, (ys.mean() + 0.5) / STRIDE - 0.5
        spread = max(1.0, CENTRE_SPREAD * float(np.sqrt(len(xs))) / STRIDE)
        peak = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))
        heatmap = np.maximum(heatmap, peak.astype(np.float32))
        own = cells == number
        offsets[0][own], offsets[1][own] = (x - columns)[own], (y - rows)[own]
    return np.asarray(nail, np.float32), heatmap, offsets


def centre_loss(maps: Tensor, labels: list[Labels]) -> Tensor:
    """Scalar loss of `CentreSeg`'s maps [N,4,h,w] against instance labels, one [S,S] an item."""
    targets = [centre_targets(one) for one in labels]
    nail, heatmap, offsets = (
        torch.from_numpy(np.stack(part)).to(maps.device) for part in zip(*targets, strict=True)
    )
    nail, heatmap = nail[:, None], heatmap[:, None]
    loss = focused_bce(maps[:, :1], nail, torch.ones_like(nail)) + dice_loss(maps[:, :1], nail)
    # Squared error of the peaks, as in the paper; by the peaks' own mass, so that few nails weigh as many do.
    centre = ((maps[:, 1:2].sigmoid() - heatmap) ** 2).sum() / heatmap.sum().clamp(min=1)
    inside = (nail > 0.5).float()
    way = functional.smooth_l1_loss(maps[:, 2:], offsets, reduction="none")
    return loss + HEATMAP_WEIGHT * centre + OFFSET_WEIGHT * (way * inside).sum() / inside.sum().clamp(min=1)


def decode_centres(
    maps: Floats, letterbox: Letterbox, photo_size: tuple[int, int], *, min_score: float = 0.5
) -> list[NailInstance]:
    """Nails of maps f32 [4,h,w] (nail, centre, offset x, y), best score first.

    The score is the mean nail probability. A part of the nail map in which no centre peaks is one nail.
    `photo_size` is (width, height).
    """
    nail = maps[0]
    inside = nail > 0.5
    count, raw = cv2.connectedComponents(inside.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    parts = np.asarray(raw)
    if count == 1:
        return []
    peaks = maps[1] * inside
    highest = cv2.dilate(peaks, np.ones((PEAK_WINDOW, PEAK_WINDOW), np.uint8))
    ys, xs = np.nonzero((peaks == highest) & (peaks > MIN_CENTRE))
    labels = np.where(np.isin(parts, np.unique(parts[ys, xs])), 0, parts)  # parts without a centre stay whole
    rows, columns = np.nonzero(inside & (labels == 0))
    if len(rows):
        to_x, to_y = columns + maps[2][rows, columns], rows + maps[3][rows, columns]
        far = (to_x[:, None] - xs) ** 2 + (to_y[:, None] - ys) ** 2
        labels[rows, columns] = count + far.argmin(axis=1)
    found = []
    for number in np.unique(labels[labels > 0]):
        own = labels == number
        score = float(nail[own].mean())
        if own.sum() < MIN_CELLS or score < min_score:
            continue
        # As in the served decoder: the border to the background is where the map crosses one half, the one
        # to a neighbour runs midway.
        field = np.where(own, nail - 0.5, -np.abs(nail - 0.5)).astype(np.float32)
        mask = _drawn(field, letterbox, photo_size)
        if mask.any():
            found.append(instance_from_mask(mask, score))
    return sorted(found, key=lambda one: -one.score)


def _drawn(field: Floats, letterbox: Letterbox, photo_size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where `field` is positive, at the photo's resolution."""
    step_x, step_y = letterbox.scale_x / STRIDE, letterbox.scale_y / STRIDE
    matrix = np.array(
        [
            [step_x, 0, 0.5 * step_x + letterbox.pad_x / STRIDE - 0.5],
            [0, step_y, 0.5 * step_y + letterbox.pad_y / STRIDE - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = cv2.warpAffine(field, matrix, photo_size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(drawn) > 0
