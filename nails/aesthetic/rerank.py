"""Relevance first, beauty second: the rule by which an aesthetic score moves designs within a list of hits.

A hit has a relevance r in [0, 1], its score by what it means (nails.fusion), and a beauty b in [0, 1]. With
the weight w in [0, 1/2] of a request its score becomes

    score = (1 - w) * r + w * b      for a design that is scored and relevant
    score = (1 - w) * r              for any other

*Relevant* is a design whose r is at least half (RELEVANT) of the best hit's; one below is *irrelevant* to
the request. Scored are the relevant designs among the first `head` of the list by r. A design that nobody
could score (its photo's tokens are not stored) has the beauty NEUTRAL, that of a photo in the middle: it
gains as much as a photo of which half the others are more beautiful, and so lack of a measurement neither
lifts nor sinks it.

The guard. (1) No design passes another that is more relevant by more than w / (1 - w): beauty adds between
0 and w. (2) No irrelevant design passes a relevant one, whatever w and whatever their beauties: it gets no
beauty, and without it stays below the relevant one's (1 - w) * r. (3) Nothing from beyond the head passes
anything of the head, for the same reason. w = 0 leaves the list as it was.

All parts of a score are multiples of 2^-20, as in nails.fusion, so that the guard holds to the bit and the
terms add up to the score. Lists are told apart to six digits and then go by the id.
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
"""Beauty never weighs more than all that makes a design fit."""
# Chosen by `lunula eval rerank --data DIR --split val` (docs/aesthetics.md); again with other models.
DEFAULT_WEIGHT = 0.05
DEFAULT_HEAD = 200
MAX_HEAD = 1000
RELEVANT = 0.5
NEUTRAL = 0.5
LOWEST, HIGHEST = 1.0, 10.0  # of scores


class Standing(Enum):
    """How a design stands to beauty. The value says it for people; empty where there is nothing to say."""

    SCORED = ""
    NOT_SCORED = "not scored: its image tokens are not stored; counts as a photo in the middle"
    IRRELEVANT = "fits less than half as well as the best hit: beauty does not count"
    BEYOND = "beyond the designs that are scored: beauty does not count"


@dataclass(frozen=True)
class BeautyMap:
    """A score from 1 to 10 as a beauty in [0, 1]: 1 / (1 + exp(-(score - middle) / width)).

    Fitted such that a beauty is about the share of the validation photos that score lower. middle: the score
    that counts half. width > 0. Raises ValueError for numbers that are not finite or no width.
    """

    middle: float
    width: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.middle) and math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"middle {self.middle} and width {self.width} make no beauty map")

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> BeautyMap:
        """From the parameters `middle` and `width` of the model. Raises ValueError where one is no number."""
        read = []
        for name in ("middle", "width"):
            try:
                read.append(float(parameters[name]))
            except (KeyError, ValueError):
                raise ValueError(f"{name} is {parameters.get(name)!r}, not a number") from None
        return cls(*read)

    def __call__(self, score: float) -> float:
        """The beauty of a score; rises with it. Raises ValueError for a score that is not finite."""
        if not math.isfinite(score):
            raise ValueError("the score is not finite")
        return float(1.0 / (1.0 + np.exp(-np.clip((score - self.middle) / self.width, -700.0, 700.0))))


@dataclass(frozen=True)
class Placed:
    """A design in the new order.

    index: of the design in what was given. relevance: its part (1 - w) * r. beauty: what counts for it, 0
    where none does. contribution: w * beauty, cut. score: their exact sum.
    """

    index: int
    relevance: float
    beauty: float
    contribution: float
    score: float
    standing: Standing


def relevance_part(relevance: float, weight: float) -> float:
    """(1 - weight) * relevance, cut to a multiple of 2^-20; for relevances that were fused with no weight."""
    return cut((1.0 - weight) * relevance)


def check_weight(weight: float) -> float:
    """The weight. Raises ValueError unless it is a number in [0, MAX_WEIGHT]."""
    if not 0.0 <= weight <= MAX_WEIGHT:  # NaN is neither
        raise ValueError(f"the weight of beauty is {weight}, not in [0, {MAX_WEIGHT}]")
    return weight


def order(parts: Sequence[float], names: Sequence[str]) -> list[int]:
    """Indexes by relevance, best first: by six digits, then by the name."""
    return sorted(range(len(parts)), key=lambda index: (-round(parts[index], 6), names[index]))


def in_play(parts: Sequence[float], names: Sequence[str], *, head: int) -> list[int]:
    """Indexes of the designs whose beauty counts: the relevant ones among the first `head`, best first."""
    first = order(parts, names)[:head]
    least = RELEVANT * max(parts, default=0.0)
    return [index for index in first if parts[index] >= least]


def rerank(
    parts: Sequence[float],
    names: Sequence[str],
    beauties: Mapping[int, float],
    *,
    weight: float,
    head: int = DEFAULT_HEAD,
) -> list[Placed]:
    """All designs in the order of their new scores, equal ones by their names.

    parts: (1 - weight) * r of each, multiples of 2^-20. names: their ids. beauties: in [0, 1], by index, of
    those that were scored; of others that are in play, NEUTRAL counts. Raises ValueError for a weight or a
    beauty that is out of range.
    """
    check_weight(weight)
    by_relevance = order(parts, names)
    counts = set(in_play(parts, names, head=head))
    placed = []
    for rank, index in enumerate(by_relevance):
        beauty, standing = 0.0, Standing.IRRELEVANT if rank < head else Standing.BEYOND
        if index in counts:
            beauty = beauties.get(index, NEUTRAL)
            standing = Standing.SCORED if index in beauties else Standing.NOT_SCORED
        if not 0.0 <= beauty <= 1.0:
            raise ValueError(f"the beauty of {names[index]} is {beauty}, not in [0, 1]")
        contribution = cut(weight * beauty)
        placed.append(
            Placed(index, parts[index], beauty, contribution, parts[index] + contribution, standing)
        )
    if weight == 0.0:
        return placed
    # Among equals those whose beauty counts come first: a tie must not undo the guard.
    return sorted(placed, key=lambda one: (-round(one.score, 6), one.index not in counts, names[one.index]))


def term(placed: Placed, score: float | None, weight: float) -> Term:
    """The breakdown's term. score: from 1 to 10; None where the design has none, told as a raw of 0."""
    return Term(
        channel=AESTHETIC,
        raw=float(np.float32(0.0 if score is None else score)),
        normalised=float(np.float32(placed.beauty)),
        weight=float(np.float32(weight)),
        contribution=placed.contribution,
    )
