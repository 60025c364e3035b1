"""hand_pose's loss: cross-entropy against Gaussian bins for x and y, binary cross-entropy for presence."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.hand.pose_model import COARSE_BINS, SIZE

SIGMA = 4.0  # served pixels; RTMPose's hand5 uses 5.66 bins, which are 2.83 pixels
PRESENCE_SHARE = 0.5


def bin_targets(coordinate: Tensor) -> Tensor:
    """Distributions over bins f32 [N,21,COARSE_BINS] for coordinates f32 [N,21] in served pixels."""
    middles = (torch.arange(COARSE_BINS, dtype=torch.float32, device=coordinate.device) + 0.5) * (
        SIZE / COARSE_BINS
    )
    apart = (middles - coordinate.unsqueeze(-1)) / SIGMA
    return (-0.5 * apart.square()).softmax(dim=-1)


def pose_loss(outputs: tuple[Tensor, Tensor, Tensor], joints: Tensor, presence: Tensor) -> Tensor:
    """Scalar loss. joints f32 [N,21,2] in input pixels; presence f32 [N,21] in [0, 1], 0: not in view."""
    x, y, seen = outputs
    weight = (presence > 0).float()
    total = weight.sum().clamp(min=1)
    loss = x.new_zeros(())
    for logits, coordinate in ((x, joints[..., 0]), (y, joints[..., 1])):
        target = bin_targets(coordinate)
        divergence = -(target * logits.log_softmax(-1)).sum(-1)
        loss = loss + (divergence * weight).sum() / total
    return loss + PRESENCE_SHARE * functional.binary_cross_entropy_with_logits(seen, presence)
