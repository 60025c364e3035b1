"""Designs to index, as people have them: a folder of photos, or JSON lines with texts beside the photos."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.errors import RecordError

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif"})
_LONGEST_ID = 128
_ID_FORBIDDEN = re.compile(r"[^A-Za-z0-9._:-]+")


@dataclass(frozen=True)
class Record:
    """One design: its photo's file and what is known about it."""

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


def _from_lines(listing: Path) -> Iterator[Record]:
    try:
        lines = listing.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise RecordError(f"{listing}: not JSON lines: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{listing}:{number}"
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise RecordError(f"{where}: not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise RecordError(f"{where}: not a JSON object")
        yield _from_fields(fields, listing.parent, where)


def _from_fields(fields: dict[str, Any], folder: Path, where: str) -> Record:
    image = _text(fields, "image", where)
    if not image:
        raise RecordError(f"{where}: image: missing")
    photo = folder / image
    if not photo.is_file():
        raise RecordError(f"{where}: image: {photo} does not exist")
    tags = fields.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise RecordError(f"{where}: tags: not a list of texts")
    attributes = fields.get("attributes", {})
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise RecordError(f"{where}: attributes: not a map of texts")
    return Record(
        design_id=_text(fields, "id", where) or derive_design_id(Path(image)),
        photo=photo,
        title=_text(fields, "title", where),
        description=_text(fields, "description", where),
        artist_id=_text(fields, "artist", where),
        tags=tuple(tags),
        attributes=attributes,
        context=_text(fields, "context", where),
    )


def _text(fields: dict[str, Any], name: str, where: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise RecordError(f"{where}: {name}: not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RecordError(f"{where}: {name}: not Unicode text: {error}") from error
    return value
