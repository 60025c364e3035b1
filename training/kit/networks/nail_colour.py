"""Colour inside the graph: sRGB to CIELAB and soft counts of the named nail colours.

Differentiable twins of `nails.colour.cielab` for batches. The bins are the named colours of
`nails.vocabulary`, so a photo's histogram speaks the language of requests.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nails.vocabulary import COLOURS

WHITE = (0.95047, 1.0, 1.08883)  # D65, 2 degrees
RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.072175),
    (0.0193339, 0.119192, 0.9503041),
)


def srgb_to_lab(rgb: Tensor) -> Tensor:
    """CIELAB (D65) of sRGB in [0, 1]: f32 [N,3,H,W] -> f32 [N,3,H,W], L in [0, 100]."""
    rgb = rgb.clamp(0, 1)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0.04) + 0.055) / 1.055) ** 2.4)
    matrix = torch.tensor(RGB_TO_XYZ, dtype=rgb.dtype, device=rgb.device) / torch.tensor(
        WHITE, dtype=rgb.dtype, device=rgb.device
    ).unsqueeze(1)
    xyz = functional.conv2d(linear, matrix[:, :, None, None])
    cube_root = xyz.clamp(min=0.008) ** (1 / 3)
    f = torch.where(xyz > 216 / 24389, cube_root, xyz * (24389 / 27 / 116) + 16 / 116)
    x, y, z = f[:, 0:1], f[:, 1:2], f[:, 2:3]
    return torch.cat([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


class NamedColourBins(nn.Module):
    """Soft counts of the named colours under a weight map.

    A pixel belongs to each of the C names by softmax(-distance^2 / (2 spread^2)) in CIELAB.
    """

    def __init__(self, spread: float = 9.0) -> None:
        super().__init__()
        self.register_buffer("centres", torch.tensor([colour.lab for colour in COLOURS]))  # [C,3]
        self.spread = spread

    def soften(self, lab: Tensor) -> Tensor:
        """Membership of CIELAB points: f32 [...,3] -> f32 [...,C], each summing to 1."""
        centres: Tensor = self.centres  # type: ignore[assignment]  # a registered buffer is a tensor
        # |p - c|^2 without the |p|^2 that softmax cancels
        distance = centres.square().sum(dim=1) - 2 * (lab @ centres.T)
        return (-distance / (2 * self.spread**2)).softmax(dim=-1)

    def forward(self, lab: Tensor, weights: Tensor) -> Tensor:
        """lab f32 [N,3,H,W], weights f32 [N,1,H,W] >= 0 -> f32 [N,C] of sum 1, or 0 without weight."""
        members = self.soften(lab.flatten(2).transpose(1, 2))  # [N,HW,C]
        flat = weights.flatten(2)  # [N,1,HW]
        return (flat @ members).squeeze(1) / (flat.sum(dim=2) + EMPTY)


# Cells of nail that an empty map stands for: averages over no nail at all fade to zero instead of dividing
# one rounding error by another, so that no embedding hangs on the order of a sum.
EMPTY = 0.25


def weighted_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Mean of f32 [N,C,H,W] under weights f32 [N,1,H,W]: f32 [N,C].

    The weights are divided, not the sum: that would leave the range of fp16.
    """
    shares = weights / (weights.sum(dim=(2, 3), keepdim=True) + EMPTY)
    return (features * shares).sum(dim=(2, 3))


def weighted_deviation(features: Tensor, weights: Tensor) -> Tensor:
    """Standard deviation of f32 [N,C,H,W] under weights f32 [N,1,H,W]: f32 [N,C]."""
    mean = weighted_mean(features, weights)[:, :, None, None]
    return (weighted_mean((features - mean).square(), weights) + 1e-3).sqrt()
