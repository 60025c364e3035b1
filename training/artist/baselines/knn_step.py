"""The steps `knn_image` and `knn_text`: how near a work is to each artist's works.

A score is the mean cosine to the five nearest of the works that the model may see; it is no probability.
Photos are compared by the encoders' embeddings of design and style, texts by TF-IDF of words and pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evaluation.artist.predictions import SCORES
from nails.language.morphemes import VERSION
from training.artist.image import feature_step
from training.artist.image.image_step import with_photo
from training.artist.job import ArtistJob
from training.artist.nested import Nest, Rows, Table, Task, cross_validate, open_nest
from training.artist.text.words import TfIdf, read_words, with_pairs
from training.kit.data import features

NEIGHBOURS = 5
_ROWS = 256  # compared at a time
_TERMS = 50_000
_FAR = 0.0  # of an artist without a work to compare, and of works without photo or words
Cosines = Callable[[Rows, Rows], NDArray[np.float32]]


def image(job: ArtistJob) -> None:
    """Writes RUN/predictions/knn_image."""
    nest = open_nest(job)
    folder = job.out / feature_step.FOLDER / feature_step.NAME
    loaded = features.load(folder, ("align", "style"), len(nest.works))
    vectors = np.concatenate(
        [_unit(loaded[name][:, 0].astype(np.float32)) for name in ("align", "style")], axis=1
    )
    shown = with_photo(nest)

    def fit(task: Task) -> Table:
        centred = _unit(vectors - vectors[task.train[shown[task.train]]].mean(axis=0))
        centred[~shown] = 0
        return nearest(nest, task, shown, lambda asked, known: centred[asked] @ centred[known].T)

    what = f"mean cosine to an artist's {NEIGHBOURS} nearest photos (design and style embeddings)"
    settings = {"neighbours": NEIGHBOURS, "features": feature_step.NAME}
    cross_validate(job, nest, "knn_image", fit, what=what, settings=settings, kind=SCORES)


def text(job: ArtistJob) -> None:
    """Writes RUN/predictions/knn_text."""
    nest = open_nest(job)
    texts = [with_pairs(words) for words in read_words(nest.works)]
    has_words = np.array([bool(words) for words in texts])

    def fit(task: Task) -> Table:
        vectors = TfIdf.learn([texts[row] for row in task.train], _TERMS)(texts)
        return nearest(
            nest, task, has_words, lambda asked, known: (vectors[asked] @ vectors[known].T).toarray()
        )

    what = f"mean TF-IDF cosine to an artist's {NEIGHBOURS} nearest texts"
    settings = {"neighbours": NEIGHBOURS, "terms": _TERMS, "words": VERSION}
    cross_validate(job, nest, "knn_text", fit, what=what, settings=settings, kind=SCORES)


def nearest(nest: Nest, task: Task, usable: NDArray[np.bool_], cosines: Cosines) -> Table:
    """Scores f32 [m,A] of task.queries: artists with fewer works than NEIGHBOURS by those that they have."""
    known = task.train[usable[task.train]]
    known = known[np.argsort(nest.truth[known], kind="stable")]
    edges = np.searchsorted(nest.truth[known], np.arange(len(nest.folds.artists) + 1))
    scores = np.full((len(task.queries), len(nest.folds.artists)), _FAR, np.float32)
    for start in range(0, len(task.queries), _ROWS):
        rows = task.queries[start : start + _ROWS]
        table = cosines(rows, known)
        for artist, (low, high) in enumerate(pairwise(edges)):
            if high > low:
                own = table[:, low:high]
                count = min(NEIGHBOURS, high - low)
                best = np.partition(own, high - low - count, axis=1)[:, high - low - count :]
                scores[start : start + len(rows), artist] = best.mean(axis=1)
    scores[~usable[task.queries]] = _FAR
    return scores


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
