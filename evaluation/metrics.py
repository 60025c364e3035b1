"""Retrieval metrics and the bootstrap that compares two systems.

Ranks are 1-based: the best place is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BETTER, WORSE, WITHIN, UNKNOWN = "better", "worse", "within", "unknown"


def _checked(ranks: NDArray[np.integer]) -> NDArray[np.integer]:
    if ranks.ndim != 1 or ranks.size == 0:
        raise ValueError("ranks must be a non-empty vector")
    if int(ranks.min()) < 1:
        raise ValueError("ranks start at 1")
    return ranks


def hit_at_k(ranks: NDArray[np.integer], k: int) -> float:
    """Share of queries whose best target is among the first `k` (R@K of paper N).

    Args:
        ranks: for each query the rank of its best target, int [queries], >= 1.
        k: depth, >= 1.
    """
    return float(np.mean(_checked(ranks) <= k))


def mean_reciprocal_rank(ranks: NDArray[np.integer]) -> float:
    """Mean of 1/rank of the best target, in (0, 1]."""
    return float(np.mean(1.0 / _checked(ranks)))


def coverage_at_k(target_ranks: Sequence[Sequence[int]], k: int) -> float:
    """Mean over queries of the share of a query's targets that are among the first `k`.

    Equal to `hit_at_k` for queries with one target, never above it for others.

    Args:
        target_ranks: for each query the ranks of all its targets, at least one, each >= 1.
    """
    if not target_ranks or any(len(ranks) == 0 for ranks in target_ranks):
        raise ValueError("every query needs a target")
    return float(np.mean([np.mean(np.asarray(ranks) <= k) for ranks in target_ranks]))


def average_precision(target_ranks: Sequence[int]) -> float:
    """Mean over one query's targets of the precision at the place of each, in (0, 1].

    Equal to 1/rank for a single target; 1 exactly when the targets hold the first places.

    Args:
        target_ranks: the ranks of all targets of the query, at least one, different, each >= 1.
    """
    ranks = np.sort(_checked(np.asarray(target_ranks, np.int64)))
    if (np.diff(ranks) == 0).any():
        raise ValueError("two targets cannot have one rank")
    return float(np.mean(np.arange(1, ranks.size + 1) / ranks))


def mean_average_precision(target_ranks: Sequence[Sequence[int]]) -> float:
    """Mean of `average_precision` over queries (MAP)."""
    if not target_ranks:
        raise ValueError("at least one query is needed")
    return float(np.mean([average_precision(ranks) for ranks in target_ranks]))


@dataclass(frozen=True)
class PairedDifference:
    """How much better a system is than another on the same queries."""

    mean: float
    low: float
    """2.5th percentile of the bootstrap."""
    high: float
    """97.5th percentile of the bootstrap."""
    p_value: float
    """Two-sided, with +1 smoothing."""


def paired_bootstrap(
    ours: NDArray[np.floating], theirs: NDArray[np.floating], *, samples: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Bootstrap over queries of mean(ours - theirs).

    Args:
        ours, theirs: per-query figures of two systems, float [queries], in the same order.
    """
    if ours.shape != theirs.shape or ours.ndim != 1 or ours.size == 0:
        raise ValueError("both systems need the same, non-empty list of queries")
    differences = ours.astype(np.float64) - theirs.astype(np.float64)
    generator = np.random.default_rng(seed)
    means = np.empty(samples)
    for start in range(0, samples, 256):  # in blocks: bounded memory for many queries
        count = min(256, samples - start)
        picks = generator.integers(0, differences.size, size=(count, differences.size))
        means[start : start + count] = differences[picks].mean(axis=1)
    return summarise_bootstrap(float(differences.mean()), means)


def summarise_bootstrap(mean: float, samples: NDArray[np.float64]) -> PairedDifference:
    """A difference with its interval and p. samples: float [samples], the difference in each sample."""
    below = (np.count_nonzero(samples <= 0) + 1) / (samples.size + 1)
    above = (np.count_nonzero(samples >= 0) + 1) / (samples.size + 1)
    low, high = np.percentile(samples, [2.5, 97.5])
    return PairedDifference(
        mean=mean,
        low=float(low),
        high=float(high),
        p_value=float(min(1.0, 2 * min(below, above))),
    )


@dataclass(frozen=True)
class Cell:
    """A figure of a table over the runs of one model.

    mean: over runs, in [0, 1]. deviation: standard deviation of a run (n - 1), None for a single run.
    """

    mean: float
    deviation: float | None


def classify_difference(better_by: float, deviation: float | None) -> str:
    """BETTER or WORSE where a row is by more than `deviation`, else WITHIN; UNKNOWN where that is None."""
    if deviation is None:
        return UNKNOWN
    if abs(better_by) <= deviation:
        return WITHIN
    return BETTER if better_by > 0 else WORSE
