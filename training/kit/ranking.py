"""Figures of a ranking: hit rate at k and mean reciprocal rank of the best target (paper N, metrics)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def best_ranks(similarity: NDArray[np.float32], targets: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rank (1 = first) of each query's best target. Ties count against it.

    similarity f32 [Q,N]; targets bool [Q,N], at least one per row.
    """
    best = np.where(targets, similarity, -np.inf).max(axis=1, keepdims=True)
    ahead = ((similarity >= best) & ~targets).sum(axis=1)
    return np.asarray(1 + ahead, np.int64)


def figures(ranks: NDArray[np.int64], cuts: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """Percent hit at each cut, and the mean reciprocal rank in percent."""
    found = {f"hit@{k}": 100 * float((ranks <= k).mean()) for k in cuts}
    found["mrr"] = 100 * float((1 / ranks).mean())
    return found


def shown(found: dict[str, float]) -> str:
    """One line for logs."""
    return " ".join(f"{name} {value:.1f}" for name, value in found.items())
