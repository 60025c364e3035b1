"""A trial of the step `openset`: who is known and who is not, models of the known, and what they say of
whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import Pool, temper
from nails.artist.openset import BOTH, IMAGE, Prototypes
from nails.artist.text_vectors import SparseVector
from training.artist.fusion.fitting import fit_pool
from training.artist.image.image_step import CONFIG
from training.artist.nested import Nest
from training.artist.openset.fitting import OpensetFeatures, openset_features
from training.artist.openset.models import (
    SPACES,
    WORDS,
    Floats,
    Material,
    Rows,
    fit_head,
    look,
    make_prototypes,
    space_vectors,
    text_probabilities,
)
from training.artist.text.steps import fit_fasttext
from training.kit.stepwise import StepError

TEST, VALIDATION = 0, 1
"""Outer folds: of the tested works, and of those that choices are made on. The others are trained on."""
NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Parts:
    """Rows of works. known, validation, test: places of artists, in three groups; models are of the known.

    train: of known artists. tried, reported: the works of an artist group in the validation and the test
    fold.
    """

    known: Rows
    validation: Rows
    test: Rows
    train: Rows
    validation_known: Rows
    validation_unknown: Rows
    test_known: Rows
    test_unknown: Rows


@dataclass(frozen=True)
class Known:
    """What models of the known artists say of all works of a run. both: fused. images: by space."""

    image: Floats
    text: Floats
    both: Floats
    logits: Floats
    images: Mapping[str, NDArray[np.float32]]
    pool: Pool

    def table(self, mode: str) -> Floats:
        """Calibrated probabilities [N, A] of a mode."""
        if mode == BOTH:
            return self.both
        alone, temperature = (
            (self.image, self.pool.image_temperature)
            if mode == IMAGE
            else (self.text, self.pool.text_temperature)
        )
        # Equal probabilities where the modality says nothing, as the service has it.
        table = temper(alone, temperature)
        return np.where(table.any(axis=1, keepdims=True), table, 1.0 / table.shape[1])


def split(nest: Nest, *, seed: int, share: float = 0.2) -> Parts:
    """Artists in three groups, by the seed. Raises StepError where there are too few folds or artists."""
    if nest.folds.outer < 3:
        raise StepError("openset needs at least 3 outer folds: one to test, one to choose, others to train")
    count = len(nest.folds.artists)
    apart = round(share * count)
    if apart < 2:
        raise StepError(f"openset needs at least 10 artists to set a fifth apart twice, there are {count}")
    order = np.random.default_rng([seed, 5]).permutation(count)
    test, validation, known = order[:apart], order[apart : 2 * apart], order[2 * apart :]
    outer = np.array([work.outer for work in nest.folds.works])

    def rows(artists: Rows, folds: NDArray[np.bool_]) -> Rows:
        return np.flatnonzero(np.isin(nest.truth, artists) & folds)

    return Parts(
        known=np.sort(known),
        validation=np.sort(validation),
        test=np.sort(test),
        train=rows(known, outer > VALIDATION),
        validation_known=rows(known, outer == VALIDATION),
        validation_unknown=rows(validation, outer == VALIDATION),
        test_known=rows(known, outer == TEST),
        test_unknown=rows(test, outer == TEST),
    )


def first_works(nest: Nest, artists: Rows, works: int, seed: int) -> Rows:
    """`works` works of each artist (or all there are), none of those that are tried or reported on."""
    rng = np.random.default_rng([seed, 6])
    outer = np.array([work.outer for work in nest.folds.works])
    chosen = []
    for artist in artists:
        own = np.flatnonzero((nest.truth == artist) & (outer > VALIDATION))
        chosen.append(rng.permutation(own)[:works])
    return np.concatenate(chosen)


def models(material: Material, artists: Rows, train: Rows, tried: Rows, seed: int) -> Known:
    """Models of `artists` trained on `train` and asked about every work; the pool fitted on `tried`."""
    truth = material.nest.truth
    place = np.full(len(material.nest.folds.artists), -1)
    place[artists] = np.arange(len(artists))
    every = np.arange(len(truth))
    head = fit_head(material, train, place[truth[train]], len(artists), replace(CONFIG, seed=seed))
    image, logits, embedding = look(head, material, every)
    lines = [(material.lines[row], int(place[truth[row]])) for row in train if material.lines[row]]
    text = text_probabilities(fit_fasttext(lines, seed, dict(WORDS)), material.lines, len(artists))
    pool = fit_pool(image[tried], text[tried], place[truth[tried]], seed)
    centre = material.generic[train[material.photo[train]]].mean(axis=0)
    return Known(
        image=image,
        text=text,
        both=pool(image, text),
        logits=logits,
        images={name: space_vectors(name, embedding, material.generic, centre) for name in SPACES},
        pool=pool,
    )


@dataclass(frozen=True)
class Trial:
    """What works are measured with. images: f32 [N, D] and texts: [N] vectors of all works; truth: [N]."""

    parts: Parts
    known: Known
    truth: Rows
    images: NDArray[np.float32]
    texts: tuple[SparseVector, ...]

    def features(
        self, mode: str, rows: Rows, enrolled: Rows = NOBODY, few_shot: Rows = NOBODY
    ) -> OpensetFeatures:
        """Features of the works `rows`, where `enrolled` are enrolled by their works among `few_shot`."""
        return openset_features(
            mode,
            self.known.table(mode)[rows].max(axis=1),
            self.images[rows],
            [self.texts[row] for row in rows],
            self._prototypes(self.parts.known, self.parts.train),
            self._prototypes(enrolled, few_shot),
        )

    def _prototypes(self, artists: Rows, rows: Rows) -> Prototypes:
        place = np.full(self.truth.max() + 1, -1)
        place[artists] = np.arange(len(artists))
        own = rows[place[self.truth[rows]] >= 0]
        return make_prototypes(
            [str(artist) for artist in artists],
            place[self.truth[own]],
            self.images[own],
            [self.texts[row] for row in own],
        )
