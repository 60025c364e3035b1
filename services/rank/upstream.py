"""What CropService and EmbedService answer, as plain values; made by `clients`, read everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nails.aesthetic.tokens import Packing
from nails.colour.palette import PaletteColour
from nails.language.phrases import Phrase
from services.kit.errors import FailedPrecondition
from services.kit.models import ModelVersion

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in pixels of the upright photo."""


@dataclass(frozen=True)
class Vector:
    """A vector and the fingerprint of its space; vectors of different fingerprints are never compared."""

    values: Sequence[float]
    fingerprint: str


@dataclass(frozen=True)
class CroppedPhoto:
    """crop: the encoded crop of one hand, empty where the photo shows no nails. palette: of the nails."""

    crop: bytes
    crop_box: Box
    palette: tuple[PaletteColour, ...]
    models: tuple[ModelVersion, ...]


@dataclass(frozen=True)
class ImageTokens:
    """Image tokens of a whole photo: their packed bytes, numbers of a token, and the fingerprint of both."""

    data: bytes
    packing: Packing
    dimensions: int
    fingerprint: str


@dataclass(frozen=True)
class EmbeddedDesign:
    """Vectors of one design.

    design: of the space "design". align: of its crop, in the space "align". tokens, photo_align (the whole
    photo in the space "align"): None where they were not asked for.
    """

    design: Vector
    align: Vector
    models: tuple[ModelVersion, ...]
    tokens: ImageTokens | None = None
    photo_align: Vector | None = None


@dataclass(frozen=True)
class EmbeddedQuery:
    """The vector of one request in the space "design", and what was read out of its text.

    palette: the caller's, else the colours that the text names. tags: vectors of what the text is about, in
    the space "text"; empty where they were not asked for.
    """

    design: Vector
    phrases: tuple[Phrase, ...]
    palette: tuple[PaletteColour, ...]
    tags: tuple[Vector, ...]
    models: tuple[ModelVersion, ...]


def check_fingerprint(actual: str, expected: str) -> None:
    """Raises FailedPrecondition FINGERPRINT_MISMATCH: vectors of different models are never compared.

    actual: of what EmbedService makes now. expected: of the catalogue version.
    """
    if actual != expected:
        raise fingerprint_mismatch({"expected": expected, "actual": actual})


def fingerprint_mismatch(metadata: Mapping[str, str]) -> FailedPrecondition:
    """The error for a catalogue version whose models EmbedService no longer runs. metadata: fingerprints."""
    return FailedPrecondition(
        "EmbedService runs other models than those that made this catalogue version, and their vectors "
        "cannot be compared. Use a version that was made with its present models; where there is none, "
        "create one, index the designs into it and promote it.",
        reason="FINGERPRINT_MISMATCH",
        metadata=dict(metadata),
    )
