"""Metrics of aesthetic scores (paper Q): errors, correlations, histograms of scores, distributions of votes.

Scores are 1 to 10, one a photo. `truth` is the mean of a photo's votes, f [N]; `predicted` is a model's
score, f [N]. KL and EMD of the paper compare how scores are spread over the whole test set, on bins of 0.25
over [1, 10]; the EMD of NIMA compares the votes of one photo with its predicted distribution. Correlations
and distances are scipy's (extra `evaluate`); what is computed here are the definitions of the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Values = NDArray[np.float64]

LOW: Final = 1.0
HIGH: Final = 10.0
BIN: Final = 0.25
BINS: Final = 36
EPSILON: Final = 1e-6
"""Added to every share of a histogram before the logarithm of KL; the shares then sum to 1 again."""


@dataclass(frozen=True)
class AbsoluteError:
    """Of all photos. mean: MAE; deviation, variance: of the errors |predicted - truth| (n in the divisor).

    The paper prints "±" for a variance in one row and for a standard deviation in another: here are both.
    """

    mean: float
    deviation: float
    variance: float


def absolute_error(truth: Floats, predicted: Floats) -> AbsoluteError:
    """MAE with its spread."""
    found = np.abs(np.subtract(*_paired(truth, predicted)))
    return AbsoluteError(float(found.mean()), float(found.std()), float(found.var()))


def constant_error(truth: Floats) -> float:
    """MAE of predicting the mean for every photo: the baseline that an MAE has to beat."""
    values = _vector(truth)
    return float(np.abs(values - values.mean()).mean())


def pearson(first: Floats, second: Floats) -> float:
    """LCC, Pearson's correlation, in [-1, 1]; 0 where one side does not vary."""
    from scipy.stats import pearsonr

    return _correlate(pearsonr, first, second)


def spearman(first: Floats, second: Floats) -> float:
    """SRCC, Pearson's correlation of the average ranks, in [-1, 1]; 0 where one side does not vary."""
    from scipy.stats import spearmanr

    return _correlate(spearmanr, first, second)


def kendall(first: Floats, second: Floats) -> float:
    """KRCC, Kendall's tau-b, in [-1, 1]; 0 where one side does not vary."""
    from scipy.stats import kendalltau

    return _correlate(kendalltau, first, second)


def _correlate(compute: Callable[[Values, Values], Any], first: Floats, second: Floats) -> float:
    a, b = _paired(first, second)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0  # scipy returns nan and warns
    return float(compute(a, b).statistic)


def average_ranks(values: Floats) -> Values:
    """Ranks from 1, equal values sharing the mean of theirs."""
    from scipy.stats import rankdata

    ranks: Values = rankdata(_vector(values))
    return ranks


def partial_correlation(first: Floats, second: Floats, given: Floats) -> float:
    """Pearson's correlation of what `given` leaves of both (by a straight line), in [-1, 1].

    0 where nothing is left of one of them.
    """
    ab, ac, bc = pearson(first, second), pearson(first, given), pearson(second, given)
    rest = (1 - ac * ac) * (1 - bc * bc)
    return 0.0 if rest < 1e-12 else float(np.clip((ab - ac * bc) / np.sqrt(rest), -1, 1))


def score_histogram(scores: Floats) -> Values:
    """Shares of photos by score, f64 [BINS], sum 1: bins of BIN from LOW to HIGH, scores beyond in the ends.

    A bin holds its lower edge.
    """
    counts, _ = np.histogram(np.clip(_vector(scores), LOW, HIGH), BINS, (LOW, HIGH))
    shares: Values = counts / counts.sum()
    return shares


def histogram_kl(truth: Floats, predicted: Floats) -> float:
    """KL(truth || predicted) of both histograms of scores, in nats, with EPSILON in every bin."""
    from scipy.stats import entropy

    p, q = (score_histogram(side) + EPSILON for side in _paired(truth, predicted))
    return float(entropy(p, q))


def histogram_emd(truth: Floats, predicted: Floats) -> float:
    """Mean over bins of |difference of the cumulated histograms|, in [0, 1]; times 9, a distance in score."""
    p, q = (score_histogram(side) for side in _paired(truth, predicted))
    return float(np.abs(np.cumsum(p - q)).mean())


def wasserstein(truth: Floats, predicted: Floats) -> float:
    """W1 of both lists of scores, in score units, without bins: how far scores lie apart, each in order."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(*_paired(truth, predicted)))


def distribution_emd(votes: Floats | NDArray[np.integer[Any]], predicted: Floats, r: int = 1) -> Values:
    """NIMA's EMD of each photo, f64 [N]: (mean over the 10 values of |CDF - CDF'|^r)^(1/r).

    votes: counts or shares, [N,10]; predicted: shares [N,10]. Both are scaled to sum 1.
    Raises ValueError for other shapes, negative numbers, rows that sum to 0 and r < 1.
    """
    if r < 1:
        raise ValueError("r is 1 or more")
    difference = np.cumsum(_shares(votes, "votes") - _shares(predicted, "predicted"), axis=1)
    found: Values = np.mean(np.abs(difference) ** r, axis=1) ** (1 / r)
    return found


def _shares(rows: NDArray[Any], name: str) -> Values:
    numbers = np.asarray(rows, np.float64)
    if numbers.ndim != 2 or numbers.shape[1] != 10 or not len(numbers):
        raise ValueError(f"{name}: not rows of ten numbers")
    sums = numbers.sum(axis=1, keepdims=True)
    if not np.isfinite(numbers).all() or (numbers < 0).any() or (sums <= 0).any():
        raise ValueError(f"{name}: shares are not negative, and some of a row are positive")
    shares: Values = numbers / sums
    return shares


def _paired(first: Floats, second: Floats) -> tuple[Values, Values]:
    a, b = _vector(first), _vector(second)
    if a.shape != b.shape:
        raise ValueError("both sides need the same photos")
    return a, b


def _vector(values: Floats) -> Values:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise ValueError("scores are a non-empty vector of finite numbers")
    return numbers
