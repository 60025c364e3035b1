"""Checks of ClassifyService's requests; each error names the field that is wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from services.intake.texts import MAX_TEXT, check_text
from services.kit.errors import InvalidArgument, invalid_field

DEFAULT_TOP_K = 5
MAX_TOP_K = 100
MAX_TITLE = 1_000
MAX_ID = 128
MAX_LABELS = 100
DEFAULT_PAGE = 50
MAX_PAGE = 1_000
_CONTROL = ("Cc", "Cf", "Zl", "Zp", "Cs")


def read_top_k(value: int) -> int:
    """The number of candidates to return; 0 means 5. Raises InvalidArgument TOP_K_OUT_OF_RANGE."""
    if not 0 <= value <= MAX_TOP_K:
        raise InvalidArgument(
            "top_k is out of range",
            reason="TOP_K_OUT_OF_RANGE",
            fields=[("top_k", f"must be in 0..{MAX_TOP_K}, is {value}")],
        )
    return value or DEFAULT_TOP_K


def read_page_size(value: int) -> int:
    """The size of a page; 0 means 50. Raises InvalidArgument PAGE_SIZE_INVALID."""
    if not 0 <= value <= MAX_PAGE:
        raise InvalidArgument(
            "page_size is out of range",
            reason="PAGE_SIZE_INVALID",
            fields=[("page_size", f"must be 0 to {MAX_PAGE}, is {value}")],
        )
    return value or DEFAULT_PAGE


def check_work(
    field: str, *, work_id: str, title: str, description: str, labels: Mapping[str, float], has_photo: bool
) -> None:
    """Raises InvalidArgument NOTHING_TO_IDENTIFY, TEXT_TOO_LONG, WORK_ID_INVALID or LABELS_INVALID.

    field: the path of the work in the request.
    """
    check_text(title, f"{field}.title", max_characters=MAX_TITLE)
    check_text(description, f"{field}.description", max_characters=MAX_TEXT)
    if work_id:
        _check_id(work_id, f"{field}.work_id", "WORK_ID_INVALID")
    _check_labels(labels, f"{field}.labels")
    if not has_photo and not title.strip() and not description.strip():
        raise InvalidArgument(
            "the work has neither a photo nor words",
            reason="NOTHING_TO_IDENTIFY",
            fields=[(field, "photo, title or description must be given")],
        )


def _check_labels(labels: Mapping[str, float], field: str) -> None:
    if len(labels) > MAX_LABELS:
        raise invalid_field("LABELS_INVALID", field, f"must be at most {MAX_LABELS}, are {len(labels)}")
    for name, confidence in labels.items():
        path = f"{field}[{name[:64]}]"
        if not 1 <= len(name) <= MAX_ID:
            raise invalid_field("LABELS_INVALID", path, f"must have a name of 1 to {MAX_ID} characters")
        if not 0 <= confidence <= 1:  # NaN is refused too
            raise invalid_field("LABELS_INVALID", path, f"must be a confidence in 0..1, is {confidence}")


def check_artist_id(artist_id: str) -> None:
    """Raises InvalidArgument ARTIST_ID_INVALID."""
    _check_id(artist_id, "artist_id", "ARTIST_ID_INVALID")


def check_work_ids(work_ids: Sequence[str]) -> None:
    """Works that have names have names of their own. Raises InvalidArgument WORK_ID_DUPLICATE."""
    first: dict[str, int] = {}
    for index, work_id in enumerate(work_ids):
        if work_id and first.setdefault(work_id, index) != index:
            raise InvalidArgument(
                "two works have the same id",
                reason="WORK_ID_DUPLICATE",
                fields=[(f"works[{index}].work_id", f"is that of works[{first[work_id]}]")],
            )


def _check_id(value: str, field: str, reason: str) -> None:
    wrong = (
        not value.strip()
        or len(value) > MAX_ID
        or value != value.strip()
        or any(unicodedata.category(letter) in _CONTROL for letter in value)
    )
    if wrong:
        description = f"must be 1 to {MAX_ID} characters, without blanks around and control characters"
        raise invalid_field(reason, field, description)
