"""A design as it lies in Milvus, and how it becomes a message again.

The collections of a catalogue version hold one row per design: `NAME_vN` (the fused vector and all that is
known), `NAME_align_vN` (the crop's own vector, and what filters need) and `NAME_tokens_vN` (image tokens, for
aesthetic scores). A design exists if and only if it is in the first; a row that is only in another is the
rest of an interrupted write and is never shown. A row of tokens counts while its digest is that of the
design; else it is of an earlier photo or text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2, photo_pb2
from nails.colour.palette_match import ShownColour
from nails.language.words import split_words

# Raise when what is stored for an unchanged design changes, so that every design is written anew.
_DIGEST_VERSION = 1

MAX_VARCHAR_BYTES = 65_535
NO_VECTOR = (1.0, 0.0)
"""Milvus wants a vector in every row; this one says nothing and is the shortest that there is."""
FILTER_FIELDS = ("artist_id", "tags", "attributes", "context")
"""Scalars that both collections carry."""
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
    """What the owner says about a design; validated."""

    design_id: str
    title: str
    description: str
    artist_id: str
    tags: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]
    context: str

    @classmethod
    def of(cls, design: pb.Design) -> DesignText:
        """The words of a message; attributes in the order of their names."""
        return cls(
            design_id=design.design_id,
            title=design.title,
            description=design.description,
            artist_id=design.artist_id,
            tags=tuple(design.tags),
            attributes=tuple(sorted(design.attributes.items())),
            context=design.context,
        )

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
    """A design with all that the models said about it; ready to be written.

    design, align: unit vectors of the spaces "design" and "align".
    photo: key in the blob store. digest: of the words and the photo. tokens: as they are kept, "" for none.
    """

    text: DesignText
    design: Sequence[float]
    align: Sequence[float]
    photo: str
    digest: str
    fingerprint: str
    palette: palette_pb2.Palette
    crop_box: photo_pb2.Box
    index_time_ms: int
    tokens: str = ""

    def design_row(self, *, bm25: bool) -> dict[str, Any]:
        """The row of `NAME_vN`."""
        row = {
            **self._filter_scalars(),
            "vector": list(self.design),
            "title": self.text.title,
            "description": self.text.description,
            "photo": self.photo,
            "digest": self.digest,
            "facts": _facts(self.palette, self.crop_box),
            "fingerprint": self.fingerprint,
            "index_time_ms": self.index_time_ms,
        }
        if bm25:
            row["words"] = spaced_words(self.text.prose)
        return row

    def align_row(self) -> dict[str, Any]:
        """The row of `NAME_align_vN`."""
        return {**self._filter_scalars(), "vector": list(self.align)}

    def token_row(self) -> dict[str, Any]:
        """The row of `NAME_tokens_vN`. Its digest tells which state of the design the tokens are of."""
        return {
            "design_id": self.text.design_id,
            "vector": list(NO_VECTOR),
            "digest": self.digest,
            "tokens": self.tokens,
        }

    def _filter_scalars(self) -> dict[str, Any]:
        return {
            "design_id": self.text.design_id,
            "artist_id": self.text.artist_id,
            "tags": list(self.text.tags),
            "attributes": [attribute_token(name, value) for name, value in self.text.attributes],
            "context": self.text.context,
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


def palette_of(row: Mapping[str, Any]) -> palette_pb2.Palette:
    """The stored palette of a row; empty when the photo shows no nails."""
    colours = json.loads(row["facts"])["palette"]
    return palette_pb2.Palette(
        colours=[
            palette_pb2.PaletteColour(
                colour=palette_pb2.LabColour(l=lab[0], a=lab[1], b=lab[2]), weight=weight, name=name
            )
            for lab, weight, name in colours
        ]
    )


def colours_of(row: Mapping[str, Any]) -> list[ShownColour]:
    """The stored palette of a row as plain numbers, which is quicker where hundreds are compared."""
    return [(lab, weight) for lab, weight, _ in json.loads(row["facts"])["palette"]]


def text_of(row: Mapping[str, Any]) -> DesignText:
    """What the owner said, read back from a full row."""
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


def design_message(row: Mapping[str, Any], *, photo_uri: str, photo: bytes | None = None) -> pb.Design:
    """The message of a full row; `photo` only where it was asked for."""
    text = text_of(row)
    design = pb.Design(
        design_id=text.design_id,
        title=text.title,
        description=text.description,
        artist_id=text.artist_id,
        tags=text.tags,
        attributes=dict(text.attributes),
        context=text.context,
        photo_uri=photo_uri,
        palette=palette_of(row),
        index_time=Timestamp(),
        fingerprint=row["fingerprint"],
    )
    design.index_time.FromMilliseconds(int(row["index_time_ms"]))
    box = json.loads(row["facts"])["crop_box"]
    if box is not None:
        design.crop_box.CopyFrom(photo_pb2.Box(x0=box[0], y0=box[1], x1=box[2], y1=box[3]))
    if photo is not None:
        design.photo.data = photo
    return design


def _facts(palette: palette_pb2.Palette, box: photo_pb2.Box) -> str:
    colours = [
        [[entry.colour.l, entry.colour.a, entry.colour.b], entry.weight, entry.name]
        for entry in palette.colours
    ]
    return json.dumps({"palette": colours, "crop_box": [box.x0, box.y0, box.x1, box.y1]})
