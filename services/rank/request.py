"""A search request as the service works with it: validated, free of messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from nails.colour.palette import PaletteColour
from services.rank.photos.store import PhotoInput


class ArtistScope(Enum):
    """Which artists' designs a search with a reference design may return."""

    ANY = "any"
    SAME = "same"
    OTHERS = "others"


@dataclass(frozen=True)
class SearchRequest:
    """expression: of the filters. weights: of the channels; the caller's or the defaults.

    artist_scope: seen from the artist of `reference_design_id`. aesthetic_weight: in [0, 0.5], None for the
    default. aesthetic_tags: the caller's words for what the photos should be; may be empty.
    """

    text: str
    palette: tuple[PaletteColour, ...]
    reference_photo: PhotoInput | None
    reference_design_id: str
    context: str
    expression: str
    weights: Mapping[str, float]
    artist_scope: ArtistScope = ArtistScope.ANY
    aesthetic_weight: float | None = None
    aesthetic_tags: tuple[str, ...] = ()
