"""From the raw outputs of two models to probabilities that can be believed (paper A (a), (d)).

Pure arithmetic on arrays over one list of artists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]

_FLOOR = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Numbers fitted on held-out works, carried by the parameters of the model `artist_image`.

    image_temperature, text_temperature: > 0; divide the log-probabilities of a modality.
    fused_temperature: the same after fusion, because a linear average of calibrated models is too modest.
    image_weight: in [0, 1]; share of the photo when both modalities are present (paper A: 5:5).
    unknown_bias, unknown_slope: P(unknown) = sigmoid(unknown_bias - unknown_slope * ln(p1 / (1 - p1))) with
    p1 the probability of the best artist.
    """

    image_temperature: float = 1.0
    text_temperature: float = 1.0
    fused_temperature: float = 1.0
    image_weight: float = 0.5
    unknown_bias: float = 0.0
    unknown_slope: float = 1.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(getattr(self, field.name)) for field in fields(self)):
            raise ValueError("calibration parameters must be finite")
        if min(self.image_temperature, self.text_temperature, self.fused_temperature) <= 0:
            raise ValueError("temperatures must be positive")
        if not 0 <= self.image_weight <= 1:
            raise ValueError("image_weight must be in [0, 1]")
        if self.unknown_slope < 0:
            raise ValueError("unknown_slope must not be negative")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Calibration:
        """Reads the fields by name; those that are absent keep their defaults. Raises ValueError."""
        known = {
            field.name: float(parameters[field.name]) for field in fields(cls) if field.name in parameters
        }
        return cls(**known)


@dataclass(frozen=True)
class Verdict:
    """Probabilities of one work over the artists; `image` and `text` are zeros where absent.

    fused * (1 - unknown) + unknown sums to 1.
    """

    fused: Probabilities
    image: Probabilities
    text: Probabilities
    unknown: float


def softmax(logits: NDArray[np.floating]) -> Probabilities:
    """Probabilities over the last axis, in float64."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """p^(1/T), normalised; zeros stay zeros. A vector of zeros (an absent modality) stays as it is."""
    if temperature == 1.0 or not probabilities.any():
        return probabilities
    logs = np.log(np.maximum(probabilities, _FLOOR)) / temperature
    powers = np.where(probabilities > 0, np.exp(logs - logs.max()), 0.0)
    return np.asarray(powers / powers.sum(), np.float64)


def judge(*, image: Probabilities | None, text: Probabilities | None, calibration: Calibration) -> Verdict:
    """Fuses what the photo and the words say; with one of them missing, the other speaks alone.

    image, text: raw probabilities [A] over the same artists, at least one given. Raises ValueError for none.
    Invariant: where both calibrated models prefer artist k, so does their fusion.
    """
    given = next((array for array in (image, text) if array is not None), None)
    if given is None:
        raise ValueError("a photo or words are needed")
    absent = np.zeros_like(given)
    by_image = absent if image is None else tempered(image, calibration.image_temperature)
    by_text = absent if text is None else tempered(text, calibration.text_temperature)
    if image is None:
        fused = by_text
    elif text is None:
        fused = by_image
    else:
        weight = calibration.image_weight
        mixed = weight * by_image + (1.0 - weight) * by_text
        fused = tempered(mixed / mixed.sum(), calibration.fused_temperature)
    return Verdict(
        fused=fused, image=by_image, text=by_text, unknown=_unknown(float(fused.max()), calibration)
    )


def _unknown(best: float, calibration: Calibration) -> float:
    best = min(max(best, _FLOOR), 1.0 - _FLOOR)
    logit = calibration.unknown_bias - calibration.unknown_slope * math.log(best / (1.0 - best))
    return 1.0 / (1.0 + math.exp(-logit))
