"""Models and prototypes of some artists, from the features and words of some of their works.

What `openset` and `export` share: the image head on cached descriptions, fastText on words, and the spaces in
which photos are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nails.artist.fusion import softmax
from nails.artist.openset import Prototypes
from nails.artist.text_vectors import SparseRows, SparseVector, mean_direction
from nails.language.morphemes import split_morphemes
from nails.language.words import split_words
from training.artist.image import feature_step
from training.artist.image.image_step import with_photo
from training.artist.image.network import ArtistHead
from training.artist.image.training import ArtistConfig, train_head
from training.artist.job import ArtistJob
from training.artist.nested import Nest
from training.artist.text.steps import FASTTEXT, ask_fasttext
from training.artist.text.words import Words
from training.kit.compute import CPU, Compute
from training.kit.data.features import load

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
EMBEDDING, FEATURES, TOGETHER = "embedding", "features", "together"
SPACES = (EMBEDDING, FEATURES, TOGETHER)
"""Of photos' vectors: the head's embedding, the encoders' align and style, or both, weighing the same."""
READERS: Mapping[str, Callable[[str], Words]] = {"words": split_words, "morphemes": split_morphemes}
"""How the served text model divides texts: without a dictionary, or with that of the step `text`, whose 250
MB the service then needs as well."""
WORDS: Mapping[str, Any] = {**FASTTEXT, "lr": 0.25, "wordNgrams": 2, "epoch": 25}
"""fastText as it is served."""
_BLOCK = 2048


@dataclass(frozen=True)
class Material:
    """All works of a run in the order of its folds.

    description: f16 [N, V, D], view 0 the serving view; generic: f32 [N, G] of length 1, zeros without a
    photo; photo: bool [N]; lines, texts: words as the text model reads them, and as they were written.
    """

    nest: Nest
    description: NDArray[np.float16]
    generic: NDArray[np.float32]
    photo: NDArray[np.bool_]
    reader: str
    lines: tuple[Words, ...]
    texts: tuple[str, ...]
    compute: Compute = CPU


def read_material(job: ArtistJob, nest: Nest) -> Material:
    """The features of the step `features` with the works.

    Raises StepError.
    """
    reader = job.openset.words
    folder = job.out / feature_step.FOLDER / feature_step.NAME
    found = load(folder, ("description", "align", "style"), len(nest.works))
    return Material(
        nest=nest,
        description=found["description"],
        generic=np.concatenate([unit(found[name][:, 0]) for name in ("align", "style")], axis=1),
        photo=with_photo(nest),
        reader=reader,
        lines=tuple(READERS[reader](work.text) for work in nest.works),
        texts=tuple(work.text for work in nest.works),
        compute=job.compute,
    )


def fit_head(material: Material, rows: Rows, labels: Rows, artists: int, config: ArtistConfig) -> ArtistHead:
    """A head trained on the works of `rows` that have a photo. labels: [n], of `rows`."""
    seen = material.photo[rows]
    return train_head(material.description[rows[seen]], labels[seen], artists, config, material.compute)


@torch.no_grad()
def look(head: ArtistHead, material: Material, rows: Rows) -> tuple[Floats, Floats, NDArray[np.float32]]:
    """(probabilities f64 [n, A], logits f64 [n, A], embedding f32 [n, 256]); zeros without a photo."""
    parts = []
    for start in range(0, len(rows), _BLOCK):
        views = material.description[rows[start : start + _BLOCK], 0].astype(np.float32)
        logits, embedding = head(torch.from_numpy(views))
        parts.append((logits.numpy().astype(np.float64), embedding.numpy()))
    logits = np.concatenate([part[0] for part in parts])
    embedding = np.concatenate([part[1] for part in parts])
    missing = ~material.photo[rows]
    probabilities = softmax(logits)
    probabilities[missing], embedding[missing] = 0.0, 0.0
    return probabilities, logits, embedding


def text_probabilities(model: Any, lines: Sequence[Words], artists: int) -> Floats:
    """Probabilities f64 [n, A] of a model with numbers as labels; zeros for lines without a known word."""
    known = [line if any(model.get_word_id(word) >= 0 for word in line) else [] for line in lines]
    return np.asarray(ask_fasttext(model, known, artists), np.float64)


def space_vectors(
    name: str, embedding: NDArray[np.float32], generic: NDArray[np.float32], centre: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The vectors of a space, f32 [n, D] of length 1, zeros without a photo.

    centre: f32 [G], mean of `generic` over the works trained on: what all photos have in common tells nobody
    from anybody.
    """
    shown = generic.any(axis=1, keepdims=True)
    own = unit(np.where(shown, generic - centre, 0))
    if name == EMBEDDING:
        return unit(embedding)
    return own if name == FEATURES else unit(np.concatenate([unit(embedding), own], axis=1))


def make_prototypes(
    artists: Sequence[str], labels: Rows, images: NDArray[np.float32], texts: Sequence[SparseVector]
) -> Prototypes:
    """Of artists 0 .. len(artists) - 1. labels [n], images f32 [n, D] and n texts: their works."""
    own = [np.flatnonzero(labels == place) for place in range(len(artists))]
    return Prototypes(
        tuple(artists),
        unit(np.array([images[rows].sum(axis=0) for rows in own]).reshape(-1, images.shape[1])),
        SparseRows.stack(mean_direction(texts[row] for row in rows.tolist()) for rows in own),
    )


def unit(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Rows of length 1; zeros stay zeros."""
    wide = np.asarray(vectors, np.float32)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(wide / np.where(length > 0, length, 1), np.float32)
