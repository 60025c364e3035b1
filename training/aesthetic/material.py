"""What training reads: features, votes and tags of all photos as arrays, in the order of the data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.aesthetic.rated import MAX_TAGS, RatedSet, mean_opinion_scores, standard_errors
from nails.aesthetic.tokens import Grid, pooled
from training.aesthetic.features import FOLDER, OUTPUTS, WORDS
from training.aesthetic.job import AestheticJob
from training.kit.data.features import load
from training.kit.data.sentences import Sentences
from training.kit.stepwise import StepError

Rows = NDArray[np.int64]
NONE = -1  # in place of a tag


@dataclass(frozen=True)
class Material:
    """N photos and A tags.

    tokens: f16 [N,49,D]. align: f32 [N,512] unit. pooled: f16 [N,1280]. votes: i32 [N,10]. tags: i64 [N,2],
    NONE where there is none. words: f32 [L,A,512] unit, English first, then other languages; a tag that has
    no words of a language has its English ones there.
    """

    photos: RatedSet
    tokens: NDArray[np.float16]
    align: NDArray[np.float32]
    pooled: NDArray[np.float16]
    votes: NDArray[np.int32]
    tags: Rows
    names: tuple[str, ...]
    words: NDArray[np.float32]

    @cached_property
    def mos(self) -> NDArray[np.float32]:
        """[N], 1-10."""
        return mean_opinion_scores(self.votes).astype(np.float32)

    @cached_property
    def errors(self) -> NDArray[np.float64]:
        """Standard errors of the scores [N]; nan where they are unknown."""
        return standard_errors(self.votes)

    @cached_property
    def likeness(self) -> NDArray[np.float32]:
        """Cosine of each photo and each of its tags, in English: [N,2], nan for none."""
        vectors = self.words[0][np.maximum(self.tags, 0)]  # [N,2,512]
        cosines = np.einsum("nd,nkd->nk", self.align, vectors)
        return np.where(self.tags == NONE, np.nan, cosines).astype(np.float32)

    def rows(self, split: str) -> Rows:
        """The photos of a split."""
        return np.flatnonzero([photo.split == split for photo in self.photos.photos])

    def at(self, grid: Grid) -> NDArray[np.float16]:
        """Tokens averaged to a grid: f16 [N,grid*grid,D]."""
        if grid == 7:
            return self.tokens
        blocks = [pooled(self.tokens[i : i + 512], grid) for i in range(0, len(self.tokens), 512)]
        return np.concatenate([block.astype(np.float16) for block in blocks])


def read_material(job: AestheticJob) -> Material:
    """What the step `features` left. Raises StepError where it is missing or of other photos."""
    photos = job.rated_photos()
    features = load(job.out / FOLDER, OUTPUTS, len(photos.photos))
    sentences = Sentences(job.out / WORDS)
    names = tuple(photos.words)
    languages = ["en", *sorted({lang for words in photos.words.values() for lang in words} - {"en"})]
    texts = [[photos.words[name].get(lang, photos.words[name]["en"]) for name in names] for lang in languages]
    missing = {text for row in texts for text in row} - set(sentences.rows)
    if missing:
        raise StepError(f"{job.out / WORDS}: {sorted(missing)[0]!r} is missing: do the step features first")
    number = {name: i for i, name in enumerate(names)}
    tags = np.full((len(photos.photos), MAX_TAGS), NONE, np.int64)
    for row, photo in enumerate(photos.photos):
        for slot, name in enumerate(photo.tags):
            tags[row, slot] = number[name]
    arrays: dict[str, Any] = {name: values[:, 0] for name, values in features.items()}
    return Material(
        photos=photos,
        tokens=arrays["tokens"],
        align=unit(arrays["align"].astype(np.float32)),
        pooled=arrays["pooled"],
        votes=np.array([photo.votes for photo in photos.photos], np.int32),
        tags=tags,
        names=names,
        words=np.stack([sentences(row) for row in texts]),
    )


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1: half precision has moved them a little."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)
