"""Checks of ClassifyService's requests; each error names the field that is wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lunula.classify.v1 import classify_service_pb2 as pb
from services.intake.texts import MAX_TEXT, check_text
from services.kit.errors import InvalidArgument

DEFAULT_TOP_K = 5
MAX_TOP_K = 100
MAX_TITLE = 1_000
MAX_ID = 128
MAX_LABELS = 100
DEFAULT_PAGE = 50
MAX_PAGE = 1_000
_CONTROL = ("Cc", "Cf", "Zl", "Zp", "Cs")


def read_top_k(value: int) -> int:
    """The number of candidates wanted. Raises InvalidArgument TOP_K_OUT_OF_RANGE."""
    if not 0 <= value <= MAX_TOP_K:
        raise InvalidArgument(
            "top_k is out of range",
            reason="TOP_K_OUT_OF_RANGE",
            fields=[("top_k", f"must be in 0..{MAX_TOP_K}, is {value}")],
        )
    return value or DEFAULT_TOP_K


def read_page_size(value: int) -> int:
    """The size of a page. Raises InvalidArgument PAGE_SIZE_INVALID."""
    if not 0 <= value <= MAX_PAGE:
        raise InvalidArgument(
            "page_size is out of range",
            reason="PAGE_SIZE_INVALID",
            fields=[("page_size", f"must be 0 to {MAX_PAGE}, is {value}")],
        )
    return value or DEFAULT_PAGE


def check_work(work: pb.Work, field: str) -> None:
    """Raises InvalidArgument NOTHING_TO_IDENTIFY, TEXT_TOO_LONG, WORK_ID_INVALID or LABELS_INVALID."""
    check_text(work.title, f"{field}.title", max_characters=MAX_TITLE)
    check_text(work.description, f"{field}.description", max_characters=MAX_TEXT)
    if work.work_id:
        _check_id(work.work_id, f"{field}.work_id", "WORK_ID_INVALID")
    _check_labels(work, field)
    if not work.HasField("photo") and not work.title.strip() and not work.description.strip():
        raise InvalidArgument(
            "the work has neither a photo nor words",
            reason="NOTHING_TO_IDENTIFY",
            fields=[(field, "photo, title or description must be given")],
        )


def _check_labels(work: pb.Work, field: str) -> None:
    def wrong(path: str, description: str) -> InvalidArgument:
        return InvalidArgument(f"{path} {description}", reason="LABELS_INVALID", fields=[(path, description)])

    if len(work.labels) > MAX_LABELS:
        raise wrong(f"{field}.labels", f"must be at most {MAX_LABELS}, are {len(work.labels)}")
    for name, confidence in work.labels.items():
        path = f"{field}.labels[{name[:64]}]"
        if not 1 <= len(name) <= MAX_ID:
            raise wrong(path, f"must have a name of 1 to {MAX_ID} characters")
        if not 0 <= confidence <= 1:  # NaN is refused too
            raise wrong(path, f"must be a confidence in 0..1, is {confidence}")


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
        raise InvalidArgument(f"{field} {description}", reason=reason, fields=[(field, description)])
