"""Late fusion of the artist probabilities from a photo and from text (paper A (a), (d)).

Tables are probabilities [..., A] over one list of artists. A row of zeros says that its modality is missing;
the other one then counts alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
FLOOR: Final = 1e-7
"""Probabilities below this count as this where logarithms are taken: half precision holds no smaller ones,
and no modality can rule out an artist whom the other one prefers."""


def normalise(table: NDArray[np.floating[Any]]) -> Table:
    """Rows scaled to sum 1; rows of zeros stay zeros. f64 [..., A]."""
    sums = np.asarray(table, np.float64).sum(axis=-1, keepdims=True)
    return np.asarray(table / np.where(sums == 0, 1, sums), np.float64)


def log_probabilities(table: NDArray[np.floating[Any]]) -> Table:
    """ln p, floored; rows of zeros (a missing modality) are as of equal probabilities. f64 [..., A]."""
    logs = np.log(np.maximum(np.asarray(table, np.float64), FLOOR))
    return np.where(is_missing(table)[..., None], -math.log(table.shape[-1]), logs)


def is_missing(table: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which rows are zeros, bool [...]."""
    return np.asarray(~np.asarray(table).any(axis=-1), np.bool_)


def softmax(logits: NDArray[np.floating[Any]]) -> Table:
    """Probabilities over the last axis; entries of -inf get 0, but not all of a row may be."""
    powers = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    powers = np.exp(powers)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def temper(table: NDArray[np.floating[Any]], temperature: float) -> Table:
    """p^(1/T), rows normalised: T > 1 makes a model less confident. Rows of zeros stay zeros."""
    if temperature <= 0:
        raise ValueError("a temperature must be positive")
    return np.where(is_missing(table)[..., None], 0.0, softmax(log_probabilities(table) / temperature))


def linear_pool(image: NDArray[np.floating[Any]], text: NDArray[np.floating[Any]], weight: float) -> Table:
    """weight · image + (1 - weight) · text, rows normalised; weight in (0, 1) (paper A: .5).

    Where both prefer artist k, so does their mean, whatever the weight.
    """
    if not 0 < weight < 1:
        raise ValueError("weight must be between 0 and 1")
    return normalise(weight * np.asarray(image, np.float64) + (1 - weight) * np.asarray(text, np.float64))


@dataclass(frozen=True)
class Pool:
    """The log-linear pool p ∝ image^image_power · text^text_power, both powers >= 0, not both 0.

    image_temperature, text_temperature: > 0; those of a modality that counts alone.
    """

    image_power: float
    text_power: float
    image_temperature: float = 1.0
    text_temperature: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not all(math.isfinite(getattr(self, item.name)) for item in fields(self)):
            raise ValueError("parameters of a pool must be finite")
        if min(self.image_power, self.text_power) < 0 or self.image_power + self.text_power == 0:
            raise ValueError("powers of a pool must not be negative, nor both 0")
        if min(self.image_temperature, self.text_temperature) <= 0:
            raise ValueError("temperatures must be positive")

    @classmethod
    def read(cls, parameters: Mapping[str, float]) -> Pool:
        """From a mapping that has the fields by name. Raises ValueError for absent ones."""
        names = [item.name for item in fields(cls)]
        if absent := [name for name in names if name not in parameters]:
            raise ValueError(f"the pool's {absent[0]} is missing")
        return cls(**{name: float(parameters[name]) for name in names})

    def __call__(self, image: NDArray[np.floating[Any]], text: NDArray[np.floating[Any]]) -> Table:
        """The pool of two tables [..., A]. Where both prefer artist k, so does the pool."""
        pooled = softmax(
            self.image_power * log_probabilities(image) + self.text_power * log_probabilities(text)
        )
        no_image, no_text = is_missing(image)[..., None], is_missing(text)[..., None]
        alone = np.where(
            no_image,
            temper(text, self.text_temperature),
            temper(image, self.image_temperature),
        )
        return np.where(no_image | no_text, alone, pooled)
