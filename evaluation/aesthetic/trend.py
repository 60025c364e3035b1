"""Whether a score rises with a setting: the trend test of Jonckheere and Terpstra, with ties.

J is the sum of the Mann-Whitney counts over all pairs of a lower and a higher setting: pairs of scores that
rise, equal ones counting half. scipy has no such test with ties. Without a trend, J is half of the pairs on
average; its variance is that of Kendall's S over four, because 2J is S and the number of pairs together.
(Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, 6.2; Kendall, Rank Correlation
Methods, 4.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.aesthetic.metrics import Floats, spearman


@dataclass(frozen=True)
class Trend:
    """statistic: J. expected, deviation: of J without a trend. z: how far J lies above, in deviations.

    rising: P(as high a J without a trend); p_value: two-sided. Both by the normal approximation, without a
    correction for continuity. 1 each where all scores are equal.
    """

    statistic: float
    expected: float
    deviation: float
    z: float
    rising: float
    p_value: float


def jonckheere_terpstra(groups: Mapping[float, Floats]) -> Trend:
    """The trend of scores over settings. groups: by setting, its scores [n], n at least 1.

    Raises ValueError for fewer than two settings, an empty one, and scores that are not finite.
    """
    from scipy.stats import mannwhitneyu, norm

    if len(groups) < 2:
        raise ValueError("a trend needs two settings or more")
    settings, scores = flattened(groups)
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    by_setting = [np.asarray(groups[setting], np.float64) for setting in sorted(groups)]
    pairs = list(combinations(by_setting, 2))
    statistic = float(sum(mannwhitneyu(high, low, method="asymptotic").statistic for low, high in pairs))
    expected = sum(len(low) * len(high) for low, high in pairs) / 2
    deviation = math.sqrt(max(_variance(len(scores), _runs(settings), _runs(scores)) / 4, 0.0))
    if deviation == 0:
        return Trend(statistic, expected, 0.0, 0.0, 1.0, 1.0)
    z = (statistic - expected) / deviation
    return Trend(statistic, expected, deviation, z, float(norm.sf(z)), float(2 * norm.sf(abs(z))))


def spearman_overall(groups: Mapping[float, Floats]) -> float:
    """Spearman's correlation of setting and score over all scores."""
    return spearman(*flattened(groups))


def spearman_per_seed(scores: Mapping[float, Mapping[str, float]]) -> dict[str, float]:
    """Spearman's correlation of setting and score of every seed that all settings have, by its name.

    scores: by setting and seed. Raises ValueError for fewer than two settings.
    """
    if len(scores) < 2:
        raise ValueError("a trend needs two settings or more")
    settings = np.array(sorted(scores))
    names = set.intersection(*(set(own) for own in scores.values()))
    return {
        name: spearman(settings, np.array([scores[setting][name] for setting in settings.tolist()]))
        for name in sorted(names)
    }


def flattened(groups: Mapping[float, Floats]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Setting and score of every score, settings rising."""
    ordered = sorted(groups)
    if any(np.ndim(groups[setting]) != 1 or not np.size(groups[setting]) for setting in ordered):
        raise ValueError("every setting needs a list of scores")
    sizes = [np.size(groups[setting]) for setting in ordered]
    return np.repeat(np.array(ordered, np.float64), sizes), np.concatenate(
        [np.asarray(groups[setting], np.float64) for setting in ordered]
    )


def _runs(values: Floats) -> NDArray[np.float64]:
    """How many of a list are equal, f64 [different]."""
    counts: NDArray[Any] = np.unique(values, return_counts=True)[1]
    return counts.astype(np.float64)


def _variance(count: int, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Of Kendall's S without correlation. first, second: sizes of the ties of both lists."""
    n = float(count)
    if n < 2:
        return 0.0

    def third(t: NDArray[np.float64]) -> float:
        return float(np.sum(t * (t - 1) * (2 * t + 5)))

    def triples(t: NDArray[np.float64]) -> float:
        return float(np.sum(t * (t - 1) * (t - 2)))

    def doubles(t: NDArray[np.float64]) -> float:
        return float(np.sum(t * (t - 1)))

    found = (n * (n - 1) * (2 * n + 5) - third(first) - third(second)) / 18
    if n > 2:
        found += triples(first) * triples(second) / (9 * n * (n - 1) * (n - 2))
    return found + doubles(first) * doubles(second) / (2 * n * (n - 1))
