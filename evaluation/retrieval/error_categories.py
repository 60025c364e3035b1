"""The ten categories into which paper N sorts its failures, and annotations in them.

The paper looked at 100 requests whose best target stands at rank 11 or below; how many it counted in each
category did not survive in its text, the categories did (section 4.4). An annotation is one JSON line:

    {"row": "ours", "seed": 1, "id": "000017", "rank": 23, "found": ["000350", …], "category": "colour",
     "note": ""}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from evaluation.errors import DataError
from evaluation.json_lines import Line, read_lines


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


_MAX_LINE = 1 << 20  # bytes
_BY_LABEL = {category.label: category for category in ErrorCategory}


class AnnotationError(DataError):
    """A file of annotations that cannot be read; the message names file, line and field."""


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
    lines: dict[tuple[str, int, str], str] = {}
    for where, form in read_lines(path, _MAX_LINE, _Line, AnnotationError):
        key = form.row, form.seed, form.id
        if key in lines:
            raise AnnotationError(
                f"{where}: id: {form.id!r} of {form.row}, seed {form.seed}, is that of line {lines[key]}"
            )
        lines[key] = where.rpartition(":")[2]
        category = _BY_LABEL[form.category]
        annotations.append(Annotation(*key, form.rank, tuple(form.found), category, form.note))
    if not annotations:
        raise AnnotationError(f"{path}: no annotations")
    return annotations


def counts(annotations: Sequence[Annotation]) -> dict[ErrorCategory, int]:
    """How many failures each category has, in the paper's order, none left out."""
    found = Counter(annotation.category for annotation in annotations)
    return {category: found[category] for category in ErrorCategory}


def _check_category(value: str) -> str:
    if value not in _BY_LABEL:
        raise ValueError(f"{value!r} is not one of {', '.join(_BY_LABEL)}")
    return value


def _check_rank(value: int) -> int:
    if value < 2:
        raise ValueError(f"{value} is no failure")
    return value


class _Line(Line):
    row: str
    seed: int
    id: str
    rank: Annotated[int, AfterValidator(_check_rank)]
    category: Annotated[str, AfterValidator(_check_category)]
    found: list[str] = Field(default_factory=list)
    note: str = ""
