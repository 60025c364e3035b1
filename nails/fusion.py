"""One score out of what the channels of a search measured, with its breakdown.

Every channel's raw measure is brought to [0, 1] by a fixed, rising map that knows nothing of the other hits,
so that a score means the same on every page and for every request:

design       cosine c of the fused vectors        1 / (1 + exp(-(c - middle) / width))
description  BM25 score s >= 0                    s / (s + half)
palette      CIEDE2000 difference d >= 0          1 / (1 + (d / half)^2), falling in d
reference    cosine c of the align vectors        as design, with its own middle and width

The numbers of these maps (`Scale`) and the weights of the channels are below, in one place, with the command
that chose them. A channel without input takes no part, and the weights of the others are scaled to sum to 1.
Contributions are cut to whole multiples of 2^-20: their sums are exact in float32 and float64 and in any
order, so that whoever adds up the terms gets the score to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

CHANNELS = ("design", "description", "palette", "reference")


@dataclass(frozen=True)
class Scale:
    """Numbers of the maps; all but the middles positive.

    design_middle, reference_middle: the cosine that counts half, between what matching pairs and what others
    have (crops of any two nail photos are much alike, hence the higher one). design_width, reference_width:
    their spread. bm25_half: the BM25 score that counts half, that of several rare words. palette_half: the
    CIEDE2000 difference that counts half, a shade.
    """

    design_middle: float = 0.75
    design_width: float = 0.15
    reference_middle: float = 0.75
    reference_width: float = 0.15
    bm25_half: float = 24.0
    palette_half: float = 20.0


# Chosen by `lunula eval channels --data BENCH` (docs/search.md) on the 400 validation photos of
# `lunula data synth --kind designs --splits train=8625,val=400,test=1600 --seed 41 --size 512`, half of them
# described, in 800 askings. MRR 51.5 -> 52.6 % on requests that had no part in the choice (95 % of bootstraps
# +0.2 to +2.0), with the models trained on that folder. To be chosen again with every new set of models. The
# reference's numbers: by hand.
DEFAULT_SCALE = Scale()
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "design": 0.7,
    "description": 0.05,
    "palette": 0.25,
    "reference": 0.3,
}

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


def normalise(channel: str, raw: float, scale: Scale = DEFAULT_SCALE) -> float:
    """A raw measure brought to [0, 1]; never falls as the match gets better.

    Raises ValueError for an unknown channel or a measure that is not finite.
    """
    if not math.isfinite(raw):
        raise ValueError(f"the raw measure of {channel} is not finite")
    if channel == "design":
        return _logistic((raw - scale.design_middle) / scale.design_width)
    if channel == "reference":
        return _logistic((raw - scale.reference_middle) / scale.reference_width)
    if channel == "description":
        positive = max(0.0, raw)
        return positive / (positive + scale.bm25_half)
    if channel == "palette":
        return 1.0 / (1.0 + (max(0.0, raw) / scale.palette_half) ** 2)
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


def score_of(raw: Mapping[str, float | None], shares: Mapping[str, float]) -> float:
    """The score of one hit in [0, 1], to the bit the one that `fuse` gives.

    shares: of `channel_weights`, computed once for all hits of a search, times the `part` of `fuse`.
    """
    return sum(_contribution(channel, raw.get(channel), share)[1] for channel, share in shares.items())


def fuse(
    raw: Mapping[str, float | None],
    weights: Mapping[str, float] | None = None,
    *,
    available: Mapping[str, bool] | None = None,
    part: float = 1.0,
) -> tuple[float, list[Term]]:
    """The score of one hit in [0, part] and its terms, in the order of CHANNELS.

    raw: what each channel measured for this hit; None where it measured nothing. available: the channels that
    the *request* has input for, where that differs: one of those with a raw of None contributes 0 but keeps
    its weight, so that hits of one search are weighed alike. Without it the channels with a raw take part.
    part: what the weights of these channels sum to where beauty has the rest (nails.aesthetic.rerank).
    """
    weights = DEFAULT_WEIGHTS if weights is None else weights
    taking_part = {name: raw.get(name) is not None for name in CHANNELS} if available is None else available
    unknown = set(raw) - set(CHANNELS)
    if unknown:
        raise ValueError(f"unknown channel {sorted(unknown)[0]!r}")
    terms: list[Term] = []
    score = 0.0
    for channel, share in channel_weights(weights, taking_part).items():
        weight = part * share
        measured = raw.get(channel)
        normalised, contribution = _contribution(channel, measured, weight)
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


def _contribution(channel: str, measured: float | None, share: float) -> tuple[float, float]:
    """(normalised, contribution) of a channel's measure."""
    normalised = 0.0 if measured is None else normalise(channel, measured)
    return normalised, cut(normalised * share)


def cut(value: float) -> float:
    """The largest multiple of 2^-20 that is not above `value`."""
    return math.floor(value * _GRID) / _GRID


def _logistic(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(max(value, -700.0))
    return grown / (1.0 + grown)
