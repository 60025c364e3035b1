"""nail_seg's loss: weighted binary cross-entropy plus soft Dice for the nail and interior maps;
cross-entropy for the map of hands, where the photo tells where its hands are."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from training.seg.data import SegBatch

INTERIOR_SHARE = 0.5
BODY_SHARE = 0.5


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice over the whole batch, in [0, 1]; the batch as one picture, so empty items are no case."""
    probability = logits.sigmoid()
    common = (probability * target).sum()
    return 1 - (2 * common + 1) / (probability.sum() + target.sum() + 1)


def focused_bce(logits: Tensor, target: Tensor, weight: Tensor, *, gamma: float = 1.0) -> Tensor:
    """Binary cross-entropy where what is already right counts little: clutter's few wrong pixels count most.

    Each pixel's loss is multiplied by |target - p| ** gamma and `weight`; normalised by the weights' sum and
    lifted by a constant so that its size is that of plain cross-entropy early in training.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    focus = (target - logits.detach().sigmoid()).abs() ** gamma
    return 4 * (loss * focus * weight).sum() / weight.sum()


def seg_loss(logits: Tensor, batch: SegBatch) -> Tensor:
    """Scalar loss of logits f32 [N,3,h,w] (or [N,2,h,w]) against a batch of the same resolution."""
    nail, interior, body = logits[:, :1], logits[:, 1:2], logits[:, 2:]
    loss = focused_bce(nail, batch.nail, batch.weight) + dice_loss(nail, batch.nail)
    core = focused_bce(interior, batch.interior, batch.weight) + dice_loss(interior, batch.interior)
    total = loss + INTERIOR_SHARE * core
    if batch.body is not None and (known := batch.body >= 0).any():
        hands = functional.binary_cross_entropy_with_logits(body[known], batch.body[known])
        total = total + BODY_SHARE * hands
    return total
