"""Labels for reranking: how well each synthetic photo fits a request, and how highly people rate it.

- Share of a request that a design meets: claims that hold, of all claims; what a request refuses counts only
  where the design has it (almost every design lacks most things).
- Grade: 3 where all is met, 2 from three quarters on, 1 from a half on, else 0.
- Aesthetic: the share of the pool's photos with a lower mean vote, equal ones counting half; in (0, 1).
- Gain: 2^(grade + aesthetic) - 1, and 0 for grade 0. The best rated photo of a grade gains no more than the
  worst rated one of the next grade: relevance first, aesthetic score second.
- nDCG@10: sum of gain / log2(1 + rank) over the first ten hits, over the largest such sum of the whole pool.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from evaluation.aesthetic.metrics import Values, average_ranks
from evaluation.aesthetic.photos import INDEX, read_synthetic
from evaluation.aesthetic.rated import Rated, RatedError
from evaluation.claims import SCOPES, Claim, holds
from evaluation.json_lines import Line, read_lines

DEPTH: Final = 10
LEVELS: Final = ("dense", "plain", "tags", "abstract")
FULL: Final = 3
_SHARES: Final = ((FULL, 1.0), (2, 0.75), (1, 0.5))
_MAX_LINE = 8 << 20  # bytes, as evaluation.aesthetic.photos


@dataclass(frozen=True)
class Request:
    """A text that was written for a photo. own: the photo's place in the pool."""

    id: str
    own: int
    lang: str
    level: str
    text: str
    claims: tuple[Claim, ...] = field(repr=False)


@dataclass(frozen=True)
class Pool:
    """The photos of a split, what they show, and requests for them. aesthetic: f64 [n], from votes."""

    photos: tuple[Rated, ...]
    attributes: tuple[Mapping[str, Any], ...] = field(repr=False)
    requests: tuple[Request, ...] = field(repr=False)
    aesthetic: Values = field(repr=False)
    digest: str = ""


class Labels:
    """Grades and gains of all photos of a pool for its requests; each claim is checked once."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._held: dict[Claim, NDArray[np.bool_]] = {}
        self._place = {request.id: place for place, request in enumerate(pool.requests)}
        self.grades = np.stack([grades(self._met(request.claims)) for request in pool.requests])
        self.gains = np.stack([gains(own, pool.aesthetic) for own in self.grades])

    @property
    def alone(self) -> int:
        """Of how many requests the own photo alone meets all."""
        return int(np.sum((self.grades == FULL).sum(axis=1) == 1))

    def row(self, request: str) -> int:
        """The row of a request in `grades` int [r,n] and `gains` f64 [r,n]."""
        return self._place[request]

    def _met(self, claims: Sequence[Claim]) -> Values:
        """The share of a request's claims that each design meets, f64 [n] in [0, 1]."""
        held, counted = np.zeros(len(self.pool.photos)), np.zeros(len(self.pool.photos))
        for claim in claims:
            if claim not in self._held:
                self._held[claim] = np.array([holds(own, *claim) for own in self.pool.attributes], bool)
            holding = self._held[claim]
            if claim[0] == "not":
                counted += ~holding
            else:
                held += holding
                counted += 1
        return held / counted


def grades(shares: Values) -> NDArray[np.int64]:
    """0 to 3 of each share."""
    found = np.zeros(shares.shape, np.int64)
    for value, least in reversed(_SHARES):
        found[shares >= least] = value
    return found


def gains(graded: NDArray[np.int64], aesthetic: Values) -> Values:
    """2^(grade + aesthetic) - 1, 0 for grade 0."""
    found: Values = np.where(graded > 0, 2.0 ** (graded + aesthetic) - 1.0, 0.0)
    return found


def percentiles(values: NDArray[np.floating[Any]]) -> Values:
    """The share of values that are lower, equal ones counting half, f64 [n] in (0, 1)."""
    found: Values = (average_ranks(values) - 0.5) / len(values)
    return found


def ndcg(ranked: Sequence[int], own: Values, depth: int = DEPTH) -> float:
    """nDCG of places in the pool, best first. own: the gain of each photo of the pool; 1.0 if all gain 0."""
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    best = np.sort(own)[::-1][:depth]
    ideal = float(best @ discounts[: len(best)])
    found = own[np.asarray(ranked[:depth], np.int64)]
    return 1.0 if ideal == 0 else float(found @ discounts[: len(found)]) / ideal


def read_pool(
    folder: Path, split: str, *, levels: Sequence[str] = LEVELS[:3], each: int = 1, limit: int = 0
) -> Pool:
    """The photos of a split of a synthetic folder, and for each photo `each` of its texts of these levels.

    Which texts: by a hash of the photo's id, so always the same. limit: only so many photos; 0 takes all.
    Raises RatedError for faults and a split without photos or requests, OSError.
    """
    found = read_synthetic(folder)
    photos = [photo for photo in found.photos if photo.split == split][: limit or None]
    if not photos:
        raise RatedError(f"{folder / INDEX}: no photo of split {split}")
    place = {photo.id: number for number, photo in enumerate(photos)}
    attributes: dict[int, Mapping[str, Any]] = {}
    requests: list[Request] = []
    for where, record in read_lines(folder / INDEX, _MAX_LINE, _Record, RatedError, finite=False):
        own = place.get(record.id)
        if own is None:
            continue
        attributes[own] = record.attributes
        requests += _choose_requests(record, own, where, levels, each)
    if not requests:
        raise RatedError(f"{folder / INDEX}: no text of split {split} at level {', '.join(levels)}")
    return Pool(
        tuple(photos),
        tuple(attributes[number] for number in range(len(photos))),
        tuple(requests),
        percentiles(np.array([photo.mos for photo in photos])),
        found.digest,
    )


class _Text(Line):
    lang: str
    level: str
    text: str
    claims: list[Annotated[list[str], Field(min_length=3, max_length=3)]]


class _Record(Line):
    """What is read of a line of index.jsonl beside its votes."""

    id: str
    texts: list[_Text]
    attributes: dict[str, Any]


def _choose_requests(
    record: _Record, own: int, where: str, levels: Sequence[str], each: int
) -> list[Request]:
    """`each` of the record's texts of these levels, by a hash of the photo's id and the text's place."""
    found = []
    for place, text in enumerate(record.texts):
        claims = tuple((scope, kind, value) for scope, kind, value in text.claims)
        if any(scope not in SCOPES for scope, _, _ in claims):
            raise RatedError(f"{where}: texts[{place}].claims: a scope that is none of {', '.join(SCOPES)}")
        if text.level in levels and any(scope != "not" for scope, _, _ in claims):
            found.append(Request(f"{record.id}:{place}", own, text.lang, text.level, text.text, claims))
    return sorted(found, key=lambda request: hashlib.sha256(request.id.encode()).digest())[:each]
