"""From the raw outputs of two models to calibrated probabilities (paper A (a), (d)).

The arithmetic itself is in `nails.artist`: `fusion` combines the modalities, `openset` adds enrolled artists
and the unknown class. Arrays are over one list of artists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import Pool, normalise, temper
from nails.artist.openset import (
    BOTH,
    IMAGE,
    TEXT,
    JointDistribution,
    OpenSet,
    Probabilities,
    PrototypeCosines,
    joint_distribution,
)

_POOL = ("image_power", "text_power")
_LINEAR = ("image_temperature", "text_temperature", "fused_temperature", "image_weight")


@dataclass(frozen=True)
class Calibration:
    """Numbers fitted on held-out works, carried by the parameters of the model `artist_image`.

    image_temperature, text_temperature: > 0; divide the log-probabilities of a modality.
    pool: the log-linear pool of both modalities. Where a model has none, they are averaged:
    image_weight: in [0, 1]; share of the photo (paper A: 5:5).
    fused_temperature: the same after averaging, because an average of calibrated models is under-confident.
    openset: coefficients of enrolled artists and the unknown class.
    """

    image_temperature: float = 1.0
    text_temperature: float = 1.0
    fused_temperature: float = 1.0
    image_weight: float = 0.5
    pool: Pool | None = None
    openset: OpenSet = field(default_factory=lambda: OpenSet.from_parameters({}))

    def __post_init__(self) -> None:
        if not all(math.isfinite(getattr(self, name)) for name in _LINEAR):
            raise ValueError("calibration parameters must be finite")
        if min(self.image_temperature, self.text_temperature, self.fused_temperature) <= 0:
            raise ValueError("temperatures must be positive")
        if not 0 <= self.image_weight <= 1:
            raise ValueError("image_weight must be in [0, 1]")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Calibration:
        """Reads the fields by name; those that are absent keep their defaults. Raises ValueError."""
        given = {name: _number(parameters, name) for name in _LINEAR if name in parameters}
        powers = {name: _number(parameters, name) for name in _POOL if name in parameters}
        pool = None
        if powers:
            pool = Pool.read(powers | {name: given.get(name, 1.0) for name in _LINEAR[:2]})
        return cls(**given, pool=pool, openset=OpenSet.from_parameters(parameters))

    def fuse(self, image: Probabilities, text: Probabilities) -> Probabilities:
        """The fused distribution of the trained artists, from raw probabilities [A]; sums to 1."""
        if self.pool is not None:
            return self.pool(image, text)
        by_image = temper(image, self.image_temperature)
        by_text = temper(text, self.text_temperature)
        mixed = self.image_weight * by_image + (1.0 - self.image_weight) * by_text
        # An artist whom the models exclude stays excluded: a zero is not a small number here.
        return normalise(np.where(mixed > 0, temper(mixed, self.fused_temperature), 0.0))


@dataclass(frozen=True)
class ArtistProbabilities:
    """The artists of one work, by all of it and by each modality alone.

    both: from photo and text together. image, text: from one modality, None where it took no part; there the
    unknown class is left out, and trained and enrolled artists sum to 1.
    """

    both: JointDistribution
    image: JointDistribution | None
    text: JointDistribution | None


def combine_modalities(
    *,
    image: Probabilities | None,
    text: Probabilities | None,
    calibration: Calibration,
    cosines: PrototypeCosines | None = None,
    out_of_vocabulary: bool = False,
) -> ArtistProbabilities:
    """Fuses the predictions from the photo and the text; where one is missing, the other counts alone.

    image, text: raw probabilities [A] over the same artists, at least one given. Raises ValueError for none.
    out_of_vocabulary: there is text, and the text model has none of its words: it takes no part in the
    fusion, but its cosines with enrolled artists' texts still count. Where these are 0 too, a photo is scored
    as if it came without text: the coefficients of BOTH were fitted on texts with words of the vocabulary.
    Invariant: where both modalities prefer trained artist k, so does their fusion.
    """
    cosines = cosines if cosines is not None else PrototypeCosines()
    openset = calibration.openset
    if out_of_vocabulary and image is not None and not _any_positive(cosines.enrolled_text):
        text = None
    by_image = None if image is None else _calibrate(image, calibration.image_temperature)
    by_text = None if text is None else _calibrate(text, calibration.text_temperature)
    if image is not None and text is not None:
        mode, fused = BOTH, calibration.fuse(image, text)
        if out_of_vocabulary and by_image is not None:
            fused = by_image
    elif by_image is not None:
        mode, fused = IMAGE, by_image
    elif by_text is not None:
        mode, fused = TEXT, by_text
    else:
        raise ValueError("a photo or text is needed")
    return ArtistProbabilities(
        both=joint_distribution(fused, cosines, openset, mode),
        image=None
        if by_image is None
        else _without_unknown(joint_distribution(by_image, cosines, openset, IMAGE)),
        text=None
        if by_text is None
        else _without_unknown(joint_distribution(by_text, cosines, openset, TEXT)),
    )


def _any_positive(cosines: NDArray[np.float64] | None) -> bool:
    """Whether any enrolled artist has a text with common words; NaN, an artist without texts, has none."""
    return cosines is not None and bool((cosines > 0).any())


def _calibrate(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Tempered; artists that a model was not trained on stay at zero."""
    return normalise(np.where(probabilities > 0, temper(probabilities, temperature), 0.0))


def _without_unknown(joint: JointDistribution) -> JointDistribution:
    total = float(joint.trained.sum() + joint.enrolled.sum())
    return JointDistribution(joint.trained / total, joint.enrolled / total, 0.0)


def _number(parameters: Mapping[str, str], name: str) -> float:
    try:
        return float(parameters[name])
    except ValueError:
        raise ValueError(f"{name}: {parameters[name]!r:.60} is not a number") from None
