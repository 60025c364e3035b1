"""Reading the synthetic designs: records, what is known of them as numbers, and a digest of the data.

Form: `index.jsonl` of `training.synth`, one line an image. Attribute values may be a word or a list of words;
words that the vocabulary does not know are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.vocabulary import ATTRIBUTES, COLOUR_BY_NAME

KINDS = ("colour", "shape", "length", "finish", "pattern", "part", "theme")
SLOTS: tuple[tuple[str, str], ...] = tuple((kind, term.name) for kind in KINDS for term in ATTRIBUTES[kind])
SLOT_INDEX = {slot: index for index, slot in enumerate(SLOTS)}
KIND_OF_KEY = {"pattern_colours": "colour", "part_colour": "colour"}
KIND_RANGES = {
    kind: (SLOT_INDEX[(kind, ATTRIBUTES[kind][0].name)], len(ATTRIBUTES[kind])) for kind in KINDS
}  # first slot and number of slots


@dataclass(frozen=True)
class Request:
    """One text of a design with its multi-level description and noun phrases."""

    lang: str
    level: str
    text: str
    mdd: tuple[str, ...] = ()
    nnp: tuple[str, ...] = ()
    claims: tuple[tuple[str, str, bool], ...] = ()  # (kind, name, wanted) of what the text names, where known


@dataclass(frozen=True)
class Design:
    """One synthetic photo. Paths are absolute; box is (x0, y0, x1, y1) in photo pixels."""

    name: str
    image: Path
    mask: Path | None
    crop: tuple[float, float, float, float]
    attributes: frozenset[tuple[str, str]]
    palette: tuple[tuple[tuple[float, float, float], float], ...]  # (CIELAB, weight)
    requests: tuple[Request, ...]
    artist: str = ""
    title: str = ""
    description: str = ""
    accepts: frozenset[str] = field(
        default_factory=frozenset
    )  # ids of other photos that satisfy its requests


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if inner is True or isinstance(inner, int | float):
                yield key
            else:
                yield from _words(inner)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from _words(inner)


def _claims(claims: Iterable[Sequence[str]]) -> Iterator[tuple[str, str, bool]]:
    """Claims are (scope, key, name); the scope "not" says what is unwanted."""
    for scope, key, name in claims:
        kind = KIND_OF_KEY.get(key, key)
        if (kind, name) in SLOT_INDEX:
            yield kind, name, scope != "not"


def known_attributes(record: dict[str, Any]) -> frozenset[tuple[str, str]]:
    """The (kind, name) pairs of a record that the vocabulary knows: of the set, its nails and its palette."""
    found: set[tuple[str, str]] = set()
    looks = [nail.get("attributes") or {} for nail in record.get("nails") or []]
    painted = [look for look in looks if not look.get("bare")]
    for look in (record.get("attributes") or {}, *painted):
        for key, value in look.items():
            kind = KIND_OF_KEY.get(key, key)
            found.update((kind, word) for word in _words(value) if (kind, word) in SLOT_INDEX)
    for entry in record.get("palette") or []:
        if entry.get("name") in COLOUR_BY_NAME:
            found.add(("colour", entry["name"]))
    return frozenset(found)


def read_design(record: dict[str, Any], folder: Path, prefix: str = "") -> Design:
    """A `Design` from one line of `index.jsonl` in `folder`; `prefix` goes before its name."""
    width, height = record.get("size") or (0, 0)
    box = (record.get("crop") or {}).get("box") or (0, 0, width, height)
    requests = tuple(
        Request(
            lang=text["lang"],
            level=text.get("level", ""),
            text=text["text"],
            mdd=tuple(text.get("mdd") or ()),
            nnp=tuple(text.get("nnp") or ()),
            claims=tuple(_claims(text.get("claims") or ())),
        )
        for text in record.get("texts") or []
        if text.get("text")
    )
    return Design(
        name=f"{prefix}{record['id']}",
        image=folder / record["image"],
        mask=folder / record["mask"] if record.get("mask") else None,
        crop=tuple(float(value) for value in box),
        attributes=known_attributes(record),
        palette=tuple(
            (tuple(float(v) for v in entry["lab"]), float(entry.get("weight", 1.0)))
            for entry in record.get("palette") or []
        ),
        requests=requests,
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


def multi_hot(designs: Sequence[Design]) -> NDArray[np.float32]:
    """Attributes as f32 [N, len(SLOTS)] in {0, 1}."""
    hot = np.zeros((len(designs), len(SLOTS)), np.float32)
    for row, design in enumerate(designs):
        for slot in design.attributes:
            hot[row, SLOT_INDEX[slot]] = 1
    return hot


def known_kinds(hot: NDArray[np.float32]) -> NDArray[np.float32]:
    """f32 [N, len(SLOTS)]: 1 where the photo says anything of that slot's kind, so that silence is not a no.

    Parts and themes may truly be absent: their slots are always known.
    """
    known = np.ones_like(hot)
    for kind, (first, count) in KIND_RANGES.items():
        if kind not in ("part", "theme"):
            known[:, first : first + count] = hot[:, first : first + count].max(axis=1, keepdims=True)
    return known


def digest(folders: Path | Sequence[Path]) -> str:
    """sha256 over the indices: names the data that a checkpoint was trained on."""
    found = hashlib.sha256()
    for folder in [folders] if isinstance(folders, Path) else folders:
        found.update((folder / "index.jsonl").read_bytes())
    return found.hexdigest()
