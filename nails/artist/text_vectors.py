"""Texts as sparse vectors: texts by one author are similar, also of an unknown author and in any language.

Words (nails.language.words) and pairs of neighbours are hashed into BUCKETS; each counts 1 + ln(occurrences)
times its rarity, and the vector has length 1. Only the table of rarities is trained, and a word outside it
is simply very rare: so the phrases of a few-shot artist stand out.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nails.language.words import split_words

BUCKETS = 1 << 17
MAX_TERMS = 512
"""Of a vector; of a longer text the weightiest are kept."""
VERSION = "1"
"""Of the rules here, for fingerprints."""


@dataclass(frozen=True)
class SparseVector:
    """indices: i32 [n], rising, in 0..BUCKETS; values: f32 [n], positive, of length 1.

    n = 0 has no direction.
    """

    indices: NDArray[np.int32]
    values: NDArray[np.float32]

    def __bool__(self) -> bool:
        return len(self.indices) > 0


EMPTY = SparseVector(np.zeros(0, np.int32), np.zeros(0, np.float32))


def count_terms(text: str) -> Counter[int]:
    """How often each bucket occurs in a text."""
    found = split_words(text)
    counts = Counter(_bucket(word) for word in found)
    counts.update(_bucket(f"{first} {second}") for first, second in pairwise(found))
    return counts


def compute_rarities(texts: Iterable[str]) -> NDArray[np.float16]:
    """f16 [BUCKETS]: 1 + ln((1 + N) / (1 + n)) for a bucket that n of N texts have."""
    texts_with = np.zeros(BUCKETS, np.int64)
    number = 0
    for text in texts:
        number += 1
        texts_with[list(count_terms(text))] += 1
    return np.asarray(1.0 + np.log((1.0 + number) / (1.0 + texts_with)), np.float16)


def vectorise(text: str, rarity: NDArray[np.floating]) -> SparseVector:
    """The vector of a text; EMPTY for one without words. rarity: [BUCKETS]."""
    counts = count_terms(text)
    if not counts:
        return EMPTY
    indices = np.fromiter(counts, np.int32, len(counts))
    occurrences = np.fromiter(counts.values(), np.float64, len(counts))
    values = (1.0 + np.log(occurrences)) * np.asarray(rarity[indices], np.float64)
    return compact(indices, values)


def compact(indices: NDArray[np.integer], values: NDArray[np.floating]) -> SparseVector:
    """The MAX_TERMS weightiest of some entries with distinct indices, in their order, with length 1."""
    if len(indices) > MAX_TERMS:
        # By weight, then by index, so that ties fall alike everywhere.
        kept = np.lexsort((indices, -values))[:MAX_TERMS]
        indices, values = indices[kept], values[kept]
    order = np.argsort(indices)
    length = float(np.linalg.norm(values))
    if not length > 0:
        return EMPTY
    return SparseVector(indices[order].astype(np.int32), (values[order] / length).astype(np.float32))


def mean_direction(vectors: Iterable[SparseVector]) -> SparseVector:
    """The direction of the mean of some vectors, its weightiest terms; EMPTY for none."""
    given = [one for one in vectors if one]
    if not given:
        return EMPTY
    indices = np.concatenate([one.indices for one in given])
    values = np.concatenate([one.values for one in given])
    distinct, place = np.unique(indices, return_inverse=True)
    sums = np.asarray(np.bincount(place, weights=values, minlength=len(distinct)), np.float64)
    return compact(distinct, sums)


@dataclass(frozen=True)
class SparseRows:
    """Vectors one below the other: row i has the entries starts[i]:starts[i + 1] of indices and values."""

    starts: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]

    @classmethod
    def stack(cls, rows: Iterable[SparseVector]) -> SparseRows:
        """The rows, in their order."""
        given = list(rows)
        starts = np.concatenate([[0], np.cumsum([len(one.indices) for one in given])]).astype(np.int64)
        return cls(
            starts=starts,
            indices=np.concatenate([EMPTY.indices, *(one.indices for one in given)]),
            values=np.concatenate([EMPTY.values, *(one.values for one in given)]),
        )

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, index: int) -> SparseVector:
        """One of the vectors."""
        part = slice(int(self.starts[index]), int(self.starts[index + 1]))
        return SparseVector(self.indices[part], self.values[part])

    def cosines(self, query: SparseVector) -> NDArray[np.float32]:
        """f32 [rows] with every row; 0 where one of the two has no direction."""
        dense = np.zeros(BUCKETS, np.float32)
        dense[query.indices] = query.values
        sums = np.concatenate([[0.0], np.cumsum(dense[self.indices] * self.values, dtype=np.float64)])
        found = sums[self.starts[1:]] - sums[self.starts[:-1]]
        return np.asarray(np.clip(found, 0.0, 1.0), np.float32)


def _bucket(term: str) -> int:
    return zlib.crc32(term.encode("utf-8", "surrogatepass")) % BUCKETS
