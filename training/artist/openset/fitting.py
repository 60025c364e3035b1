"""Fits what the unknown and enrolled artists weigh beside the trained ones (nails.artist.openset).

Everything here is a function of a few numbers of each work: the largest probability of a trained artist, the
largest cosines with trained prototypes, and the cosines with the prototypes of enrolled artists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from nails.artist.openset import BOTH, IMAGE, TEXT, Coefficients, Prototypes
from nails.artist.text_vectors import SparseVector

Floats = NDArray[np.float64]
FLOOR = 1e-12
PULL = 1e-3
"""Towards zero: keeps numbers finite where one feature alone separates trained from unknown artists."""
UNKNOWN: Final = -1
"""The label of works by an artist who is neither trained nor enrolled."""
USED: Final[Mapping[str, tuple[bool, bool]]] = {IMAGE: (True, False), TEXT: (False, True), BOTH: (True, True)}
"""Whether a mode looks at the photo and at the words."""


@dataclass(frozen=True)
class OpensetFeatures:
    """What is known of N works. best: [N] in (0, 1); near_image, near_text: [N], 0 where a mode does not
    look; enrolled_image, enrolled_text: [N, E]."""

    best: Floats
    near_image: Floats
    near_text: Floats
    enrolled_image: Floats
    enrolled_text: Floats

    def __getitem__(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> OpensetFeatures:
        return OpensetFeatures(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def openset_features(
    mode: str,
    best: Floats,
    images: NDArray[np.float32],
    texts: list[SparseVector],
    trained: Prototypes,
    enrolled: Prototypes,
) -> OpensetFeatures:
    """The features of works in a mode. images: f32 [N, D]; texts: N vectors."""
    by_image, by_text = USED[mode]
    blank = np.zeros((len(best), len(enrolled.artists)))
    zero = np.zeros(len(best))
    text_cosines = np.array([enrolled.text.cosines(text) for text in texts], np.float64) if by_text else blank
    return OpensetFeatures(
        best=best,
        near_image=np.asarray((images @ trained.image.T).max(axis=1), np.float64) if by_image else zero,
        near_text=np.array([trained.text.cosines(text).max() for text in texts]) if by_text else zero,
        enrolled_image=np.asarray(images @ enrolled.image.T, np.float64) if by_image else blank,
        enrolled_text=text_cosines.reshape(blank.shape),
    )


def unknown_logits(features: OpensetFeatures, unknown: tuple[float, float, float, float]) -> Floats:
    """U of every work, f64 [N]."""
    best = np.clip(features.best, FLOOR, 1 - FLOOR)
    b0, b1, b2, b3 = unknown
    return np.asarray(
        b0 - b1 * np.log(best / (1 - best)) - b2 * features.near_image - b3 * features.near_text
    )


def fit_unknown(
    features: OpensetFeatures, unknown_works: NDArray[np.bool_], mode: str
) -> tuple[float, float, float, float]:
    """b0 .. b3 by logistic regression, both kinds of works weighing the same; none but b0 negative.

    unknown_works: bool [N], works of artists that the models never saw.
    """
    best = np.clip(features.best, FLOOR, 1 - FLOOR)
    inputs = np.stack(
        [np.ones(len(best)), -np.log(best / (1 - best)), -features.near_image, -features.near_text], axis=1
    )
    weight = np.where(unknown_works, 0.5 / unknown_works.sum(), 0.5 / (~unknown_works).sum())
    target = unknown_works.astype(np.float64)

    def loss(numbers: Floats) -> tuple[float, Floats]:
        z = inputs @ numbers
        value = weight @ (np.logaddexp(0, z) - target * z) + PULL * numbers[1:] @ numbers[1:] / 2
        slope = inputs.T @ (weight * (sigmoid(z) - target))
        slope[1:] += PULL * numbers[1:]
        return float(value), slope

    used = USED[mode]
    bounds = [(None, None), (0, None), *((0, None) if one else (0, 0) for one in used)]
    found = minimize(loss, np.array([0.0, 1.0, 1.0 * used[0], 1.0 * used[1]]), jac=True, bounds=bounds)
    b0, b1, b2, b3 = (float(number) for number in found.x)
    return b0, b1, b2, b3


def fit_enrolled(
    features: OpensetFeatures,
    right: Floats,
    labels: NDArray[np.int64],
    unknown: tuple[float, float, float, float],
    mode: str,
) -> tuple[float, float, float, float]:
    """a0 .. a3 with the highest likelihood of what is right.

    labels: [N], place of the enrolled artist; UNKNOWN for works of unknown artists; -2 for works of trained
    artists, whose own probability among the trained is right [N]. Works of trained artists weigh
    as much as all others.
    """
    odds = unknown_logits(features, unknown)
    trained, unknown_works = labels == -2, labels == UNKNOWN
    enrolled = ~trained & ~unknown_works
    weight = np.zeros(len(labels))
    for kind, share in ((trained, 0.5), (unknown_works, 0.25), (enrolled, 0.25)):
        if kind.any():
            weight[kind] = share / kind.sum()
    image = features.enrolled_image - features.near_image[:, None]
    text = features.enrolled_text - features.near_text[:, None]
    rows = np.flatnonzero(enrolled)
    shape = (len(labels), image.shape[1])

    def loss(numbers: Floats) -> tuple[float, Floats]:
        a0, a1, a2, a3 = numbers
        logits = a0 + a1 * odds[:, None] + a2 * image + a3 * text
        every = np.concatenate([np.zeros((len(odds), 1)), odds[:, None], logits], axis=1)
        top = every.max(axis=1, keepdims=True)
        powers = np.exp(every - top)
        total = powers.sum(axis=1)
        own = np.where(trained, np.log(np.maximum(right, FLOOR)), odds)
        own[rows] = logits[rows, labels[rows]]
        value = weight @ (np.log(total) + top[:, 0] - own) + PULL * numbers @ numbers / 2
        shares = powers[:, 2:] / total[:, None] * weight[:, None]
        shares[rows, labels[rows]] -= weight[rows]
        slopes = [shares.sum(), (shares * odds[:, None]).sum(), (shares * image).sum(), (shares * text).sum()]
        return float(value), np.array(slopes) + PULL * numbers

    assert shape == text.shape
    used = USED[mode]
    bounds = [(None, None), (0, 1), *((0, None) if one else (0, 0) for one in used)]
    found = minimize(loss, np.array([-1.0, 0.5, 5.0 * used[0], 5.0 * used[1]]), jac=True, bounds=bounds)
    a0, a1, a2, a3 = (float(number) for number in found.x)
    return a0, a1, a2, a3


def distribution(fused: Floats, features: OpensetFeatures, numbers: Coefficients) -> Floats:
    """Probabilities f64 [N, A + E + 1] of trained artists, enrolled artists and the unknown."""
    odds = unknown_logits(features, numbers.unknown)
    a0, a1, a2, a3 = numbers.enrolled
    image = features.enrolled_image - features.near_image[:, None]
    text = features.enrolled_text - features.near_text[:, None]
    logits = a0 + a1 * odds[:, None] + a2 * image + a3 * text
    weights = np.exp(np.clip(np.concatenate([logits, odds[:, None]], axis=1), -60, 60))
    table = np.concatenate([fused, weights], axis=1)
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def sigmoid(values: Floats) -> Floats:
    """1 / (1 + exp(-values))."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -60, 60))))
