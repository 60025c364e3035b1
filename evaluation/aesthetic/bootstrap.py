"""Paired bootstrap over photos of differences in correlation, which every sample computes anew."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.aesthetic.metrics import Floats, Values, pearson, spearman
from evaluation.metrics import PairedDifference, summarise_bootstrap

MEASURES: Final = {"LCC": pearson, "SRCC": spearman}
_BLOCK = 128


def correlation_difference(
    measure: str, truth: Floats, ours: Floats, theirs: Floats, *, samples: int = 2_000, seed: int = 0
) -> PairedDifference:
    """How much better one model's correlation with the truth is than another's.

    measure: of MEASURES. truth: [n]; ours [R,n], theirs [S,n]: scores of the runs of both models; what is
    compared are the means over runs. A sample draws n photos with repetition, the same for all runs.
    """
    if ours.ndim != 2 or theirs.ndim != 2 or not ours.shape[1] == theirs.shape[1] == len(truth) > 1:
        raise ValueError("both models need scores of the same photos, two at least")
    lists = [_List(truth), *map(_List, ours), *map(_List, theirs)]
    count, generator = len(truth), np.random.default_rng(seed)
    found = np.empty(samples)
    for start in range(0, samples, _BLOCK):  # in blocks: bounded memory for many photos
        size = min(_BLOCK, samples - start)
        weights = generator.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        columns = [own.ranks(weights) if measure == "SRCC" else own.values for own in lists]
        each = np.stack([_weighted(weights, columns[0], column) for column in columns[1:]])
        found[start : start + size] = each[: len(ours)].mean(axis=0) - each[len(ours) :].mean(axis=0)
    compute = MEASURES[measure]
    means = [float(np.mean([compute(truth, run) for run in runs])) for runs in (ours, theirs)]
    return summarise_bootstrap(means[0] - means[1], found)


class _List:
    """Values [n] in their order, so that the ranks of a sample need no sorting."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values: Values = np.asarray(values, np.float64)
        unique, self._group = np.unique(self.values, return_inverse=True)
        self._order = np.argsort(self._group, kind="stable")
        self._starts = np.searchsorted(self._group[self._order], np.arange(len(unique)))

    def ranks(self, weights: Values) -> Values:
        """Average ranks [B,n] in samples that hold photo i weights[b,i] times."""
        of_group = np.add.reduceat(weights[:, self._order], self._starts, axis=1)
        shared = np.cumsum(of_group, axis=1) - (of_group - 1) / 2
        found: Values = shared[:, self._group]
        return found


def _weighted(weights: Values, first: Values, second: Values) -> Values:
    """Pearson's correlation in each sample, [B]; 0 where one side does not vary. sides: [n] or [B,n]."""
    total = weights.sum(axis=1)

    def centred(side: Values) -> Values:
        found: Values = side - ((weights * side).sum(axis=1) / total)[:, None]
        return found

    a, b = centred(first), centred(second)
    product = (weights * a * b).sum(axis=1)
    size = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
    found: Values = np.divide(product, size, out=np.zeros_like(product), where=size > 1e-12)
    return found
