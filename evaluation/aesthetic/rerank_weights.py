"""What reranking by the aesthetic score costs and gains at different weights, from the scores of each hit.

A request is sent once; the orders at all weights then follow from `nails.aesthetic.rerank`, whose rule the
service applies. "With people's votes" is the same rule with the photos' mean votes in place of the model's
score, an upper bound for any model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import Field, model_validator

from evaluation.aesthetic.metrics import Values
from evaluation.aesthetic.rated import RatedError
from evaluation.aesthetic.rerank_labels import DEPTH, Labels, Pool, ndcg
from evaluation.json_lines import Line, read_lines
from evaluation.metrics import PairedDifference, paired_bootstrap
from nails.aesthetic.rerank import relevance_part, rerank

WEIGHTS: Final = (0.0, 0.02, 0.05, 0.1, 0.2)
COST: Final = 0.005
"""A default may lose less than this of hit@10."""
ALIKE: Final = 2.5e-6
"""Scores go by six digits; two that differ by less may change places."""
_MAX_LINE = 8 << 20  # bytes: a line has all hits of a request


@dataclass(frozen=True)
class ServedRanking:
    """The answer to a request. ids: hits by relevance, as many as reranking can move and DEPTH at least.

    relevance: the score at weight 0. aesthetic: the normalised aesthetic score in [0, 1], None for a hit that
    the service did not score.
    """

    request: str
    ids: tuple[str, ...]
    relevance: tuple[float, ...] = field(repr=False)
    aesthetic: tuple[float | None, ...] = field(repr=False)


@dataclass(frozen=True)
class WeightFigures:
    """Figures of a weight over all requests; per request: hit f64 [r], ndcg f64 [r].

    people: whether the votes took the place of the model's score. aesthetic: mean over the first ten hits of
    the share of photos with a lower mean vote; grade: mean of their grades, 0 to 3; mrr: of the own photo,
    0 where it is not among the hits.
    """

    weight: float
    people: bool
    hit: Values = field(repr=False)
    ndcg: Values = field(repr=False)
    aesthetic: float
    grade: float
    mrr: float

    @property
    def hit_at_10(self) -> float:
        """Share of requests whose own photo is among the first ten."""
        return float(self.hit.mean())

    @property
    def ndcg_at_10(self) -> float:
        """Mean over requests."""
        return float(self.ndcg.mean())


def order_ids(
    asked: ServedRanking, weight: float, aesthetic: Sequence[float | None] | None = None
) -> list[str]:
    """Ids of the hits at a weight, best first. aesthetic: of the hits, in place of the served scores."""
    return [name for name, _ in _scored(asked, weight, aesthetic)]


def agrees(asked: ServedRanking, weight: float, served: Sequence[str]) -> bool:
    """Whether the first hits that a service gave are those computed here, up to equals.

    Equal are scores that differ by less than ALIKE: they are sent as float32, which may tip a multiple of
    2^-20.
    """
    computed = _scored(asked, weight)
    scores = dict(computed)
    own = [scores.get(name, -1.0) for name in served]
    best = [score for _, score in computed[: len(served)]]
    return len(own) == len(best) and all(abs(a - b) < ALIKE for a, b in zip(own, best, strict=True))


def _scored(
    asked: ServedRanking, weight: float, aesthetic: Sequence[float | None] | None = None
) -> list[tuple[str, float]]:
    """Ids of the hits with their scores at a weight, best first."""
    scored = {
        place: own
        for place, (own, served) in enumerate(zip(aesthetic or asked.aesthetic, asked.aesthetic, strict=True))
        if own is not None and served is not None
    }
    parts = [relevance_part(relevance, weight) for relevance in asked.relevance]
    return [(asked.ids[one.index], one.score) for one in rerank(parts, asked.ids, scored, weight=weight)]


def measure_weight(
    labels: Labels, rankings: Sequence[ServedRanking], weight: float, *, people: bool = False
) -> WeightFigures:
    """The figures of a weight. people: with the photos' mean votes in place of the model's score."""
    pool = labels.pool
    place = {photo.id: number for number, photo in enumerate(pool.photos)}
    hits, gained, aesthetics, grades, reciprocal = [], [], [], [], []
    for asked in rankings:
        row = labels.row(asked.request)
        own = pool.requests[row].own
        votes = [float(pool.aesthetic[place[name]]) for name in asked.ids] if people else None
        ranked = [place[name] for name in order_ids(asked, weight, votes)]
        first = ranked[:DEPTH]
        hits.append(float(own in first))
        gained.append(ndcg(first, labels.gains[row]))
        aesthetics.append(float(pool.aesthetic[first].mean()) if first else 0.0)
        grades.append(float(labels.grades[row, first].mean()) if first else 0.0)
        reciprocal.append(1 / (1 + ranked.index(own)) if own in ranked else 0.0)
    means = (float(np.mean(values)) for values in (aesthetics, grades, reciprocal))
    return WeightFigures(weight, people, np.array(hits), np.array(gained), *means)


def choose(lines: Sequence[WeightFigures]) -> WeightFigures:
    """The line with the largest nDCG@10 among those whose hit@10 falls by less than COST.

    lines: the first of weight 0. Among equals the smaller weight.
    """
    off = lines[0]
    if off.weight != 0:
        raise ValueError("the first weight must be 0: the others are compared with it")
    able = [line for line in lines if off.hit_at_10 - line.hit_at_10 < COST]
    return max(able, key=lambda line: (round(line.ndcg_at_10, 6), -line.weight))


def compare_weights(
    line: WeightFigures, off: WeightFigures, *, samples: int = 2_000
) -> dict[str, PairedDifference]:
    """What a weight brings over weight 0, by paired bootstrap over requests: "hit@10" and "nDCG@10"."""
    return {
        "hit@10": paired_bootstrap(line.hit, off.hit, samples=samples),
        "nDCG@10": paired_bootstrap(line.ndcg, off.ndcg, samples=samples),
    }


def terms_json(asked: ServedRanking) -> str:
    """A line for a file."""
    aesthetic = [None if value is None else float(f"{value:.7g}") for value in asked.aesthetic]
    fields = {
        "request": asked.request,
        "ids": asked.ids,
        "relevance": asked.relevance,  # as it was: multiples of 2^-20
        "aesthetic": aesthetic,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def read_terms(path: Path, pool: Pool) -> list[ServedRanking]:
    """What a file of `terms_json` lines says.

    Raises RatedError for a line that is none, and for requests and photos that are not of the pool.
    """
    ids = {photo.id for photo in pool.photos}
    requests = {request.id for request in pool.requests}
    found = []
    for where, form in read_lines(path, _MAX_LINE, _Terms, RatedError):
        if form.request not in requests:
            raise RatedError(f"{where}: request: {form.request!r} is not asked of these data")
        if unknown := set(form.ids) - ids:
            raise RatedError(f"{where}: ids: {min(unknown)!r} is no photo of the pool")
        found.append(
            ServedRanking(form.request, tuple(form.ids), tuple(form.relevance), tuple(form.aesthetic))
        )
    return found


_Share = Annotated[float, Field(ge=0, le=1)]


class _Terms(Line):
    """A line as `terms_json` writes it."""

    request: str
    ids: list[str]
    relevance: list[_Share]
    aesthetic: list[_Share | None]

    @model_validator(mode="after")
    def _check_lengths(self) -> _Terms:
        if not len(set(self.ids)) == len(self.ids) == len(self.relevance) == len(self.aesthetic):
            raise ValueError("ids, relevance and aesthetic are not of one length, or an id is there twice")
        return self
