"""Contrastive losses of the retrieval models: symmetric InfoNCE, DRC and CRC.

All three read a matrix of texts (rows) against images (columns) whose diagonal holds the matching pairs. DRC
and CRC (paper N, section a) read plain cosines, are summed and have no temperature; CRC with one constant
confidence on the unlabelled positives is DRC.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

EXCLUDED = -1e4  # a logit that softmax turns to nothing, finite in every precision


class Temperature(nn.Module):
    """A learned inverse temperature, kept in (0, `ceiling`]. Starts at 1 / 0.07 as CLIP's does."""

    def __init__(self, start: float = 1 / 0.07, ceiling: float = 50.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(start).log())
        self.ceiling = ceiling

    def forward(self) -> Tensor:
        return self.log_scale.exp().clamp(max=self.ceiling)


def info_nce(logits: Tensor, ignored: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE: mean of the cross-entropies of rows and of columns.

    logits: f32 [B,B], similarities times the inverse temperature, matches on the diagonal.
    ignored: bool [B,B], pairs that count neither as a match nor as a contrast; its diagonal is not read.
    """
    size = logits.shape[0]
    if ignored is not None:
        diagonal = torch.eye(size, dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(ignored & ~diagonal, EXCLUDED)
    matches = torch.arange(size, device=logits.device)
    return (functional.cross_entropy(logits, matches) + functional.cross_entropy(logits.T, matches)) / 2


def double_relaxed(
    cosines: Tensor, unlabelled: Tensor, *, alpha: float = 0.7, gamma: float = 0.7, lam: float = 0.7
) -> Tensor:
    """Double Relaxed Contrastive loss, summed over the batch.

    sum_i (1 - S_ii)^2 + gamma sum_U max(alpha - S_ij, 0)^2 + lam sum_notU max(S_ij, 0)^2, i != j.
    cosines: f32 [B,B] text x image; unlabelled: bool [B,B], U, read row by row (not symmetric).
    """
    confidence = torch.full_like(cosines, alpha)
    return _relaxed(cosines, confidence, unlabelled, weight_unlabelled=gamma, weight_negative=lam)


def confidence_relaxed(
    cosines: Tensor,
    confidence: Tensor,
    *,
    threshold: float,
    weight_unlabelled: float = 0.7,
    weight_negative: float = 0.7,
) -> Tensor:
    """Confidence Relaxed Contrastive loss (NaiLIA), summed over the batch.

    DRC whose alpha is the judged confidence c_ij, and whose U is {c_ij >= threshold}.
    cosines: f32 [B,B] text x image; confidence: f32 [B,B] in [0, 1].
    """
    return _relaxed(
        cosines,
        confidence,
        confidence >= threshold,
        weight_unlabelled=weight_unlabelled,
        weight_negative=weight_negative,
    )


def _relaxed(
    cosines: Tensor,
    confidence: Tensor,
    unlabelled: Tensor,
    *,
    weight_unlabelled: float,
    weight_negative: float,
) -> Tensor:
    off_diagonal = ~torch.eye(cosines.shape[0], dtype=torch.bool, device=cosines.device)
    matched = (1 - cosines.diagonal()).square().sum()
    relaxed = functional.relu(confidence - cosines).square()[unlabelled & off_diagonal].sum()
    contrasted = functional.relu(cosines).square()[~unlabelled & off_diagonal].sum()
    return matched + weight_unlabelled * relaxed + weight_negative * contrasted
