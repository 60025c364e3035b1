"""Relevance first, aesthetic quality second: how aesthetic scores move designs within a list of hits.

A hit has a relevance r in [0, 1], its score by what it means (nails.fusion), and a normalised aesthetic score
a in [0, 1]. With the weight w in [0, 1/2] of a request its score becomes

    score = (1 - w) * r + w * a      for a design that is eligible
    score = (1 - w) * r              for any other

*Relevant* is a design whose r is at least half (RELEVANT) of the best hit's. *Eligible* are the relevant
designs among the first `head` of the list by r. An eligible design that could not be scored (the image tokens
of its photo are not stored) gets NEUTRAL, the median: a missing measurement neither lifts nor lowers it.

The guard. (1) No design passes another that is more relevant by more than w / (1 - w): the aesthetic score
adds between 0 and w. (2) No irrelevant design passes a relevant one, whatever w and whatever their aesthetic
scores: it gets nothing, and without that stays below the relevant one's (1 - w) * r. (3) Nothing from beyond
the head passes anything of the head, for the same reason. w = 0 leaves the list as it was.

All parts of a score are multiples of 2^-20, as in nails.fusion, so that the guard holds to the bit and the
terms add up to the score. Scores are compared to six digits, and equal ones ordered by the id.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from nails.fusion import Term, cut

AESTHETIC = "aesthetic"
MAX_WEIGHT = 0.5
"""The aesthetic score never weighs more than all that makes a design fit."""
# Chosen by `lunula eval rerank --data DIR --split val` (docs/aesthetics.md); again with other models.
DEFAULT_WEIGHT = 0.05
DEFAULT_HEAD = 200
MAX_HEAD = 1000
RELEVANT = 0.5
NEUTRAL = 0.5
LOWEST, HIGHEST = 1.0, 10.0  # of aesthetic scores


class RerankStatus(Enum):
    """Whether the aesthetic score of a design counts. The value says why not; empty where it does."""

    SCORED = ""
    NOT_SCORED = "not scored: its image tokens are not stored; counts as a photo in the middle"
    IRRELEVANT = "less than half as relevant as the best hit: the aesthetic score does not count"
    BEYOND_HEAD = "beyond the head of the list: the aesthetic score does not count"


@dataclass(frozen=True)
class ScoreMap:
    """An aesthetic score from 1 to 10 normalised to [0, 1]: 1 / (1 + exp(-(score - middle) / width)).

    Fitted such that the result is about the share of the validation photos that score lower. middle: the
    score that counts half. width > 0. Raises ValueError for numbers that are not finite or no width.
    """

    middle: float
    width: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.middle) and math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"middle {self.middle} and width {self.width} do not map scores")

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> ScoreMap:
        """From the parameters `middle` and `width` of the model. Raises ValueError where one is no number."""
        numbers = []
        for name in ("middle", "width"):
            try:
                numbers.append(float(parameters[name]))
            except (KeyError, ValueError):
                raise ValueError(f"{name} is {parameters.get(name)!r}, not a number") from None
        return cls(*numbers)

    def __call__(self, score: float) -> float:
        """Rises with the score. Raises ValueError for a score that is not finite."""
        if not math.isfinite(score):
            raise ValueError("the score is not finite")
        return float(1.0 / (1.0 + np.exp(-np.clip((score - self.middle) / self.width, -700.0, 700.0))))


@dataclass(frozen=True)
class Reranked:
    """A design in the new order.

    index: of the design in what was given. relevance: its part (1 - w) * r. normalised: the aesthetic score
    that counts, 0 where none does. contribution: w * normalised, cut. score: their exact sum.
    """

    index: int
    relevance: float
    normalised: float
    contribution: float
    score: float
    status: RerankStatus


def relevance_part(relevance: float, weight: float) -> float:
    """(1 - weight) * relevance, cut to a multiple of 2^-20; for relevances that were fused with no weight."""
    return cut((1.0 - weight) * relevance)


def check_weight(weight: float) -> float:
    """The weight. Raises ValueError unless it is a number in [0, MAX_WEIGHT]."""
    if not 0.0 <= weight <= MAX_WEIGHT:  # NaN is neither
        raise ValueError(f"the aesthetic weight is {weight}, not in [0, {MAX_WEIGHT}]")
    return weight


def rank(scores: Sequence[float], names: Sequence[str]) -> list[int]:
    """Indexes by score, best first: by six digits, then by the name.

    A model may give the same request a vector that differs in the seventh digit, and pages must not differ.
    """
    return sorted(range(len(scores)), key=lambda index: (-round(scores[index], 6), names[index]))


def eligible(relevances: Sequence[float], names: Sequence[str], *, head: int) -> list[int]:
    """Indexes of the designs whose aesthetic score counts, best first: the relevant ones of the head."""
    first = rank(relevances, names)[:head]
    least = RELEVANT * max(relevances, default=0.0)
    return [index for index in first if relevances[index] >= least]


def rerank(
    relevances: Sequence[float],
    names: Sequence[str],
    normalised: Mapping[int, float],
    *,
    weight: float,
    head: int = DEFAULT_HEAD,
) -> list[Reranked]:
    """All designs in the order of their new scores, equal ones by their names.

    relevances: (1 - weight) * r of each, multiples of 2^-20. names: their ids. normalised: aesthetic scores
    in [0, 1] by index, of those that were scored; of others that are eligible, NEUTRAL counts. Raises
    ValueError for a weight or a normalised score that is out of range.
    """
    check_weight(weight)
    counts = set(eligible(relevances, names, head=head))
    placed = []
    for place, index in enumerate(rank(relevances, names)):
        value, status = 0.0, RerankStatus.IRRELEVANT if place < head else RerankStatus.BEYOND_HEAD
        if index in counts:
            value = normalised.get(index, NEUTRAL)
            status = RerankStatus.SCORED if index in normalised else RerankStatus.NOT_SCORED
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"the normalised score of {names[index]} is {value}, not in [0, 1]")
        contribution = cut(weight * value)
        placed.append(
            Reranked(index, relevances[index], value, contribution, relevances[index] + contribution, status)
        )
    if weight == 0.0:
        return placed
    # Among equals the eligible ones come first: a tie must not undo the guard.
    return sorted(placed, key=lambda one: (-round(one.score, 6), one.index not in counts, names[one.index]))


def aesthetic_term(reranked: Reranked, score: float | None, weight: float) -> Term:
    """The breakdown's term. score: from 1 to 10; None where there is none, shown as a raw of 0."""
    return Term(
        channel=AESTHETIC,
        raw=float(np.float32(0.0 if score is None else score)),
        normalised=float(np.float32(reranked.normalised)),
        weight=float(np.float32(weight)),
        contribution=reranked.contribution,
    )
