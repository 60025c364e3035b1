"""One distribution over trained artists, few-shot (enrolled) artists and the unknown class.

The models give probabilities p over the artists that they were trained on. Three features tell that somebody
else made a work: no trained artist is likely, the photo is far from all of their photos, and the text from
all of their texts. With n_i, n_t the largest cosine of the photo's and the text's vector with a trained
artist's prototype (the direction of the mean of their works' vectors), and p1 the largest probability,

    U   = b0 - b1 ln(p1 / (1 - p1)) - b2 n_i - b3 n_t                    odds of the unknown class: exp(U)
    E_k = a0 + a1 U + a2 (c_ik - n_i) + a3 (c_tk - n_t)                    odds of enrolled artist k: exp(E_k)

with c_ik, c_tk the cosines with the prototypes of k: an enrolled artist is weighed by how much nearer they
are than the nearest trained one. Trained artists share the weight 1 as p says; everything is divided by
1 + sum exp(E_k) + exp(U). Without enrolled artists the unknown has the probability sigmoid(U).

The coefficients depend on the mode, on whether a work has a photo, text, or both; they are fitted on works of
artists whom the models never saw (training/artist/openset/step.py). Pure arithmetic; no term reads another
work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nails.artist.text_vectors import SparseRows, SparseVector

Probabilities = NDArray[np.float64]
IMAGE, TEXT, BOTH = "image", "text", "both"
MODES: Final = (IMAGE, TEXT, BOTH)
_MAX_LOGIT = 60.0  # exp of more changes no probability
_FLOOR = 1e-12


@dataclass(frozen=True)
class Coefficients:
    """unknown: b0 .. b3, enrolled: a0 .. a3 of the module's formulas; b1, b2, b3, a2 and a3 are >= 0."""

    unknown: tuple[float, float, float, float]
    enrolled: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        for numbers in (self.unknown, self.enrolled):
            if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers):
                raise ValueError("must be four finite numbers")
        if min(self.unknown[1:]) < 0 or min(self.enrolled[2:]) < 0:
            raise ValueError("similarity to an artist must not make them less probable")


@dataclass(frozen=True)
class OpenSet:
    """The coefficients of every mode."""

    modes: Mapping[str, Coefficients] = field(default_factory=dict)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> OpenSet:
        """Reads `unknown_MODE` and `enrolled_MODE`, four numbers each. Raises ValueError that names the key.

        Where no mode is given, the older `unknown_bias` and `unknown_slope` serve all modes, and no artist
        can be enrolled.
        """
        given = {mode: _coefficients(parameters, mode) for mode in MODES if f"unknown_{mode}" in parameters}
        if given and set(given) != set(MODES):
            raise ValueError(f"unknown_{(set(MODES) - set(given)).pop()}: missing")
        if not given:
            bias, slope = (
                _floats(parameters, key, 1, default)[0]
                for key, default in (("unknown_bias", 0.0), ("unknown_slope", 1.0))
            )
            if slope < 0:
                raise ValueError("unknown_slope: must not be negative")
            given = dict.fromkeys(MODES, Coefficients((bias, slope, 0.0, 0.0), (-_MAX_LOGIT, 0.0, 0.0, 0.0)))
        return cls(given)

    def to_parameters(self) -> dict[str, str]:
        """What `from_parameters` reads."""
        return {
            f"{what}_{mode}": " ".join(f"{number:.6g}" for number in getattr(numbers, what))
            for mode, numbers in self.modes.items()
            for what in ("unknown", "enrolled")
        }


@dataclass(frozen=True)
class Prototypes:
    """Directions of artists' works: image f32 [A, D], rows of length 1 or zero; text [A] sparse rows."""

    artists: tuple[str, ...]
    image: NDArray[np.float32]
    text: SparseRows

    def __post_init__(self) -> None:
        if not len(self.artists) == len(self.image) == len(self.text):
            raise ValueError("artists, image and text must have the same length")

    def image_cosines(self, query: NDArray[np.floating] | None) -> NDArray[np.float64] | None:
        """f64 [A] in [-1, 1] for a unit vector [D], NaN for artists without a photo; None without a query."""
        if query is None:
            return None
        found = np.clip(np.asarray(self.image @ np.asarray(query, np.float32), np.float64), -1.0, 1.0)
        return np.where(self.image.any(axis=1), found, np.nan)

    def text_cosines(self, query: SparseVector | None) -> NDArray[np.float64] | None:
        """f64 [A] in [0, 1], NaN for an artist without words; None without a query."""
        if query is None:
            return None
        found = np.asarray(self.text.cosines(query), np.float64)
        return np.where(np.diff(self.text.starts) > 0, found, np.nan)


@dataclass(frozen=True)
class PrototypeCosines:
    """Cosines of one work with prototypes of trained and of enrolled artists, NaN where an artist has no such
    prototype; None where the work has no such part.
    """

    trained_image: NDArray[np.float64] | None = None
    trained_text: NDArray[np.float64] | None = None
    enrolled_image: NDArray[np.float64] | None = None
    enrolled_text: NDArray[np.float64] | None = None

    def restrict(self, mode: str) -> PrototypeCosines:
        """Without the cosines of a modality that the mode has not."""
        return PrototypeCosines(
            self.trained_image if mode != TEXT else None,
            self.trained_text if mode != IMAGE else None,
            self.enrolled_image if mode != TEXT else None,
            self.enrolled_text if mode != IMAGE else None,
        )


@dataclass(frozen=True)
class JointDistribution:
    """trained [A], enrolled [E] and unknown sum to 1."""

    trained: Probabilities
    enrolled: Probabilities
    unknown: float


def unknown_logit(best: float, near_image: float, near_text: float, coefficients: Coefficients) -> float:
    """U. best: the largest probability of a trained artist; near_*: the largest cosines, 0 where absent."""
    best = min(max(best, _FLOOR), 1.0 - _FLOOR)
    b0, b1, b2, b3 = coefficients.unknown
    return b0 - b1 * math.log(best / (1.0 - best)) - b2 * near_image - b3 * near_text


def joint_distribution(
    fused: Probabilities, cosines: PrototypeCosines, openset: OpenSet, mode: str
) -> JointDistribution:
    """The distribution of one work. fused: [A] of the trained artists, sums to 1.

    An enrolled artist whose works have no text (no photos) is weighed by the coefficients of the other
    modality, and has no weight where neither can be compared.
    """
    cosines, coefficients = cosines.restrict(mode), openset.modes[mode]
    near_image = _largest(cosines.trained_image)
    near_text = _largest(cosines.trained_text)
    unknown = unknown_logit(float(fused.max()), near_image, near_text, coefficients)
    count = next((len(one) for one in (cosines.enrolled_image, cosines.enrolled_text) if one is not None), 0)
    absent = np.full(count, np.nan)
    image = (absent if cosines.enrolled_image is None else cosines.enrolled_image) - near_image
    text = (absent if cosines.enrolled_text is None else cosines.enrolled_text) - near_text

    def weigh(by: str) -> Probabilities:
        a0, a1, a2, a3 = openset.modes[by].enrolled
        return np.asarray(a0 + a1 * unknown + a2 * np.nan_to_num(image) + a3 * np.nan_to_num(text))

    logits = np.select(
        [~np.isnan(image) & ~np.isnan(text), ~np.isnan(image), ~np.isnan(text)],
        [weigh(mode), weigh(IMAGE), weigh(TEXT)],
        -_MAX_LOGIT,
    )
    weights = np.exp(np.clip(np.concatenate([logits, [unknown]]), -_MAX_LOGIT, _MAX_LOGIT))
    total = 1.0 + float(weights.sum())
    return JointDistribution(
        trained=fused / total, enrolled=weights[:-1] / total, unknown=float(weights[-1]) / total
    )


def _largest(cosines: NDArray[np.float64] | None) -> float:
    present = np.zeros(0) if cosines is None else cosines[~np.isnan(cosines)]
    return float(present.max()) if len(present) else 0.0


def _coefficients(parameters: Mapping[str, str], mode: str) -> Coefficients:
    b0, b1, b2, b3 = _floats(parameters, f"unknown_{mode}", 4, 0.0)
    a0, a1, a2, a3 = _floats(parameters, f"enrolled_{mode}", 4, 0.0)
    try:
        return Coefficients((b0, b1, b2, b3), (a0, a1, a2, a3))
    except ValueError as error:
        raise ValueError(f"unknown_{mode}, enrolled_{mode}: {error}") from None


def _floats(parameters: Mapping[str, str], key: str, count: int, default: float) -> list[float]:
    try:
        numbers = [float(part) for part in parameters.get(key, str(default)).split()]
    except ValueError:
        raise ValueError(f"{key}: {parameters[key]!r:.60} is not made of numbers") from None
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{key}: must be {count} finite numbers")
    return numbers
