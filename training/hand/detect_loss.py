"""hand_detect's loss: focal cross-entropy against a soft centre map, and generalised IoU of the boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.hand.detect_model import cell_centres

SPREAD = 0.13  # standard deviation of a hand's centre map in units of its box's sides
POSITIVE = 0.4


def centre_targets(
    boxes: list[Tensor], cells: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Score targets f32 [N,A] in [0, 1] and the box each cell would predict, f32 [N,A,4].

    boxes: for each item the hands' boxes [k,4] in input pixels. A cell belongs to the hand whose middle is
    nearest in units of that hand's size; cells of items without hands have target 0.
    """
    centres = cell_centres(cells, device)
    scores = torch.zeros(len(boxes), len(centres), device=device)
    owners = torch.zeros(len(boxes), len(centres), 4, device=device)
    for item, hands in enumerate(boxes):
        if len(hands) == 0:
            continue
        middle = (hands[:, :2] + hands[:, 2:]) / 2
        sides = (hands[:, 2:] - hands[:, :2]).clamp(min=8)
        apart = (centres[:, None] - middle) / (SPREAD * sides)  # [A,k,2]
        near = torch.exp(-0.5 * apart.square().sum(-1))
        # The cell under the middle counts fully, however small the hand.
        near = near / near.max(dim=0).values.clamp(min=1e-6)
        best = near.max(dim=1)
        scores[item] = best.values
        owners[item] = hands[best.indices]
    return scores, owners


def generalised_iou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al., 2019) of boxes [...,4] xyxy, in [-1, 1]."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    area = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(-1) - common
    hull_low = torch.minimum(first[..., :2], second[..., :2])
    hull_high = torch.maximum(first[..., 2:], second[..., 2:])
    hull = (hull_high - hull_low).prod(-1).clamp(min=1e-6)
    return common / area.clamp(min=1e-6) - (hull - area) / hull


def detect_loss(scores: Tensor, boxes: Tensor, hands: list[Tensor]) -> Tensor:
    """Scalar loss of logits f32 [N,A] and boxes f32 [N,A,4] against the hands' boxes of each item."""
    target, owners = centre_targets(hands, round(scores.shape[1] ** 0.5), scores.device)
    probability = scores.detach().sigmoid()
    weight = (target - probability).abs().square()
    bce = functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
    score_loss = 2 * (bce * weight).sum() / target.sum().clamp(min=1)
    chosen = target > POSITIVE
    if not chosen.any():
        return score_loss
    box_loss = ((1 - generalised_iou(boxes[chosen], owners[chosen])) * target[chosen]).sum() / target[
        chosen
    ].sum()
    return score_loss + 2 * box_loss
