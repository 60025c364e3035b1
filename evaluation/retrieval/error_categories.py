"""The ten categories into which paper N sorts its failures, and annotations in them.

The paper looked at 100 requests whose best target stands at rank 11 or below; how many it counted in each
category did not survive in its text, the categories did (section 4.4). An annotation is one JSON line:

    {"row": "ours", "seed": 1, "id": "000017", "rank": 23, "found": ["000350", …], "category": "colour",
     "note": ""}
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from evaluation.errors import DataError


class ErrorCategory(Enum):
    """What was understood wrongly; in the paper's order. Each with its name in files and what it covers."""

    COLOUR = ("colour", "A colour, or which things share it: grey-blue read as grey beside blue.")
    COMPOSITE = (
        "composite",
        "How several elements belong together: grey with glitter found as grey nails beside glitter nails.",
    )
    THEME = ("theme", "What the whole set stands for, such as a summer festival.")
    ILLUSTRATION = ("illustration", "A drawn picture: another motif than the one asked for.")
    AMBIGUOUS = ("ambiguous", "The request is so general that many photos fit it as well.")
    PART = ("part", "A decoration: missing, of another kind, or its name not known.")
    PATTERN = ("pattern", "A pattern: another one than the one asked for.")
    ANNOTATION = ("annotation", "The request does not describe the photo that it belongs to.")
    SHAPE_OR_PLACE = ("shape_or_place", "Length or shape of the nails, or the finger something belongs on.")
    OTHER = ("other", "None of the others.")

    def __init__(self, label: str, meaning: str) -> None:
        self.label = label
        self.meaning = meaning


_BY_LABEL = {category.label: category for category in ErrorCategory}


class AnnotationError(DataError):
    """A file of annotations that cannot be read; the message says file, line and field."""


@dataclass(frozen=True)
class Annotation:
    """A failure that somebody has looked at. rank: of its best target, above 1."""

    row: str
    seed: int
    id: str
    rank: int
    found: tuple[str, ...]
    category: ErrorCategory
    note: str = ""


def read_annotations(path: Path) -> list[Annotation]:
    """The annotations of a file, in its order.

    Raises AnnotationError: a line is no annotation, or one failure is there twice; OSError.
    """
    annotations: list[Annotation] = []
    lines: dict[tuple[str, int, str], int] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            annotation = _parsed(line, f"{path}:{number}")
            key = annotation.row, annotation.seed, annotation.id
            if key in lines:
                raise AnnotationError(
                    f"{path}:{number}: id: {annotation.id!r} of {annotation.row}, seed {annotation.seed}, is "
                    f"that of line {lines[key]}"
                )
            lines[key] = number
            annotations.append(annotation)
    if not annotations:
        raise AnnotationError(f"{path}: no annotations")
    return annotations


def counts(annotations: Sequence[Annotation]) -> dict[ErrorCategory, int]:
    """How many failures each category has, in the paper's order, none left out."""
    found = Counter(annotation.category for annotation in annotations)
    return {category: found[category] for category in ErrorCategory}


def _parsed(line: bytes, where: str) -> Annotation:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{where}: not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise AnnotationError(f"{where}: not a JSON object")
    for name, kind in (("row", str), ("id", str), ("seed", int), ("rank", int), ("category", str)):
        if not isinstance(fields.get(name), kind) or isinstance(fields[name], bool):
            raise AnnotationError(
                f"{where}: {name}: missing or not {'a text' if kind is str else 'a number'}"
            )
    if fields["category"] not in _BY_LABEL:
        known = ", ".join(_BY_LABEL)
        raise AnnotationError(f"{where}: category: {fields['category']!r} is not one of {known}")
    if fields["rank"] < 2:
        raise AnnotationError(f"{where}: rank: {fields['rank']} is no failure")
    found = fields.get("found", [])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise AnnotationError(f"{where}: found: not a list of ids")
    note = fields.get("note", "")
    if not isinstance(note, str):
        raise AnnotationError(f"{where}: note: not a text")
    return Annotation(
        row=fields["row"],
        seed=fields["seed"],
        id=fields["id"],
        rank=fields["rank"],
        found=tuple(found),
        category=_BY_LABEL[fields["category"]],
        note=note,
    )
