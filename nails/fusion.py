"""One score out of what the channels of a search measured, with its breakdown.

Every channel's raw measure is brought to [0, 1] by a fixed, rising map that knows nothing of the other hits,
so that a score means the same on every page and for every request:

design       cosine c of the fused vectors        1 / (1 + exp(-(c - 0.40) / 0.15))
description  BM25 score s >= 0                    s / (s + 6)
palette      CIEDE2000 difference d >= 0          1 / (1 + (d / 15)^2), falling in d
reference    cosine c of the align vectors        1 / (1 + exp(-(c - 0.75) / 0.15))

The constants were read off synthetic validation designs: the middle of a cosine lies between what matching
pairs and what others have (crops of any two nail photos are much alike, hence the higher one), the width is
their spread; 6 is the BM25 score of about one rare word. Colours weigh nearly as much as the fused vector by
default, since on those designs the two together found far more than either. A channel without input takes no
part, and the weights of the others are scaled to sum to 1. Contributions are cut to whole multiples of 2^-20:
their sums are exact in float32 and float64 and in any order, so that whoever adds up the terms gets the score
to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nails.palette import likeness

CHANNELS = ("design", "description", "palette", "reference")
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "design": 0.45,
    "description": 0.2,
    "palette": 0.35,
    "reference": 0.3,
}

DESIGN_MIDDLE, REFERENCE_MIDDLE, COSINE_WIDTH = 0.40, 0.75, 0.15
BM25_HALF = 6.0
_GRID = 2.0**20


@dataclass(frozen=True)
class Term:
    """One channel's part of a score; every number survives float32 unchanged.

    raw: as measured. normalised: in [0, 1], larger is better. weight: those of a score sum to 1.
    contribution: normalised * weight, cut to a multiple of 2^-20.
    """

    channel: str
    raw: float
    normalised: float
    weight: float
    contribution: float


def normalise(channel: str, raw: float) -> float:
    """A raw measure brought to [0, 1]; never falls as the match gets better.

    Raises ValueError for an unknown channel or a measure that is not finite.
    """
    if not math.isfinite(raw):
        raise ValueError(f"the raw measure of {channel} is not finite")
    if channel == "design":
        return _logistic((raw - DESIGN_MIDDLE) / COSINE_WIDTH)
    if channel == "reference":
        return _logistic((raw - REFERENCE_MIDDLE) / COSINE_WIDTH)
    if channel == "description":
        positive = max(0.0, raw)
        return positive / (positive + BM25_HALF)
    if channel == "palette":
        return likeness(max(0.0, raw))
    raise ValueError(f"unknown channel {channel!r}")


def channel_weights(weights: Mapping[str, float], available: Mapping[str, bool]) -> dict[str, float]:
    """Weights of the available channels, scaled to sum to 1 (all zero where none has a positive weight).

    Raises ValueError for an unknown channel and for weights that are negative or not finite.
    """
    for channel, weight in weights.items():
        if channel not in CHANNELS:
            raise ValueError(f"unknown channel {channel!r}")
        if not math.isfinite(weight) or weight < 0:
            raise ValueError(f"the weight of {channel} must be finite and not negative")
    kept = {name: float(weights.get(name, 0.0)) for name in CHANNELS if available.get(name, False)}
    largest = max(kept.values(), default=0.0)
    if largest <= 0:
        return dict.fromkeys(kept, 0.0)
    # Divided by the largest first: the sum of huge weights would overflow.
    scaled = {name: weight / largest for name, weight in kept.items()}
    total = sum(scaled.values())
    return {name: weight / total for name, weight in scaled.items()}


def fuse(
    raw: Mapping[str, float | None],
    weights: Mapping[str, float] | None = None,
    *,
    available: Mapping[str, bool] | None = None,
) -> tuple[float, list[Term]]:
    """The score of one hit in [0, 1] and its terms, in the order of CHANNELS.

    raw: what each channel measured for this hit; None where it measured nothing. available: the channels that
    the *request* has input for, where that differs: one of those with a raw of None contributes 0 but keeps
    its weight, so that hits of one search are weighed alike. Without it the channels with a raw take part.
    """
    weights = DEFAULT_WEIGHTS if weights is None else weights
    taking_part = {name: raw.get(name) is not None for name in CHANNELS} if available is None else available
    unknown = set(raw) - set(CHANNELS)
    if unknown:
        raise ValueError(f"unknown channel {sorted(unknown)[0]!r}")
    terms: list[Term] = []
    score = 0.0
    for channel, weight in channel_weights(weights, taking_part).items():
        measured = raw.get(channel)
        normalised = 0.0 if measured is None else normalise(channel, measured)
        contribution = math.floor(normalised * weight * _GRID) / _GRID
        score += contribution
        terms.append(
            Term(
                channel=channel,
                raw=float(np.float32(0.0 if measured is None else measured)),
                normalised=float(np.float32(normalised)),
                weight=float(np.float32(weight)),
                contribution=contribution,
            )
        )
    return score, terms


def _logistic(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(max(value, -700.0))
    return grown / (1.0 + grown)
