"""One score out of what the channels of a search measured, with its breakdown.

Every channel's raw measure is brought to [0, 1] by a fixed, monotone map that knows nothing of the other
hits, so that a score means the same on every page and for every request:

Logistic(middle, width)   cosines c                1 / (1 + exp(-(c - middle) / width))
Saturating(half)          BM25 scores s >= 0       s / (s + half)
Falling(half)             differences d >= 0       1 / (1 + (d / half)^2)

A channel without input takes no part, and the weights of the others are scaled to sum to 1. Contributions are
cut to whole multiples of 2^-20: their sums are exact in float32 and float64 and in any order, so that whoever
adds up the terms gets the score to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_GRID = 2.0**20

Measures = Mapping[str, float | None]
"""What each channel measured of one design, by channel; None where it could not."""


class Map(Protocol):
    """Brings a raw measure to [0, 1]; never falls as the match gets better."""

    def __call__(self, raw: float, /) -> float:
        """Raises ValueError for a measure that is not finite."""
        ...


@dataclass(frozen=True)
class Logistic:
    """Map of cosines. middle: the cosine that is mapped to 0.5. width > 0: scale of the differences to it."""

    middle: float
    width: float

    def __call__(self, raw: float, /) -> float:
        """Rises."""
        value = (_finite(raw) - self.middle) / self.width
        if value >= 0:
            return 1.0 / (1.0 + math.exp(-value))
        grown = math.exp(max(value, -700.0))
        return grown / (1.0 + grown)


@dataclass(frozen=True)
class Saturating:
    """Map of scores without an upper bound. half > 0: the score that is mapped to 0.5."""

    half: float

    def __call__(self, raw: float, /) -> float:
        """Rises; 0 for scores below 0."""
        positive = max(0.0, _finite(raw))
        return positive / (positive + self.half)


@dataclass(frozen=True)
class Falling:
    """Map of differences. half > 0: the difference that is mapped to 0.5."""

    half: float

    def __call__(self, raw: float, /) -> float:
        """Falls; 1 for differences of 0 and below."""
        return 1.0 / (1.0 + (max(0.0, _finite(raw)) / self.half) ** 2)


Maps = Mapping[str, Map]
"""The map of each channel, by channel."""


@dataclass(frozen=True)
class Term:
    """One channel's part of a score; every number survives float32 unchanged.

    raw: as measured, 0 where nothing was. normalised: in [0, 1], larger is better. weight: those of a score
    sum to 1. contribution: normalised * weight, cut to a multiple of 2^-20.
    """

    channel: str
    raw: float
    normalised: float
    weight: float
    contribution: float


def share_weights(weights: Mapping[str, float], available: Iterable[str]) -> dict[str, float]:
    """Weights of the available channels, in that order, scaled to sum to 1.

    All are zero where none is positive. Raises ValueError for weights that are negative or not finite.
    """
    for channel, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise ValueError(f"the weight of {channel} must be finite and not negative")
    kept = {channel: float(weights.get(channel, 0.0)) for channel in available}
    largest = max(kept.values(), default=0.0)
    if largest <= 0:
        return dict.fromkeys(kept, 0.0)
    # Divided by the largest first: the sum of huge weights would overflow.
    scaled = {channel: weight / largest for channel, weight in kept.items()}
    total = sum(scaled.values())
    return {channel: weight / total for channel, weight in scaled.items()}


def relevance(measures: Measures, shares: Mapping[str, float], maps: Maps) -> float:
    """The score of one hit in [0, 1], to the bit the one that `fuse` gives.

    shares: of `share_weights`, computed once for all hits of a search; times less than 1 where something else
    has a part of the score (nails.aesthetic.rerank).
    """
    return sum(_contribute(channel, measures, share, maps)[1] for channel, share in shares.items())


def fuse(measures: Measures, shares: Mapping[str, float], maps: Maps) -> tuple[float, list[Term]]:
    """The score of one hit, and a term for each channel of `shares`, in their order.

    A channel that measured nothing of this hit contributes 0 but keeps its weight, so that the hits of one
    search are weighed alike. Raises ValueError for a measure that is not finite, KeyError for a channel
    without a map.
    """
    terms: list[Term] = []
    score = 0.0
    for channel, share in shares.items():
        normalised, contribution = _contribute(channel, measures, share, maps)
        measured = measures.get(channel)
        score += contribution
        terms.append(
            Term(
                channel=channel,
                raw=float(np.float32(0.0 if measured is None else measured)),
                normalised=float(np.float32(normalised)),
                weight=float(np.float32(share)),
                contribution=contribution,
            )
        )
    return score, terms


def cut(value: float) -> float:
    """The largest multiple of 2^-20 that is not above `value`."""
    return math.floor(value * _GRID) / _GRID


def _contribute(channel: str, measures: Measures, share: float, maps: Maps) -> tuple[float, float]:
    """(normalised, contribution) of a channel's measure."""
    measured = measures.get(channel)
    normalised = 0.0 if measured is None else maps[channel](measured)
    return normalised, cut(normalised * share)


def _finite(raw: float) -> float:
    if not math.isfinite(raw):
        raise ValueError("the raw measure is not finite")
    return raw
