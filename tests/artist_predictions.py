"""A run of predictions that no model made: drawn around the truth, to try fusion and evaluation with.

Some artists' photos are alike and other artists' words, so that each modality settles what the other leaves
open. How much a work shows differs from work to work and by modality. The image model boasts, the text model
is too modest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.artist.folds import FoldedWork, Folds, write_folds
from evaluation.artist.predictions import PROBABILITIES, SCORES, Predictions, write, write_about

OUTER = INNER = 5
LABELS = ("book", "cup", "vase", "scissors")


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def drawn_folds(artists: int = 12, each: int = 30, seed: int = 0, wordless: float = 0.0) -> Folds:
    """`each` works an artist, one more for every further artist; labels that lean on the artist."""
    rng = np.random.default_rng(seed)
    works = []
    for artist in range(artists):
        count = each + artist
        outer = rng.permutation(np.arange(count) % OUTER)
        inner = [rng.permutation(np.arange(count) % INNER) for _ in range(OUTER)]
        for index in range(count):
            own = int(outer[index])
            labels = {LABELS[artist % 4]: 0.9} if rng.random() < 0.5 else {}
            if rng.random() < 0.3:
                labels[str(rng.choice(LABELS))] = float(rng.uniform(0.1, 0.9))
            works.append(
                FoldedWork(
                    id=f"w{artist:02d}-{index:03d}",
                    artist=f"artist {artist:02d}",
                    outer=own,
                    inner=tuple(None if k == own else int(inner[k][index]) for k in range(OUTER)),
                    characters=0 if rng.random() < wordless else int(rng.integers(10, 300)),
                    labels=labels,
                )
            )
    return Folds(tuple(works), seed=seed, outer=OUTER, inner=INNER)


def drawn_run(folder: Path, folds: Folds, seed: int = 0, neighbours: bool = True) -> Path:
    """Writes folds and predictions of image, text, labels and both neighbours."""
    rng = np.random.default_rng(seed)
    write_folds(folder, folds)
    count = len(folds.artists)
    truth = folds.truth(list(folds.works))
    position = {work.id: index for index, work in enumerate(folds.works)}
    wordless = np.array([work.characters == 0 for work in folds.works])
    sizes = np.log(np.bincount(truth))
    boast = {"image": 1.6, "text": 0.7, "labels": 1.0}
    shows = {"image": 1.0, "text": 1.3, "labels": 0.15}
    for name in ("image", "text", "labels"):
        alike = _alike(count, {"image": 2, "text": 3, "labels": 6}[name])
        strength = rng.gamma(2.0, shows[name], len(truth))[:, None]
        shared = strength * 2.2 * alike[truth] + rng.normal(0, 1, (len(truth), count)) + 0.2 * sizes
        for model, kind in ((name, PROBABILITIES), (f"knn_{name}", SCORES)):
            if kind == SCORES and (name == "labels" or not neighbours):
                continue
            for outer in range(folds.outer):
                logits = shared + rng.normal(0, 0.7, (folds.inner, len(truth), count))
                tables = softmax(boast[name] * logits) if kind == PROBABILITIES else np.tanh(logits / 8)
                if name == "text":
                    tables[:, wordless] = 0
                test = [position[work.id] for work in folds.tested(outer)]
                train = [position[work.id] for work in folds.trained(outer)]
                predictions = Predictions(
                    artists=folds.artists,
                    test_ids=tuple(folds.works[place].id for place in test),
                    test=tables[:, test].mean(axis=0),
                    test_each=tables[:, test],
                    oof_ids=tuple(folds.works[place].id for place in train),
                    oof=tables[folds.inner_folds(outer), train],
                )
                write(folder, model, outer, predictions, folds, kind=kind)
            write_about(folder, model, kind=kind, what=f"drawn {model}", seed=seed)
    return folder


def _alike(count: int, group: int) -> NDArray[np.float64]:
    """How alike artists are, [A,A]: 1 with oneself, .8 within a group of neighbours, else 0."""
    groups = np.arange(count) // group if group == 2 else np.arange(count) % max(1, count // group)
    return np.where(groups[:, None] == groups[None], 0.8, 0.0) + 0.2 * np.eye(count)
