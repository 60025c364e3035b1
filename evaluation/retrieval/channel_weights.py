"""Choosing how the channels of a search are weighed, offline, from what the channels measured.

Every search is kept with the raw measures of all its hits. Scores of other weights and other maps
(`Scale`) then follow without searching again, so that thousands of settings can be compared.
The best has the highest mean reciprocal rank of the first target; among equals the highest hit@10; among
those the one nearest to where the search began, because a flat top gives no reason for another.

What is reported is measured on requests that had no part in the choice: those of one half with what was
chosen on the other, both ways. What is recommended is chosen on all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nails.fusion import Falling, Logistic, Map, Saturating

TUNED: Final = ("design", "description", "palette")
"""Requests of the benchmark have no reference; its weight and its map stay as they are."""
DEPTH: Final = 10

_WEIGHT_STEPS = 20
_STEPS: Final[Mapping[str, tuple[float, ...]]] = {
    "design_middle": tuple(round(0.05 * step, 2) for step in range(-2, 19)),
    "design_width": (0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4),
    "bm25_half": (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0),
    "palette_half": (5.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0),
}
_ROUNDS = 6
_EQUAL = 4  # digits to which two figures are the same
_NOTHING = -1.0  # below every score

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MeasuredSearch:
    """A search for a request, with its palette or without, and the measures of its hits.

    request: its id; kind: for example "with palette". ids: of the hits, rising. raw: by channel that the
    request had input for, [hits]. target: whether a hit satisfies the request, bool [hits].
    """

    request: str
    kind: str
    lang: str
    ids: tuple[str, ...]
    raw: Mapping[str, Values]
    target: NDArray[np.bool_]


@dataclass(frozen=True)
class Scale:
    """Numbers of the channels' maps (nails.fusion); all but the middles positive."""

    design_middle: float = 0.75
    design_width: float = 0.15
    reference_middle: float = 0.75
    reference_width: float = 0.15
    bm25_half: float = 24.0
    palette_half: float = 20.0

    def maps(self) -> dict[str, Map]:
        """The map of each channel."""
        return {
            "design": Logistic(self.design_middle, self.design_width),
            "description": Saturating(self.bm25_half),
            "palette": Falling(self.palette_half),
            "reference": Logistic(self.reference_middle, self.reference_width),
        }


@dataclass(frozen=True)
class Setting:
    """Weights of the channels, and the maps that bring their searches to [0, 1]."""

    weights: Mapping[str, float]
    scale: Scale


PRESENT: Final = Setting({"design": 0.7, "description": 0.05, "palette": 0.25, "reference": 0.3}, Scale())
"""What RankService has (services/rank/search/channels); a test holds the two together."""
CHANNELS: Final = tuple(PRESENT.weights)


@dataclass(frozen=True)
class Figures:
    """Figures of some searches. mrr, hit: mean reciprocal rank and share of ranks up to 10, in [0, 1]."""

    searches: int
    mrr: float
    hit: float


class MeasuredSearches:
    """Measured searches side by side, ready to be scored by any setting."""

    def __init__(self, searches: Sequence[MeasuredSearch]) -> None:
        """searches: at least one; those without hits count as never found."""
        self.all = tuple(searches)
        filled = [search for search in self.all if len(search.ids)]
        if not filled:
            raise ValueError("no request has a hit")
        self._filled = np.array([bool(len(search.ids)) for search in self.all])
        lengths = np.array([len(search.ids) for search in filled])
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self._owner = np.repeat(np.arange(len(filled)), lengths)
        self._target = np.concatenate([search.target for search in filled])
        self._found = np.array([search.target.any() for search in filled])
        self._available = {
            channel: np.array([channel in search.raw for search in filled]) for channel in CHANNELS
        }
        self._raw = {
            channel: np.concatenate([search.raw.get(channel, np.zeros(len(search.ids))) for search in filled])
            for channel in CHANNELS
        }
        self._mapped: dict[tuple[str, Scale], Values] = {}

    def ranks(self, setting: Setting) -> Values:
        """Rank of the first target of each search, 1 is best, infinite where none is among the hits."""
        scores = self._scores(setting)
        best = np.maximum.reduceat(np.where(self._target, scores, _NOTHING), self._starts)[self._owner]
        at_best = self._target & (scores == best)
        # Among equal scores the services go by the id, in whose order the hits are kept.
        place = np.arange(len(scores))
        first = np.minimum.reduceat(np.where(at_best, place, len(scores)), self._starts)[self._owner]
        before = ~self._target & ((scores > best) | ((scores == best) & (place < first)))
        ranks = np.full(len(self.all), np.inf)
        counted = 1.0 + np.add.reduceat(before.astype(np.float64), self._starts)
        ranks[self._filled] = np.where(self._found, counted, np.inf)
        return ranks

    def figures(self, setting: Setting, chosen: NDArray[np.bool_] | None = None) -> Figures:
        """Of the chosen searches, bool [searches], or of all."""
        ranks = self.ranks(setting)
        return summarise_ranks(ranks if chosen is None else ranks[chosen])

    def half(self) -> NDArray[np.bool_]:
        """Which searches are of the first half of the requests; all searches of a request are together."""
        digests = [hashlib.sha256(search.request.encode()).digest()[0] for search in self.all]
        return np.array([digest % 2 == 0 for digest in digests])

    def subset(self, chosen: NDArray[np.bool_]) -> MeasuredSearches:
        """Those that are chosen, bool [searches]."""
        return MeasuredSearches([search for search, kept in zip(self.all, chosen, strict=True) if kept])

    def _scores(self, setting: Setting) -> Values:
        """Scores of all hits to six digits, as the services order them."""
        total = np.zeros(len(self._starts))
        for channel in CHANNELS:
            total += setting.weights.get(channel, 0.0) * self._available[channel]
        scores = np.zeros(len(self._owner))
        for channel in CHANNELS:
            weight = setting.weights.get(channel, 0.0)
            if weight > 0 and self._available[channel].any():
                share = weight * self._available[channel] / np.maximum(total, 1e-12)
                scores += share[self._owner] * self._normalised(channel, setting.scale)
        return np.round(scores, 6)

    def _normalised(self, channel: str, scale: Scale) -> Values:
        """The maps of nails.fusion for all hits at once."""
        key = (channel, _relevant(channel, scale))
        if key not in self._mapped:
            if len(self._mapped) > 64:
                self._mapped.clear()
            self._mapped[key] = _normalised(channel, self._raw[channel], scale)
        return self._mapped[key]


def summarise_ranks(ranks: Values) -> Figures:
    """Figures of ranks [n]; an infinite one counts as never found."""
    return Figures(len(ranks), float(np.mean(1.0 / ranks)), float(np.mean(ranks <= DEPTH)))


def choose(
    searches: MeasuredSearches, *, start: Setting = PRESENT, on_step: Callable[[], None] = lambda: None
) -> Setting:
    """The best setting for these searches.

    All weights in steps of a twentieth, then each number of the maps by itself, and again until nothing
    changes. `steps` tells how often `on_step` is called at most.
    """
    best, worth = start, _worth(searches, start)
    for _ in range(_ROUNDS):
        before = best
        for weights in _weights(start.weights):
            best, worth = _better(searches, replace(best, weights=weights), best, worth)
            on_step()
        for name, values in _STEPS.items():
            present = getattr(best.scale, name)
            for value in sorted(values, key=partial(_distance, present)):
                tried = replace(best, scale=replace(best.scale, **{name: value}))
                best, worth = _better(searches, tried, best, worth)
                on_step()
        if best == before:
            break
    return best


def steps() -> int:
    """The largest number of settings that `choose` tries."""
    count = sum(1 for _ in _weights(PRESENT.weights)) + sum(len(values) for values in _STEPS.values())
    return _ROUNDS * count


def out_of_fold(
    searches: MeasuredSearches, *, start: Setting = PRESENT, on_step: Callable[[], None] = lambda: None
) -> tuple[tuple[Setting, Setting], Values]:
    """What each half of the requests chooses, and the ranks [searches] under the choice of the other half."""
    first = searches.half()
    if first.all() or not first.any():
        raise ValueError("too few requests to be halved")
    ranks = np.empty(len(searches.all))
    chosen = []
    for fold in (first, ~first):
        setting = choose(searches.subset(fold), start=start, on_step=on_step)
        chosen.append(setting)
        ranks[~fold] = searches.subset(~fold).ranks(setting)
    return (chosen[0], chosen[1]), ranks


def only(setting: Setting, *channels: str) -> Setting:
    """The same with no other channels than these."""
    return replace(
        setting,
        weights={name: weight if name in channels else 0.0 for name, weight in setting.weights.items()},
    )


def _worth(searches: MeasuredSearches, setting: Setting) -> tuple[float, float]:
    found = searches.figures(setting)
    return round(found.mrr, _EQUAL), round(found.hit, _EQUAL)


def _better(
    searches: MeasuredSearches, tried: Setting, best: Setting, worth: tuple[float, float]
) -> tuple[Setting, tuple[float, float]]:
    found = _worth(searches, tried)
    return (tried, found) if found > worth else (best, worth)


def _weights(present: Mapping[str, float]) -> list[dict[str, float]]:
    """All weights of the tuned channels that sum to 1 in steps of a twentieth, those near `present` first."""
    found = [
        {
            **present,
            "design": a / _WEIGHT_STEPS,
            "description": b / _WEIGHT_STEPS,
            "palette": c / _WEIGHT_STEPS,
        }
        for a, b, c in product(range(1, _WEIGHT_STEPS + 1), range(_WEIGHT_STEPS), range(_WEIGHT_STEPS))
        if a + b + c == _WEIGHT_STEPS
    ]
    return sorted(found, key=lambda one: sum(abs(one[name] - present.get(name, 0.0)) for name in TUNED))


def _distance(present: float, value: float) -> float:
    return abs(value - present)


def _relevant(channel: str, scale: Scale) -> Scale:
    """The scale with the other channels' numbers at their defaults: equal maps are known as such."""
    names = {
        "design": ("design_middle", "design_width"),
        "reference": ("reference_middle", "reference_width"),
        "description": ("bm25_half",),
        "palette": ("palette_half",),
    }[channel]
    return replace(Scale(), **{name: getattr(scale, name) for name in names})


def _normalised(channel: str, raw: Values, scale: Scale) -> Values:
    if channel in ("design", "reference"):
        middle, width = getattr(scale, f"{channel}_middle"), getattr(scale, f"{channel}_width")
        mapped: Values = 1.0 / (1.0 + np.exp(-np.clip((raw - middle) / width, -700.0, 700.0)))
        return mapped
    positive = np.maximum(raw, 0.0)
    if channel == "description":
        return positive / (positive + scale.bm25_half)
    return 1.0 / (1.0 + np.square(positive / scale.palette_half))
