"""The candidate re-ranker: which of the likeliest artists of either modality it is (paper A (d)).

Candidates are the artists among the first five by the photo or by the text. Each gets features, a
linear score of them, and a softmax over the candidates of a work; the rest of the mass goes to all others in
the proportions of the log-linear pool.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import FLOOR, Pool, Table, is_missing, log_probabilities, softmax, temper

TOP: Final = 5
FEATURES: Final = (
    "log image",
    "log text",
    "log mean",
    "log pool",
    "rank image",
    "rank text",
    "first image",
    "first text",
    "first both",
    "margin image",
    "margin text",
    "entropy image",
    "entropy text",
    "agreement",
    "log prior",
    "neighbours image",
    "neighbours text",
    "characters",
    "no image",
    "no text",
    "log image × sure image",
    "log text × sure text",
    "log image × sure text",
    "log text × sure image",
    "log text × characters",
    "log image × neighbours",
    "log text × neighbours",
)
"""Names of the features of a candidate, in their order.

log: of the tempered probability; margin: to the best other artist, in logarithms, at most ±10; entropy: of
the row, in shares of ln A; sure: 1 - entropy; rank: ln of the place from 1; neighbours: the score of the
nearest training works; characters: ln(1 + length of the words) / 10; agreement, first, no: 0 or 1; ×
neighbours: the log of a modality times the neighbours' score of the same.
"""
_MARGIN = 10.0


@dataclass(frozen=True)
class Evidence:
    """The inputs for N works. Tables are f32 or f64 [N,A]; rows of zeros where a modality is missing.

    prior: f64 [A], shares of the training works. image_neighbours, text_neighbours: scores [N,A], None where
    there are none. characters: int [N], length of the words.
    """

    image: NDArray[np.floating[Any]]
    text: NDArray[np.floating[Any]]
    prior: NDArray[np.float64]
    characters: NDArray[np.integer[Any]]
    image_neighbours: NDArray[np.floating[Any]] | None = None
    text_neighbours: NDArray[np.floating[Any]] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for shapes that do not fit."""
        shape = self.image.shape
        tables = (self.text, self.image_neighbours, self.text_neighbours)
        if len(shape) != 2 or any(table is not None and table.shape != shape for table in tables):
            raise ValueError("tables of image, text and neighbours must be [N,A] of one shape")
        if self.prior.shape != shape[1:] or self.characters.shape != shape[:1]:
            raise ValueError("prior must be [A] and characters [N]")

    def __getitem__(self, rows: NDArray[Any] | slice) -> Evidence:
        """The evidence of some works."""
        near_image, near_text = self.image_neighbours, self.text_neighbours
        return Evidence(
            image=self.image[rows],
            text=self.text[rows],
            prior=self.prior,
            characters=self.characters[rows],
            image_neighbours=None if near_image is None else near_image[rows],
            text_neighbours=None if near_text is None else near_text[rows],
        )


def select_candidates(evidence: Evidence, top: int = TOP) -> NDArray[np.int64]:
    """Places of the candidates, each once, int [N, 2·top]; -1 where there are fewer."""
    both = []
    for table in (evidence.image, evidence.text):
        first = _first(table, top)
        first[is_missing(table)] = -1
        both.append(first)
    found = np.concatenate(both, axis=1)
    width = both[0].shape[1]
    twice = (found[:, width:, None] == found[:, None, :width]).any(axis=2)
    found[:, width:][twice] = -1
    return found


def compute_features(evidence: Evidence, places: NDArray[np.int64], pool: Pool) -> NDArray[np.float64]:
    """FEATURES of the candidates at `places` [N,C], f64 [N,C,F]; 0 where a place is -1.

    pool: whose temperatures bring both modalities to one scale.
    """
    rows = np.arange(len(places))[:, None]
    present = places >= 0
    columns = np.where(present, places, 0)
    image = _modality(evidence.image, pool.image_temperature, rows, columns)
    text = _modality(evidence.text, pool.text_temperature, rows, columns)
    near_image = _gather(evidence.image_neighbours, rows, columns)
    near_text = _gather(evidence.text_neighbours, rows, columns)
    agreement = (image.best == text.best) & ~image.missing & ~text.missing
    characters = np.log1p(evidence.characters)[:, None] / 10
    shape = places.shape
    found = (
        image.logs,
        text.logs,
        np.log((np.exp(image.logs) + np.exp(text.logs)) / 2),
        log_probabilities(pool(evidence.image, evidence.text))[rows, columns],
        np.log(image.ranks),
        np.log(text.ranks),
        image.ranks == 1,
        text.ranks == 1,
        (image.ranks == 1) & (text.ranks == 1),
        image.margins,
        text.margins,
        np.broadcast_to(image.entropy, shape),
        np.broadcast_to(text.entropy, shape),
        np.broadcast_to(agreement[:, None], shape),
        np.log(np.maximum(evidence.prior, FLOOR))[columns],
        near_image,
        near_text,
        np.broadcast_to(characters, shape),
        np.broadcast_to(image.missing[:, None], shape),
        np.broadcast_to(text.missing[:, None], shape),
        image.logs * (1 - image.entropy),
        text.logs * (1 - text.entropy),
        image.logs * (1 - text.entropy),
        text.logs * (1 - image.entropy),
        text.logs * characters,
        image.logs * near_image,
        text.logs * near_text,
    )
    return np.where(present[..., None], np.stack(found, axis=-1).astype(np.float64), 0.0)


@dataclass(frozen=True)
class _Modality:
    """Of the candidates [N,C] logs, ranks and margins; of the works [N] best and missing, [N,1] entropy."""

    logs: Table
    ranks: NDArray[np.int64]
    margins: Table
    best: NDArray[np.int64]
    missing: NDArray[np.bool_]
    entropy: Table


def _modality(
    table: NDArray[np.floating[Any]], temperature: float, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> _Modality:
    absent = is_missing(table)
    sharp = temper(table, temperature)
    logs = log_probabilities(sharp)
    own = logs[rows, columns]
    top = -np.partition(-logs, min(1, logs.shape[1] - 1), axis=1)[:, :2]
    best_other = np.where(own == top[:, :1], top[:, -1:], top[:, :1])
    ranks = 1 + (logs[:, None, :] > own[:, :, None]).sum(axis=2)
    entropy = -(np.exp(logs) * logs).sum(axis=1, keepdims=True) / math.log(max(2, logs.shape[1]))
    return _Modality(
        logs=own,
        ranks=ranks,
        margins=np.clip(own - best_other, -_MARGIN, _MARGIN),
        best=np.asarray(logs.argmax(axis=1), np.int64),
        missing=absent,
        entropy=entropy,
    )


def _gather(
    scores: NDArray[np.floating[Any]] | None, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    return np.zeros(columns.shape) if scores is None else np.asarray(scores[rows, columns], np.float64)


def _first(table: NDArray[np.floating[Any]], top: int) -> NDArray[np.int64]:
    """Places of the `top` highest of each row, best first."""
    top = min(top, table.shape[1])
    found = np.argpartition(-table, top - 1, axis=1)[:, :top]
    order = np.argsort(-np.take_along_axis(table, found, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(found, order, axis=1), np.int64)


@dataclass(frozen=True)
class Ranker:
    """A fitted re-ranker. weights: by name of FEATURES, absent ones are 0.

    reach_bias, reach_slope: P(the artist is a candidate) = sigmoid(bias + slope · ln(m / (1 - m))), m the
    candidates' mass in the pool.
    """

    pool: Pool
    weights: Mapping[str, float]
    reach_bias: float = 0.0
    reach_slope: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError for unknown features and numbers that are not finite."""
        if unknown := sorted(set(self.weights) - set(FEATURES)):
            raise ValueError(f"there is no feature {unknown[0]!r}")
        numbers = [*self.weights.values(), self.reach_bias, self.reach_slope]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError("weights of a re-ranker must be finite")

    def __call__(self, evidence: Evidence) -> Table:
        """Probabilities f64 [N,A]; rows of zeros where both modalities are missing."""
        places = select_candidates(evidence)
        vector = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        return self.spread(evidence, places, compute_features(evidence, places, self.pool) @ vector)

    def spread(self, evidence: Evidence, places: NDArray[np.int64], scores: Table) -> Table:
        """Probabilities f64 [N,A] from scores [N,C] of the candidates at `places`."""
        pooled = self.pool(evidence.image, evidence.text)
        present = places >= 0
        found = np.zeros_like(pooled)
        with_candidates = present.any(axis=1)
        if not with_candidates.any():
            return found
        pooled, places, present = pooled[with_candidates], places[with_candidates], present[with_candidates]
        rows = np.arange(len(places))[:, None]
        columns = np.where(present, places, 0)
        shares = softmax(np.where(present, scores[with_candidates], -np.inf))
        reach = self.reach(candidate_mass(pooled, places))[:, None]
        rest = pooled.copy()
        rest[np.broadcast_to(rows, places.shape)[present], places[present]] = 0.0
        left = rest.sum(axis=1, keepdims=True)
        # Nothing is left to share where the candidates are all artists there are.
        reach = np.where(left > 0, reach, 1.0)
        own = (1 - reach) * rest / np.where(left > 0, left, 1.0)
        np.add.at(own, (np.broadcast_to(rows, places.shape), columns), np.where(present, shares * reach, 0.0))
        found[with_candidates] = own
        return found

    def reach(self, mass: Table) -> Table:
        """P(the artist is a candidate) for candidates with `mass` [N] in the pool."""
        return 1 / (1 + np.exp(-np.clip(self.reach_bias + self.reach_slope * logit(mass), -60, 60)))


def candidate_mass(pooled: Table, places: NDArray[np.int64]) -> Table:
    """The mass of the candidates at `places` [N,C] in a table [N,A], f64 [N]."""
    columns = np.where(places >= 0, places, 0)
    mass = np.where(places >= 0, np.take_along_axis(pooled, columns, axis=1), 0.0)
    return np.asarray(mass.sum(axis=1), np.float64)


def logit(probability: Table) -> Table:
    """ln(p / (1 - p)), p kept 1e-6 away from 0 and 1."""
    kept = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(kept / (1 - kept)), np.float64)
