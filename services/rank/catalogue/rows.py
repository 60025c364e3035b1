"""A design as it lies in Milvus.

The collections of a catalogue version hold one row per design: `NAME_vN` (the fused vector and all stored
fields) and its companions (`catalogue.companions`). A design exists if and only if it is in the first; a row
that is only in a companion is the rest of an interrupted write and is never shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nails.colour.palette import PaletteColour
from nails.colour.palette_match import ShownColour
from nails.language.words import split_words
from services.rank.upstream import Box

# Raise when what is stored for an unchanged design changes, so that every design is written anew.
_DIGEST_VERSION = 1

MAX_VARCHAR_BYTES = 65_535
NO_VECTOR = (1.0, 0.0)
"""Milvus wants a vector in every row; this one carries no information and is the shortest possible."""
FILTER_FIELDS = ("artist_id", "tags", "attributes", "context")
"""Scalars that every searched collection carries."""
LIGHT_FIELDS = ("facts", "digest")
"""What scoring needs of a row."""
FULL_FIELDS = (
    "design_id",
    *FILTER_FIELDS,
    "title",
    "description",
    "photo",
    "facts",
    "fingerprint",
    "index_time_ms",
)


@dataclass(frozen=True)
class DesignText:
    """The text fields of a design, validated. attributes: in the order of their names."""

    design_id: str
    title: str
    description: str
    artist_id: str
    tags: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    context: str

    @property
    def prose(self) -> str:
        """Title, description and tags in one text, for the encoder and for full-text search."""
        return "\n".join(part for part in (self.title, self.description, ", ".join(self.tags)) if part)

    def digest(self, photo_sha256: str) -> str:
        """sha256 (hex) over everything that is stored for the design."""
        content = [
            _DIGEST_VERSION,
            self.title,
            self.description,
            self.artist_id,
            self.tags,
            self.attributes,
            self.context,
            photo_sha256,
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class IndexedDesign:
    """A design with all that the models made of it; ready to be written.

    vector: of the space "design", unit length. photo: key in the blob store. digest: of text and photo.
    companions: what is kept in companion collections, by their names.
    """

    text: DesignText
    vector: Sequence[float]
    photo: str
    digest: str
    fingerprint: str
    palette: Sequence[PaletteColour]
    crop_box: Box
    index_time_ms: int
    companions: Mapping[str, Any]

    def row(self, *, bm25: bool) -> dict[str, Any]:
        """The row of `NAME_vN`."""
        row = {
            **filter_scalars(self.text),
            "vector": list(self.vector),
            "title": self.text.title,
            "description": self.text.description,
            "photo": self.photo,
            "digest": self.digest,
            "facts": _dump_facts(self.palette, self.crop_box),
            "fingerprint": self.fingerprint,
            "index_time_ms": self.index_time_ms,
        }
        if bm25:
            row["words"] = spaced_words(self.text.prose)
        return row


def filter_scalars(text: DesignText) -> dict[str, Any]:
    """The id, and the fields that filters look at: every collection that is searched has them."""
    return {
        "design_id": text.design_id,
        "artist_id": text.artist_id,
        "tags": list(text.tags),
        "attributes": [attribute_token(name, value) for name, value in text.attributes],
        "context": text.context,
    }


def attribute_token(name: str, value: str) -> str:
    """How an attribute is stored: "shape=almond". Neither part has an "=" (both are of the vocabulary)."""
    return f"{name}={value}"


def spaced_words(text: str) -> str:
    """The words of a text, joined by spaces, cut to what a VARCHAR holds; "" when it has none.

    Words of Japanese text are found by `nails.language.words`, not by Milvus, so that both languages can be
    searched by any analyser that splits at spaces.
    """
    joined = " ".join(split_words(text))
    encoded = joined.encode()
    if len(encoded) <= MAX_VARCHAR_BYTES:
        return joined
    return encoded[:MAX_VARCHAR_BYTES].decode(errors="ignore").rpartition(" ")[0]


def read_row_palette(row: Mapping[str, Any]) -> tuple[PaletteColour, ...]:
    """The stored palette of a row; empty where the photo shows no nails."""
    stored = json.loads(row["facts"])["palette"]
    return tuple(PaletteColour((lab[0], lab[1], lab[2]), weight, name) for lab, weight, name in stored)


def read_colours(row: Mapping[str, Any]) -> list[ShownColour]:
    """The stored palette of a row as plain numbers, which is quicker where hundreds are compared."""
    return [(lab, weight) for lab, weight, _ in json.loads(row["facts"])["palette"]]


def read_crop_box(row: Mapping[str, Any]) -> Box | None:
    """The stored crop box of a row."""
    box = json.loads(row["facts"])["crop_box"]
    return None if box is None else (box[0], box[1], box[2], box[3])


def read_text(row: Mapping[str, Any]) -> DesignText:
    """The text fields of a full row."""
    attributes = (token.partition("=") for token in row["attributes"])
    return DesignText(
        design_id=row["design_id"],
        title=row["title"],
        description=row["description"],
        artist_id=row["artist_id"],
        tags=tuple(row["tags"]),
        attributes=tuple((name, value) for name, _, value in attributes),
        context=row["context"],
    )


def _dump_facts(palette: Sequence[PaletteColour], box: Box) -> str:
    colours = [[list(colour.lab), colour.weight, colour.name] for colour in palette]
    return json.dumps({"palette": colours, "crop_box": list(box)})
