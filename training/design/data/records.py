"""Reading the synthetic designs: records, what is known of them as numbers, and a digest of the data.

Form: `index.jsonl` of `training.synth`, one line an image. What a photo shows is read as facts that
say where each word belongs (main look, accent, finger), without which grey with a gold accent and gold with
a grey one are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Fact = tuple[str, str, str]
LOOK_KINDS = ("colour", "finish", "pattern", "pattern_colours", "part", "part_colour")
SET_KINDS = ("shape", "length", "arrangement", "theme", "mood", "accent_fingers")


@dataclass(frozen=True)
class Request:
    """One text of a design with its multi-level description and noun phrases."""

    lang: str
    level: str
    text: str
    mdd: tuple[str, ...] = ()
    nnp: tuple[str, ...] = ()
    claims: tuple[tuple[str, str, str], ...] = ()  # (scope, kind, value) as training.synth.facts has them


@dataclass(frozen=True)
class Design:
    """One synthetic photo. Paths are absolute; box is (x0, y0, x1, y1) in photo pixels."""

    name: str
    image: Path
    mask: Path | None
    crop: tuple[float, float, float, float]
    palette: tuple[tuple[tuple[float, float, float], float], ...]  # (CIELAB, weight)
    requests: tuple[Request, ...]
    shown: dict[str, Any] = field(default_factory=dict)  # the record's `attributes`, as written
    facts: frozenset[Fact] = frozenset()  # (scope, kind, value) that the photo shows
    family: str = ""  # of designs that bind the same colours differently
    artist: str = ""
    title: str = ""
    description: str = ""
    accepts: frozenset[str] = field(
        default_factory=frozenset
    )  # ids of other photos that satisfy its requests


def scoped_facts(attributes: dict[str, Any]) -> frozenset[Fact]:
    """The facts of a record's `attributes`: of the set, of the main look and of the accent's."""
    accent = attributes.get("accent") or {}
    sources = (
        ("set", attributes, SET_KINDS),
        ("main", attributes, LOOK_KINDS),
        ("accent", accent, LOOK_KINDS),
    )
    found: set[Fact] = set()
    for scope, look, kinds in sources:
        for kind in kinds:
            value = look.get(kind) or ()
            found.update((scope, kind, word) for word in ((value,) if isinstance(value, str) else value))
    return frozenset(found)


def read_design(record: dict[str, Any], folder: Path, prefix: str = "") -> Design:
    """A `Design` from one line of `index.jsonl` in `folder`; `prefix` goes before its name."""
    width, height = record.get("size") or (0, 0)
    x0, y0, x1, y1 = (record.get("crop") or {}).get("box") or (0, 0, width, height)
    requests = tuple(
        Request(
            lang=text["lang"],
            level=text.get("level", ""),
            text=text["text"],
            mdd=tuple(text.get("mdd") or ()),
            nnp=tuple(text.get("nnp") or ()),
            claims=tuple((str(a), str(b), str(c)) for a, b, c in text.get("claims") or ()),
        )
        for text in record.get("texts") or []
        if text.get("text")
    )
    return Design(
        name=f"{prefix}{record['id']}",
        image=folder / record["image"],
        mask=folder / record["mask"] if record.get("mask") else None,
        crop=(float(x0), float(y0), float(x1), float(y1)),
        palette=tuple(
            ((float(lightness), float(a), float(b)), float(entry.get("weight", 1.0)))
            for entry in record.get("palette") or []
            for lightness, a, b in [entry["lab"]]
        ),
        requests=requests,
        shown=record.get("attributes") or {},
        facts=scoped_facts(record.get("attributes") or {}),
        family=str((record.get("binding") or {}).get("family") or ""),
        artist=str(record.get("artist") or ""),
        title=str(record.get("title") or ""),
        description=str(record.get("description") or ""),
        accepts=frozenset(f"{prefix}{name}" for name in record.get("accepts") or ()),
    )


def read_designs(folders: Path | Sequence[Path], limit: int | None = None, split: str = "") -> list[Design]:
    """The designs of folders, all or those of one split, in order; a cut last line is ignored.

    With several folders, the folder's name goes before a design's.
    """
    folders = [folders] if isinstance(folders, Path) else folders
    designs: list[Design] = []
    for folder in folders:
        prefix = f"{folder.name}/" if len(folders) > 1 else ""
        with (folder / "index.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                if limit is not None and len(designs) >= limit:
                    return designs
                record = json.loads(line) if line.endswith("\n") and line.strip() else None
                if record is not None and (not split or record.get("split", split) == split):
                    designs.append(read_design(record, folder, prefix))
    return designs


def digest(folders: Path | Sequence[Path]) -> str:
    """sha256 over the indices: names the data that a checkpoint was trained on."""
    found = hashlib.sha256()
    for folder in [folders] if isinstance(folders, Path) else folders:
        found.update((folder / "index.jsonl").read_bytes())
    return found.hexdigest()
