"""From the raw outputs of two models to probabilities that can be believed (paper A (a), (d)).

The arithmetic itself is in nails: `artist_fusion` brings the modalities together, `artist_openset` lets
enrolled artists and the unknown compete with them. Arrays are over one list of artists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import Pool, normalised, tempered
from nails.artist.openset import BOTH, IMAGE, TEXT, Joint, Nearness, OpenSet, joint

Probabilities = NDArray[np.float64]

_POOL = ("image_power", "text_power")
_LINEAR = ("image_temperature", "text_temperature", "fused_temperature", "image_weight")


@dataclass(frozen=True)
class Calibration:
    """Numbers fitted on held-out works, carried by the parameters of the model `artist_image`.

    image_temperature, text_temperature: > 0; divide the log-probabilities of a modality.
    pool: the log-linear pool of both modalities. Where a model has none, they are averaged:
    image_weight: in [0, 1]; share of the photo (paper A: 5:5).
    fused_temperature: the same after averaging, because an average of calibrated models is too modest.
    openset: what the unknown and enrolled artists weigh.
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
        known = {name: _number(parameters, name) for name in _LINEAR if name in parameters}
        given = [name for name in _POOL if name in parameters]
        pool = None
        if given:
            temperatures = {name: known.get(name, 1.0) for name in _LINEAR[:2]}
            pool = Pool.read({name: _number(parameters, name) for name in given} | temperatures)
        return cls(**known, pool=pool, openset=OpenSet.from_parameters(parameters))

    def fuse(self, image: Probabilities, text: Probabilities) -> Probabilities:
        """What both say of the trained artists, from raw probabilities [A]; sums to 1."""
        if self.pool is not None:
            return self.pool(image, text)
        by_image = tempered(image, self.image_temperature)
        by_text = tempered(text, self.text_temperature)
        mixed = self.image_weight * by_image + (1.0 - self.image_weight) * by_text
        # An artist whom the models exclude stays excluded: a zero is not a small number here.
        return normalised(np.where(mixed > 0, tempered(mixed, self.fused_temperature), 0.0))


@dataclass(frozen=True)
class Verdict:
    """What is to be believed of one work.

    both: the distribution from all that is known of it. image, text: from one modality alone, None where it
    had no part; there the unknown is left out, and trained and enrolled artists sum to 1.
    """

    both: Joint
    image: Joint | None
    text: Joint | None


def judge(
    *,
    image: Probabilities | None,
    text: Probabilities | None,
    calibration: Calibration,
    nearness: Nearness | None = None,
    mute: bool = False,
) -> Verdict:
    """Fuses what the photo and the words say; with one of them missing, the other speaks alone.

    image, text: raw probabilities [A] over the same artists, at least one given. Raises ValueError for none.
    mute: the words are there, and the models know none of them: they have no part in the fusion, but how near
    they are to enrolled artists' words still counts. Where they are near none of these either, a photo is
    judged as if it came without words: the numbers of BOTH were fitted for words that say something.
    Invariant: where both modalities prefer trained artist k, so does their fusion.
    """
    nearness = nearness if nearness is not None else Nearness()
    openset = calibration.openset
    if mute and image is not None and not _any_near(nearness.enrolled_text):
        text = None
    by_image = None if image is None else _alone(image, calibration.image_temperature)
    by_text = None if text is None else _alone(text, calibration.text_temperature)
    if image is not None and text is not None:
        mode, fused = BOTH, calibration.fuse(image, text)
        if mute and by_image is not None:
            fused = by_image
    elif by_image is not None:
        mode, fused = IMAGE, by_image
    elif by_text is not None:
        mode, fused = TEXT, by_text
    else:
        raise ValueError("a photo or words are needed")
    return Verdict(
        both=joint(fused, nearness, openset, mode),
        image=None if by_image is None else _known(joint(by_image, nearness, openset, IMAGE)),
        text=None if by_text is None else _known(joint(by_text, nearness, openset, TEXT)),
    )


def _any_near(cosines: NDArray[np.float64] | None) -> bool:
    """NaN, an artist without words, is not near."""
    return cosines is not None and bool((cosines > 0).any())


def _alone(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Tempered; artists that a model does not know stay at zero."""
    return normalised(np.where(probabilities > 0, tempered(probabilities, temperature), 0.0))


def _known(found: Joint) -> Joint:
    """Without the unknown."""
    total = float(found.trained.sum() + found.enrolled.sum())
    return Joint(found.trained / total, found.enrolled / total, 0.0)


def _number(parameters: Mapping[str, str], name: str) -> float:
    try:
        return float(parameters[name])
    except ValueError:
        raise ValueError(f"{name}: {parameters[name]!r:.60} is not a number") from None
