"""hand_detect's network: anchor-free, one prediction for each cell of stride 16, on EfficientNet-Lite0.

A cell near a hand's middle predicts how near it is (its score) and the distances to the four sides of the
hand's box. One level is enough: hands in nail photos are large, and the features are fused from stride 32.
The served graph keeps the score of a cell only where no neighbour's is higher (CenterNet's peaks, Zhou et
al., 2019): two hands that lie on each other have two peaks, though their boxes nearly agree.

Hands are so large that half the served resolution shows them well: the served graph halves its input first,
which makes the network four times cheaper, and a cell of stride 16 is one of stride 8 within.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.hand.frozen_stem import StemFeatures, back_level, freeze_stem, stem_levels
from training.kit.compute import set_memory_format
from training.kit.networks.backbone import (
    PYRAMID_CHANNELS,
    EfficientNetLite0,
    fold_batch_norm,
    imagenet_backbone,
)
from training.kit.networks.blocks import Separable, Up, fill_bias

STRIDE = 16
SIZE = 320
HALF = 2


class HandDetector(nn.Module):
    """f32 [N,3,S/2,S/2] in (x-127)/128 -> score logits f32 [N,A], boxes f32 [N,A,4] xyxy in pixels of S.

    S is the served side, A = (S/16) ** 2, row by row.
    """

    def __init__(self, backbone: EfficientNetLite0, *, width: int = 96) -> None:
        super().__init__()
        self.backbone = backbone
        self.context = Separable(PYRAMID_CHANNELS[32], PYRAMID_CHANNELS[32])
        self.up16 = Up(PYRAMID_CHANNELS[32], PYRAMID_CHANNELS[16], width)
        self.up8 = Up(width, PYRAMID_CHANNELS[8], width)
        self.score_tower = nn.Sequential(Separable(width, width), nn.Conv2d(width, 1, 1))
        self.box_tower = nn.Sequential(Separable(width, width), nn.Conv2d(width, 4, 1))
        fill_bias(self.score_tower[1], -4.0)
        # Half sides of exp(1.8) cells at the start: hands are large.
        fill_bias(self.box_tower[1], 1.8)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.from_stem(stem_levels(self.backbone, images))

    def from_stem(self, stem: StemFeatures) -> tuple[Tensor, Tensor]:
        """The same from the frozen features of views of side S/2."""
        context = self.context(back_level(self.backbone, stem.stride16))
        x = self.up8(self.up16(context, stem.stride16), stem.stride8)
        scores = self.score_tower(x).flatten(1)
        sides = self.box_tower(x).clamp(-3.0, 4.0).exp().flatten(2).transpose(1, 2) * STRIDE  # [N,A,4]
        centres = cell_centres(stem.stride8.shape[2], sides.device)
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], dim=-1)
        return scores, boxes


def peaks(scores: Tensor, cells: int) -> Tensor:
    """Scores f32 [N,cells*cells] where no cell around has a higher one, elsewhere 0."""
    plane = scores.reshape(-1, 1, cells, cells)
    highest = functional.max_pool2d(plane, 3, stride=1, padding=1)
    return torch.where(plane >= highest, plane, torch.zeros_like(plane)).flatten(1)


class ServedDetector(nn.Module):
    """What is exported: boxes f32 [N,A,4] and scores f32 [N,A] in [0, 1]."""

    def __init__(self, network: HandDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores, boxes = self.network(halved(images))
        return boxes, peaks(scores.sigmoid(), int(images.shape[2]) // STRIDE)


def halved(images: Tensor) -> Tensor:
    """f32 [N,3,S,S] -> f32 [N,3,S/2,S/2], the mean of each 2x2."""
    return functional.avg_pool2d(images, HALF)


def cell_centres(cells: int, device: torch.device | None = None) -> Tensor:
    """Centres (x, y) of cells x cells squares of STRIDE pixels, row by row: f32 [cells * cells, 2]."""
    middle = (torch.arange(cells, dtype=torch.float32, device=device) + 0.5) * STRIDE
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def hand_detector(*, pretrained: bool = True) -> HandDetector:
    """A new network as it is trained: folded backbone, frozen as `freeze_stem` says."""
    backbone = imagenet_backbone() if pretrained else EfficientNetLite0()
    network = HandDetector(freeze_stem(fold_batch_norm(backbone)))
    return set_memory_format(network, torch.channels_last)
