"""Blocks of the decoders: depthwise-separable filters, and the step up to the next finer level."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.kit.data.photos import Image
from training.kit.networks.backbone import batch_norm


class Separable(nn.Sequential):
    """Depthwise 3x3, then 1x1 to `outputs` channels, each normalised; ReLU6. Keeps the spatial size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            batch_norm(inputs),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            batch_norm(outputs),
            nn.ReLU6(inplace=True),
        )


class Up(nn.Module):
    """Doubles the resolution of `coarse`, joins the encoder's `skip` of that resolution, filters both."""

    def __init__(self, coarse: int, skip: int, outputs: int, *, blocks: int = 2) -> None:
        super().__init__()
        self.lateral = nn.Sequential(nn.Conv2d(skip, outputs, 1, bias=False), batch_norm(outputs))
        self.top = nn.Sequential(nn.Conv2d(coarse, outputs, 1, bias=False), batch_norm(outputs))
        self.filter = nn.Sequential(*(Separable(outputs, outputs) for _ in range(blocks)))

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        top = functional.interpolate(self.top(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)
        joined: Tensor = self.filter(functional.relu6(top + self.lateral(skip), inplace=True))
        return joined


def fill_bias(convolution: nn.Module, value: float) -> None:
    """Sets every bias of a convolution that has biases to `value`, where its training starts."""
    assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
    nn.init.constant_(convolution.bias, value)


def to_tensor(views: list[Image]) -> Tensor:
    """uint8 views [S,S,3] to f32 [N,3,S,S] in (x - 127) / 128."""
    stacked = np.stack(views).transpose(0, 3, 1, 2)
    return torch.from_numpy((stacked.astype(np.float32) - 127) / 128)
