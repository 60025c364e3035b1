"""Texts as the models read them: words of title and description, and TF-IDF over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from tqdm import tqdm

from evaluation.artist.works import Work
from nails.language.morphemes import split_morphemes

Words = list[str]


def read_words(works: Sequence[Work]) -> list[Words]:
    """The words of every work as the service reads them; [] for a work without."""
    return [split_morphemes(work.text) for work in tqdm(works, desc="words", unit="text", mininterval=1)]


def with_pairs(words: Words) -> Words:
    """The words and every two neighbours."""
    return words + [f"{one} {two}" for one, two in pairwise(words)]


@dataclass(frozen=True)
class TfIdf:
    """Terms and their weights. place: column of a term; idf f64 [T]."""

    place: dict[str, int]
    idf: NDArray[np.float64]

    @classmethod
    def learn(cls, texts: Sequence[Words], top: int) -> TfIdf:
        """The `top` commonest terms; of terms as common, those first in the alphabet. idf is smoothed by one
        text that holds every term."""
        total = Counter(word for text in texts for word in text)
        terms = sorted(total, key=lambda term: (-total[term], term))[:top]
        place = {term: column for column, term in enumerate(terms)}
        holds = Counter(word for text in texts for word in set(text) if word in place)
        counts = np.array([holds[term] for term in terms], float)
        return cls(place, np.log((1 + len(texts)) / (1 + counts)) + 1)

    def __call__(self, texts: Sequence[Words]) -> csr_matrix:
        """f32 [N,T], rows of length 1, or of zeros where no term is known."""
        data: list[float] = []
        columns: list[int] = []
        starts = [0]
        for text in texts:
            counts = Counter(self.place[word] for word in text if word in self.place)
            own = sorted(counts)
            weights = np.array([counts[column] for column in own]) * self.idf[own] if own else np.zeros(0)
            length = float(np.linalg.norm(weights))
            data.extend((weights / length).tolist() if length else [])
            columns.extend(own)
            starts.append(len(columns))
        return csr_matrix(  # LightGBM does not predict for the newer csr_array
            (np.array(data, np.float32), np.array(columns, np.int32), np.array(starts, np.int32)),
            shape=(len(texts), len(self.place)),
        )
