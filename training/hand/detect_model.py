"""hand_detect's network: anchor-free, one prediction for each cell of stride 8, on EfficientNet-Lite0.

A cell near a hand's middle predicts how near it is (its score) and the distances to the four sides of the
hand's box. One level is enough: hands in nail photos are large, and the features are fused from stride 32.

Hands are so large that half the served resolution shows them well: the served graph halves its input first,
which makes the network four times cheaper, and a cell of stride 8 is one of stride 4 within.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.backbone import PYRAMID_CHANNELS, EfficientNetLite0, fold_batch_norm, freeze, imagenet_backbone
from training.seg.model import Separable, Up

STRIDE = 8
SIZE = 320
HALF = 2


class HandDetector(nn.Module):
    """f32 [N,3,S/2,S/2] in (x-127)/128 -> score logits f32 [N,A], boxes f32 [N,A,4] xyxy in pixels of S.

    S is the served side, A = (S/8) ** 2, row by row.
    """

    def __init__(self, backbone: EfficientNetLite0, *, width: int = 96) -> None:
        super().__init__()
        self.backbone = backbone
        self.context = Separable(PYRAMID_CHANNELS[32], PYRAMID_CHANNELS[32])
        self.up16 = Up(PYRAMID_CHANNELS[32], PYRAMID_CHANNELS[16], width)
        self.up8 = Up(width, PYRAMID_CHANNELS[8], width)
        self.up4 = Up(width, PYRAMID_CHANNELS[4], width // 2, blocks=1)
        width = width // 2
        self.score_tower = nn.Sequential(Separable(width, width), nn.Conv2d(width, 1, 1))
        self.box_tower = nn.Sequential(Separable(width, width), nn.Conv2d(width, 4, 1))
        nn.init.constant_(self.score_tower[1].bias, -4.0)
        nn.init.constant_(
            self.box_tower[1].bias, 2.5
        )  # half sides of exp(2.5) cells at the start: hands are large

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        levels = self.backbone.levels(images)
        x = self.up8(self.up16(self.context(levels[32]), levels[16]), levels[8])
        x = self.up4(x, levels[4])
        scores = self.score_tower(x).flatten(1)
        sides = self.box_tower(x).clamp(-3.0, 5.0).exp().flatten(2).transpose(1, 2) * STRIDE  # [N,A,4]
        centres = cell_centres(images.shape[2] * HALF // STRIDE)
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], dim=-1)
        return scores, boxes


class ServedDetector(nn.Module):
    """What is exported: boxes f32 [N,A,4] and scores f32 [N,A] in [0, 1]."""

    def __init__(self, network: HandDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores, boxes = self.network(halved(images))
        return boxes, scores.sigmoid()


def halved(images: Tensor) -> Tensor:
    """f32 [N,3,S,S] -> f32 [N,3,S/2,S/2], the mean of each 2x2."""
    return functional.avg_pool2d(images, HALF)


def cell_centres(cells: int) -> Tensor:
    """Centres (x, y) of cells x cells squares of STRIDE pixels, row by row: f32 [cells * cells, 2]."""
    middle = (torch.arange(cells, dtype=torch.float32) + 0.5) * STRIDE
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def hand_detector(*, pretrained: bool = True) -> HandDetector:
    """A new network as it is trained: folded backbone, frozen up to stride 8."""
    backbone = imagenet_backbone() if pretrained else EfficientNetLite0()
    network = HandDetector(freeze(fold_batch_norm(backbone), stride=8))
    return network.to(memory_format=torch.channels_last)
