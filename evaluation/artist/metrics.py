"""Metrics of artist identification (paper A), with its formulas corrected.

Answers are places in a list of artists, -1 where a model has none (it had neither photo nor words): that
counts as a wrong answer. `truth` and `answers` are int [N], truth >= 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import PairedDifference, paired_bootstrap, summarise_bootstrap

Places = NDArray[np.int64]
BINS = 15


def best_artists(table: NDArray[np.floating[Any]]) -> Places:
    """The best artist of every row of a table [N,A], the first of equal ones; -1 for rows of zeros."""
    return np.where(table.any(axis=1), table.argmax(axis=1), -1).astype(np.int64)


def accuracy(truth: Places, answers: Places) -> float:
    """Share of right answers, T / N (eq. 1)."""
    return float(np.mean(_checked(truth, answers) == truth))


def micro_f1(truth: Places, answers: Places) -> float:
    """2PR / (P + R) of all answers to all artists together (eq. 2 with RE for its second PE).

    A work has one artist and one answer (none is an answer of its own), so that each wrong one is a false
    positive and a false negative, and P, R and their mean are all the accuracy.
    """
    from sklearn.metrics import f1_score

    return float(f1_score(truth, _checked(truth, answers), average="micro"))


def macro_f1(truth: Places, answers: Places) -> float:
    """(1/n) Σ 2·P_i·R_i / (P_i + R_i) over the n artists that have a work here, 0 where P_i + R_i = 0.

    Equation 3 of the paper, which leaves out 1/n.
    """
    from sklearn.metrics import f1_score

    _checked(truth, answers)
    return float(f1_score(truth, answers, labels=np.unique(truth), average="macro", zero_division=0))


def _macro(truth: Places, answers: Places, weights: NDArray[np.float64], artists: int) -> float:
    """`macro_f1` of weighted works, fast enough for the thousands of samples of a bootstrap."""
    own = np.bincount(truth, weights, artists)
    given = answers >= 0
    claimed = np.bincount(answers[given], weights[given], artists)
    right = truth == answers
    hits = np.bincount(truth[right], weights[right], artists)
    present = own > 0
    # 2PR / (P + R) with P = hits / claimed and R = hits / own; no hits: 0, as where P + R = 0.
    return float(np.mean(2 * hits[present] / (own[present] + claimed[present])))


def negative_log_likelihood(table: NDArray[np.floating[Any]], truth: Places, floor: float = 1e-12) -> float:
    """Mean of -ln p of the right artist, p at least `floor`."""
    return float(-np.log(np.maximum(table[np.arange(len(truth)), truth], floor)).mean())


@dataclass(frozen=True)
class Bin:
    """Works whose best artist has a probability in (low, high]. confidence, right: means, 0 for none."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


def reliability(table: NDArray[np.floating[Any]], truth: Places, bins: int = BINS) -> list[Bin]:
    """The reliability curve of probabilities [N,A]: works by that of their best artist."""
    answers = best_artists(table)
    return curve(np.asarray(table, np.float64).max(axis=1), _checked(truth, answers) == truth, bins)


def curve(confidence: NDArray[np.floating[Any]], right: NDArray[np.bool_], bins: int = BINS) -> list[Bin]:
    """Works by confidence, float [N] in [0, 1], in `bins` of equal width, with the share that is right.

    Unlike sklearn's calibration_curve, a bin holds its upper edge (as the calibration error is defined),
    says how many works it has, and is there when it has none.
    """
    if bins < 1:
        raise ValueError("at least one bin is needed")
    if confidence.shape != right.shape or confidence.ndim != 1 or not confidence.size:
        raise ValueError("every work needs a confidence and whether it is right")
    best = np.clip(np.asarray(confidence, np.float64), 0, 1)
    place = np.clip(np.ceil(best * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    sums = np.bincount(place, best, bins), np.bincount(place, right, bins)
    means, shares = (values / np.maximum(count, 1) for values in sums)
    return [
        Bin(index / bins, (index + 1) / bins, int(count[index]), float(means[index]), float(shares[index]))
        for index in range(bins)
    ]


def calibration_error(table: NDArray[np.floating[Any]], truth: Places, bins: int = BINS) -> float:
    """Expected calibration error: mean over works of |share right - mean probability| of their bin."""
    return curve_error(reliability(table, truth, bins))


def curve_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error of a reliability curve, in [0, 1]."""
    return sum(item.count * abs(item.right - item.confidence) for item in bins) / sum(
        item.count for item in bins
    )


def auroc(positive: NDArray[np.floating[Any]], negative: NDArray[np.floating[Any]]) -> float:
    """P(a positive's score is above a negative's), ties counting half, in [0, 1].

    Raises ValueError for an empty side or scores that are not finite.
    """
    if positive.ndim != 1 or negative.ndim != 1 or not positive.size or not negative.size:
        raise ValueError("both sides need scores")
    if not (np.isfinite(positive).all() and np.isfinite(negative).all()):
        raise ValueError("scores must be finite")
    from sklearn.metrics import roc_auc_score

    truth = np.repeat((1, 0), (positive.size, negative.size))
    return float(roc_auc_score(truth, np.concatenate([positive, negative])))


@dataclass(frozen=True)
class Transitions:
    """How answers change from the single models to their fusion: numbers of works.

    counts: int [2,2,2] by (image right, text right, fusion right), 0 for wrong and 1 for right.
    """

    counts: NDArray[np.int64]

    def step(self, modality: str) -> dict[str, int]:
        """The paper's table 4 for "image" or "text": "T → T", "F → F", "F → T", "T → F"."""
        table = self.counts.sum(axis={"image": 1, "text": 0}[modality])
        return {
            f"{a} → {b}": int(table["FT".index(a), "FT".index(b)])
            for a, b in (("T", "T"), ("F", "F"), ("F", "T"), ("T", "F"))
        }

    @property
    def works(self) -> int:
        """All works."""
        return int(self.counts.sum())

    @property
    def both_right(self) -> int:
        """Both single models are right."""
        return int(self.counts[1, 1].sum())

    @property
    def both_right_lost(self) -> int:
        """Of those, what the fusion gets wrong: 0 for every mean of the two."""
        return int(self.counts[1, 1, 0])

    @property
    def both_wrong(self) -> int:
        """Neither single model is right."""
        return int(self.counts[0, 0].sum())

    @property
    def rescued(self) -> int:
        """Of those, what the fusion gets right."""
        return int(self.counts[0, 0, 1])

    @property
    def lost(self) -> tuple[int, int]:
        """Wrong fusions where the image alone was right, and where the text alone was."""
        return int(self.counts[1, 0, 0]), int(self.counts[0, 1, 0])

    @property
    def oracle(self) -> float:
        """Share of works for which either single model is right: what choosing between them can reach."""
        return 1 - self.both_wrong / self.works


def transitions(image: NDArray[np.bool_], text: NDArray[np.bool_], fused: NDArray[np.bool_]) -> Transitions:
    """Counts of right and wrong answers, bool [N] each. Raises ValueError for other lengths, or none."""
    if not image.shape == text.shape == fused.shape or image.ndim != 1 or not image.size:
        raise ValueError("image, text and fusion need the same, non-empty list of works")
    codes = 4 * image.astype(np.int64) + 2 * text.astype(np.int64) + fused.astype(np.int64)
    return Transitions(np.bincount(codes, minlength=8).reshape(2, 2, 2).astype(np.int64))


def accuracy_difference(
    truth: Places, ours: Places, theirs: Places, *, samples: int = 2_000, seed: int = 0
) -> PairedDifference:
    """Paired bootstrap over works of the difference in accuracy."""
    _checked(truth, ours)
    _checked(truth, theirs)
    return paired_bootstrap(
        (ours == truth).astype(np.float64), (theirs == truth).astype(np.float64), samples=samples, seed=seed
    )


def macro_difference(
    truth: Places, ours: Places, theirs: Places, *, samples: int = 2_000, seed: int = 0
) -> PairedDifference:
    """Paired bootstrap over works of the difference in macro-F1, which each sample computes anew."""
    _checked(truth, ours)
    _checked(truth, theirs)
    artists = int(max(truth.max(), ours.max(), theirs.max())) + 1
    generator = np.random.default_rng(seed)
    found = np.empty(samples)
    for index in range(samples):
        picks = generator.integers(0, len(truth), len(truth))
        weights = np.bincount(picks, minlength=len(truth)).astype(np.float64)
        found[index] = _macro(truth, ours, weights, artists) - _macro(truth, theirs, weights, artists)
    return summarise_bootstrap(macro_f1(truth, ours) - macro_f1(truth, theirs), found)


def _checked(truth: Places, answers: Places) -> Places:
    if truth.shape != answers.shape or truth.ndim != 1 or not truth.size:
        raise ValueError("truth and answers must be non-empty vectors of one length")
    if int(truth.min()) < 0 or int(answers.min()) < -1:
        raise ValueError("truth must not be negative, answers not below -1")
    return answers
