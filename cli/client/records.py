"""Designs to index, as people have them: a folder of photos, or JSON lines with texts beside the photos."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cli.errors import RecordError
from evaluation.json_lines import FILLED, UNICODE, Line, Text, read_lines

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
_LONGEST_ID = 128
_MAX_LINE = 8 << 20  # bytes
_ID_FORBIDDEN = re.compile(r"[^A-Za-z0-9._:-]+")


@dataclass(frozen=True)
class Record:
    """One design: its photo's file, texts and attributes."""

    design_id: str
    photo: Path
    title: str = ""
    description: str = ""
    artist_id: str = ""
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    context: str = ""


def find(source: Path) -> tuple[Record, ...]:
    """All designs of `source`.

    Args:
        source: a JSON-lines file (`{"id", "image", "title", "description", "artist", "tags", "attributes",
            "context"}`, all but `image` optional, image paths relative to the file), a folder with such a
            file named `catalogue.jsonl`, or a folder of photos (ids from file names, any depth).

    Raises:
        RecordError: nothing there, a line that is not as above, a missing photo, or an id used twice.
    """
    if source.is_dir():
        listing = source / "catalogue.jsonl"
        records = tuple(_from_lines(listing)) if listing.is_file() else tuple(_from_folder(source))
    elif source.is_file():
        records = tuple(_from_lines(source))
    else:
        raise RecordError(f"{source}: no such file or folder")
    if not records:
        raise RecordError(f"{source}: no photos found ({', '.join(sorted(PHOTO_SUFFIXES))})")
    seen: dict[str, Path] = {}
    for record in records:
        if record.design_id in seen:
            raise RecordError(
                f"id {record.design_id!r} is used by {seen[record.design_id]} and {record.photo}"
            )
        seen[record.design_id] = record.photo
    return records


def derive_design_id(path: Path) -> str:
    """An id for a photo without one: its relative path, less the suffix, in characters that ids may have.

    Where that changes or cuts the name, a hash of the path is added: different photos keep different ids.
    """
    name = path.with_suffix("").as_posix()
    plain = _ID_FORBIDDEN.sub("-", name)
    if plain in {name, name.replace("/", "-")} and len(plain) <= _LONGEST_ID:
        return plain
    digest = hashlib.sha256(os.fsencode(path.as_posix())).hexdigest()[:8]
    return f"{plain[-(_LONGEST_ID - 9) :].lstrip('-')}-{digest}".lstrip("-")


def _from_folder(folder: Path) -> Iterator[Record]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file():
            yield Record(design_id=derive_design_id(path.relative_to(folder)), photo=path)


class _Line(Line):
    """A line of a catalogue."""

    image: Annotated[str, UNICODE, FILLED]
    id: Text = ""
    title: Text = ""
    description: Text = ""
    artist: Text = ""
    tags: list[Text] = Field(default_factory=list)
    attributes: dict[Text, Text] = Field(default_factory=dict)
    context: Text = ""


def _from_lines(listing: Path) -> Iterator[Record]:
    for where, form in read_lines(listing, _MAX_LINE, _Line, RecordError, finite=False):
        photo = listing.parent / form.image
        if not photo.is_file():
            raise RecordError(f"{where}: image: {photo} does not exist")
        yield Record(
            design_id=form.id or derive_design_id(Path(form.image)),
            photo=photo,
            title=form.title,
            description=form.description,
            artist_id=form.artist,
            tags=tuple(form.tags),
            attributes=form.attributes,
            context=form.context,
        )
