"""Losses of paper Q: ranking within a tag, squared error, earth mover's distance of the votes.

    L = -E_{(T, x_i > x_j)} log s(f(T,x_i) - f(T,x_j)) + w (1/N) sum (f(x_i) - mos_i)^2 + v EMD_2

Which photo of a tag stands higher: that with the higher mean score; where two are closer than
1.96 sqrt(SE_i^2 + SE_j^2), the error of their votes, that which is more like the tag; where their likeness
differs by less than .005 too, neither.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

CONFIDENCE = 1.96
UNKNOWN = 0.2  # scores this close are alike where the votes' errors are not known
LEAST_LIKENESS = 0.005


def order_pairs(mos: Tensor, errors: Tensor, likeness: Tensor) -> Tensor:
    """Which of two photos of a tag stands higher: f32 [G,K,K], 1 where i does, -1 where j does, else 0.

    mos, errors, likeness: f32 [G,K]; errors and likeness may be nan where they are not known (a near-tie
    without likeness is left open).
    """
    difference = mos[:, :, None] - mos[:, None, :]
    known = CONFIDENCE * (errors[:, :, None].square() + errors[:, None, :].square()).sqrt()
    near = difference.abs() < torch.where(known.isnan(), UNKNOWN, known)
    likelier = likeness[:, :, None] - likeness[:, None, :]
    by_likeness = torch.where(likelier.abs() >= LEAST_LIKENESS, likelier.sign(), 0.0)
    return torch.where(near, by_likeness, difference.sign())


def ranking_loss(scores: Tensor, order: Tensor) -> Tensor:
    """Mean of -log s(f_i - f_j) over ordered pairs, 0 without one. scores f32 [G,K], order f32 [G,K,K]."""
    higher = (order > 0).to(scores.dtype)
    difference = scores[:, :, None] - scores[:, None, :]
    return (functional.softplus(-difference) * higher).sum() / higher.sum().clamp(min=1)


def squared_emd(distribution: Tensor, votes: Tensor) -> Tensor:
    """NIMA's distance with r = 2, mean over photos: sqrt(mean_k (CDF - CDF')^2). Both f32 [N,10] of sum 1."""
    gap = distribution.cumsum(dim=1) - votes.cumsum(dim=1)
    return (gap.square().mean(dim=1) + 1e-8).sqrt().mean()
