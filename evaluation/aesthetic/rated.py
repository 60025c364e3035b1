"""What a photo with votes is (paper Q), whichever files it comes from.

Votes are counts of the marks 1 to 10; the mean opinion score (MOS) is their mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError

SPLITS: Final = ("train", "val", "test")
MARKS: Final = 10
MAX_TAGS: Final = 2
MOST_VOTES: Final = 1_000_000  # of one mark


class RatedError(DataError):
    """A file that is not in its form, or a split that it does not allow; the message names file and line."""


@dataclass(frozen=True)
class Rated:
    """A photo with its votes. image: absolute. tags: none, one or two names. votes: counts of 1 to 10.
    split: train, val or test. challenge: AVA's number of the contest, 0 where there is none."""

    id: str
    image: Path
    tags: tuple[str, ...]
    votes: tuple[int, ...]
    split: str
    challenge: int = 0

    @property
    def mos(self) -> float:
        """The mean of the votes, 1-10."""
        return sum(mark * count for mark, count in enumerate(self.votes, 1)) / sum(self.votes)


@dataclass(frozen=True)
class RatedSet:
    """All photos of a source. words: of every tag what a text model reads, by language. digest: sha256 of the
    lists that it was read from. source: "drawn" or "ava". about: how it was split, for provenance."""

    photos: tuple[Rated, ...]
    words: Mapping[str, Mapping[str, str]]
    digest: str
    source: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def select(self, split: str) -> list[Rated]:
        """The photos of a split, in their order."""
        return [photo for photo in self.photos if photo.split == split]


def digest_files(paths: Iterable[Path]) -> str:
    """sha256 hex over the bytes of files, in their order."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def mean_opinion_scores(votes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Mean opinion scores [N], 1-10, of votes [N,10]; NaN where there is no vote."""
    counts = np.asarray(votes, np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(counts @ np.arange(1, MARKS + 1) / counts.sum(axis=1))


def standard_errors(votes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Standard errors [N] of the mean opinion scores of votes [N,10].

    NaN with fewer than two votes: nothing is known of their spread then.
    """
    counts = np.asarray(votes, np.float64)
    raters = counts.sum(axis=1)
    marks = np.arange(1, MARKS + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = counts @ marks / raters
        variance = (counts * (marks - mean[:, None]) ** 2).sum(axis=1) / (raters - 1)
        return np.asarray(np.where(raters > 1, np.sqrt(variance / raters), np.nan))


def check_votes(values: Sequence[int]) -> Sequence[int]:
    """Ten counts of which one at least is not 0. Raises ValueError."""
    if len(values) != MARKS:
        raise ValueError(f"{len(values)} counts, not of the {MARKS} marks")
    for mark, count in enumerate(values, 1):
        if not 0 <= count <= MOST_VOTES:
            raise ValueError(f"{count} is no count of the mark {mark}")
    if not any(values):
        raise ValueError("nobody voted")
    return values
