"""What reranking by beauty costs and gives at different weights, from what the services said of each hit.

A request is asked once; orders of all weights then follow from `nails.aesthetic.rerank`, whose rule the
service applies. "With people's beauty": the same rule with what people voted in place of what the model
says; no model can bring more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluation.aesthetic.metrics import Values
from evaluation.aesthetic.rated import RatedError
from evaluation.aesthetic.rerank_labels import DEPTH, Labels, Pool, ndcg
from evaluation.metrics import PairedDifference, paired_bootstrap
from nails.aesthetic.rerank import relevance_part, rerank

WEIGHTS: Final = (0.0, 0.02, 0.05, 0.1, 0.2)
COST: Final = 0.005
"""A default may lose less than this of hit@10."""
ALIKE: Final = 2.5e-6
"""Scores go by six digits; two that differ by less may change places."""


@dataclass(frozen=True)
class Asked:
    """What came back for a request. ids: hits by relevance, as many as beauty can move and DEPTH at least.

    relevance: the score at weight 0. beauty: in [0, 1], None where the service judged none; they are those
    of the hits that are scored.
    """

    request: str
    ids: tuple[str, ...]
    relevance: tuple[float, ...] = field(repr=False)
    beauty: tuple[float | None, ...] = field(repr=False)


@dataclass(frozen=True)
class Line:
    """Figures of a weight over all requests; per request: hit f64 [r], ndcg f64 [r].

    beauty: mean of people's beauty of the first ten hits; grade: mean of their grades, 0 to 3; mrr: of the
    own photo, 0 where it is not among the hits.
    """

    weight: float
    people: bool
    hit: Values = field(repr=False)
    ndcg: Values = field(repr=False)
    beauty: float
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


def order_of(asked: Asked, weight: float, beauty: Sequence[float | None] | None = None) -> list[str]:
    """Ids of the hits at a weight, best first. beauty: of the hits, in place of what the service said."""
    return [name for name, _ in _scored(asked, weight, beauty)]


def agrees(asked: Asked, weight: float, served: Sequence[str]) -> bool:
    """Whether the first hits that a service gave are those computed here, up to equals.

    Equal are scores that differ by less than ALIKE: beauties come as float32, which may tip a multiple of
    2^-20.
    """
    computed = _scored(asked, weight)
    scores = dict(computed)
    own = [scores.get(name, -1.0) for name in served]
    best = [score for _, score in computed[: len(served)]]
    return len(own) == len(best) and all(abs(a - b) < ALIKE for a, b in zip(own, best, strict=True))


def _scored(
    asked: Asked, weight: float, beauty: Sequence[float | None] | None = None
) -> list[tuple[str, float]]:
    """Ids of the hits with their scores at a weight, best first."""
    said = asked.beauty if beauty is None else beauty
    known = {
        place: own
        for place, (own, judged) in enumerate(zip(said, asked.beauty, strict=True))
        if own is not None and judged is not None
    }
    parts = [relevance_part(relevance, weight) for relevance in asked.relevance]
    return [(asked.ids[one.index], one.score) for one in rerank(parts, asked.ids, known, weight=weight)]


def line_of(labels: Labels, askings: Sequence[Asked], weight: float, *, people: bool = False) -> Line:
    """The figures of a weight. people: with people's own beauty of each photo."""
    pool = labels.pool
    place = {photo.id: number for number, photo in enumerate(pool.photos)}
    hits, gained, beauties, grades, reciprocal = [], [], [], [], []
    for asked in askings:
        row = labels.row(asked.request)
        own = pool.requests[row].own
        own_beauty = [float(pool.beauty[place[name]]) for name in asked.ids] if people else None
        ranked = [place[name] for name in order_of(asked, weight, own_beauty)]
        first = ranked[:DEPTH]
        hits.append(float(own in first))
        gained.append(ndcg(first, labels.gains[row]))
        beauties.append(float(pool.beauty[first].mean()) if first else 0.0)
        grades.append(float(labels.grades[row, first].mean()) if first else 0.0)
        reciprocal.append(1 / (1 + ranked.index(own)) if own in ranked else 0.0)
    means = (float(np.mean(values)) for values in (beauties, grades, reciprocal))
    return Line(weight, people, np.array(hits), np.array(gained), *means)


def choose(lines: Sequence[Line]) -> Line:
    """The line with the largest nDCG@10 among those whose hit@10 falls by less than COST.

    lines: the first of weight 0. Among equals the smaller weight.
    """
    off = lines[0]
    if off.weight != 0:
        raise ValueError("the first weight must be 0: what the others cost is told against it")
    able = [line for line in lines if off.hit_at_10 - line.hit_at_10 < COST]
    return max(able, key=lambda line: (round(line.ndcg_at_10, 6), -line.weight))


def gain_of(line: Line, off: Line, *, samples: int = 2_000) -> dict[str, PairedDifference]:
    """What a weight brings over weight 0, by paired bootstrap over requests: "hit@10" and "nDCG@10"."""
    return {
        "hit@10": paired_bootstrap(line.hit, off.hit, samples=samples),
        "nDCG@10": paired_bootstrap(line.ndcg, off.ndcg, samples=samples),
    }


def terms_json(asked: Asked) -> str:
    """A line for a file."""
    beauty = [None if value is None else float(f"{value:.7g}") for value in asked.beauty]
    fields = {
        "request": asked.request,
        "ids": asked.ids,
        "relevance": asked.relevance,  # as it was: multiples of 2^-20
        "beauty": beauty,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def read_terms(path: Path, pool: Pool) -> list[Asked]:
    """What a file of `terms_json` lines says.

    Raises RatedError for a line that is none, and for requests and photos that are not of the pool.
    """
    ids = {photo.id for photo in pool.photos}
    requests = {request.id for request in pool.requests}
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path}:{number}"
        try:
            asked = _asked(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise RatedError(f"{where}: {error!r}") from error
        if asked.request not in requests:
            raise RatedError(f"{where}: request: {asked.request!r} is not asked of these data")
        if unknown := set(asked.ids) - ids:
            raise RatedError(f"{where}: ids: {min(unknown)!r} is no photo of the pool")
        found.append(asked)
    return found


def _asked(fields: Mapping[str, Any]) -> Asked:
    ids = tuple(str(name) for name in fields["ids"])
    relevance = tuple(float(value) for value in fields["relevance"])
    beauty = tuple(None if value is None else float(value) for value in fields["beauty"])
    if not len(ids) == len(relevance) == len(beauty) or len(set(ids)) != len(ids):
        raise ValueError("ids, relevance and beauty are not of one length, or an id is there twice")
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in (*relevance, *filter(None, beauty))):
        raise ValueError("relevance or beauty out of [0, 1]")
    return Asked(str(fields["request"]), ids, relevance, beauty)
