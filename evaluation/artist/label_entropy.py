"""Entropy of artists given a combination of object labels (paper A, section 3.7).

The combination of a work is the *set* of labels that a detector found with a confidence of .2 or more; the
empty set is one too. P(LC, i) is the share of artist i among the works with combination LC, and
H(LC) = -Σ P(LC, i) ln P(LC, i). The artists of the works that are looked at are needed for it: it tells which
works are easy, and cannot be had when an artist is sought.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.2
THRESHOLDS: Final = (5.0, 4.0, 3.0, 2.0, 1.0)

Combination = frozenset[str]


def combination(labels: Mapping[str, float], confidence: float = CONFIDENCE) -> Combination:
    """The labels whose confidence is at least `confidence`."""
    return frozenset(label for label, value in labels.items() if value >= confidence)


def entropies(
    combinations: Sequence[Combination], artists: NDArray[np.int64], base: float = math.e
) -> NDArray[np.float64]:
    """H of each work's combination, f64 [N], >= 0; 0 exactly where all its works are of one artist.

    artists: int [N]. base: of the logarithm; the paper does not say which, and the natural one is ours.
    """
    if len(combinations) != len(artists):
        raise ValueError("every work needs a combination and an artist")
    if base <= 1:
        raise ValueError("the base of a logarithm must be above 1")
    from scipy.stats import entropy

    by_set = {}
    for labels, counts in _counts(combinations, artists).items():
        by_set[labels] = abs(float(entropy(list(counts.values()), base=base)))  # abs: no -0
    return np.array([by_set[labels] for labels in combinations])


def majority(
    trained: Iterable[Combination], artists: NDArray[np.int64], tested: Iterable[Combination]
) -> NDArray[np.int64]:
    """For each tested combination the artist with most works of it in the training part, int [N].

    Of equal ones the first; for a combination that was not trained, the artist with most works of all.
    """
    counts = _counts(list(trained), artists)
    most = int(np.bincount(artists).argmax())
    best = {labels: min(own, key=lambda artist: (-own[artist], artist)) for labels, own in counts.items()}
    return np.array([best.get(labels, most) for labels in tested], np.int64)


def below(entropy: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """H < threshold, strictly: the paper's text says 未満, its captions 以下."""
    return np.asarray(entropy < threshold, np.bool_)


def _counts(
    combinations: Sequence[Combination], artists: NDArray[np.int64]
) -> dict[Combination, dict[int, int]]:
    found: dict[Combination, dict[int, int]] = {}
    for labels, artist in zip(combinations, artists.tolist(), strict=True):
        own = found.setdefault(labels, {})
        own[artist] = own.get(artist, 0) + 1
    return found
