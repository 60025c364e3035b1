"""Pairs of photos of one tag whose order by people is plain, and how many of them a model orders alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.aesthetic.metrics import Floats
from evaluation.aesthetic.rated import standard_errors

_Z: Final = 1.96
_LEAST: Final = 0.2
"""The gap that counts where votes say nothing of their spread."""


@dataclass(frozen=True)
class TagPairs:
    """Pairs of photos that share a tag, near-ties left out. better, worse: int [P], places of the photos.

    A pair of photos that share two tags is there twice. tags: how many have a pair; near_ties: pairs left
    out.
    """

    better: NDArray[np.int64] = field(repr=False)
    worse: NDArray[np.int64] = field(repr=False)
    tags: int
    near_ties: int

    def accuracy(self, predicted: Floats) -> float | None:
        """Share of pairs in people's order, equal scores counting half; None without a pair."""
        if not len(self.better):
            return None
        gap = np.asarray(predicted, np.float64)[self.better] - np.asarray(predicted, np.float64)[self.worse]
        return float(np.mean(0.5 * (np.sign(gap) + 1)))


def tag_pairs(truth: Floats, votes: NDArray[np.integer[Any]], tags: Sequence[Sequence[str]]) -> TagPairs:
    """The pairs of N photos. truth: mean votes [N]; votes: counts [N,10]; tags: names of each photo.

    Near-ties are pairs whose truths differ by less than 1.96 standard errors of their difference, as the
    votes say (0.2 where they are all alike, or one): people do not order them.
    """
    scores, errors = np.asarray(truth, np.float64), standard_errors(votes)
    places: dict[str, list[int]] = {}
    for place, names in enumerate(tags):
        for name in names:
            places.setdefault(name, []).append(place)
    better, worse, near, with_pairs = [], [], 0, 0
    for name in sorted(places):
        own = np.array(places[name], np.int64)
        first, second = (own[side] for side in np.triu_indices(len(own), 1))
        gap = scores[first] - scores[second]
        limit = _Z * np.hypot(errors[first], errors[second])
        plain = np.abs(gap) >= np.where(limit > 0, limit, _LEAST)
        near += int(np.count_nonzero(~plain))
        with_pairs += bool(plain.any())
        first, second, gap = first[plain], second[plain], gap[plain]
        better.append(np.where(gap > 0, first, second))
        worse.append(np.where(gap > 0, second, first))
    nothing = [np.zeros(0, np.int64)]
    return TagPairs(np.concatenate(better or nothing), np.concatenate(worse or nothing), with_pairs, near)
