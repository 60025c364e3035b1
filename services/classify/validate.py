"""Checks of ClassifyService's requests; each error names the field that is wrong."""

from __future__ import annotations

from lunula.classify.v1 import classify_service_pb2 as pb
from services.intake.texts import MAX_TEXT, check_text
from services.kit.errors import InvalidArgument

DEFAULT_TOP_K = 5
MAX_TOP_K = 100
MAX_TITLE = 1_000


def read_top_k(value: int) -> int:
    """The number of candidates wanted. Raises InvalidArgument TOP_K_OUT_OF_RANGE."""
    if not 0 <= value <= MAX_TOP_K:
        raise InvalidArgument(
            "top_k is out of range",
            reason="TOP_K_OUT_OF_RANGE",
            fields=[("top_k", f"must be in 0..{MAX_TOP_K}, is {value}")],
        )
    return value or DEFAULT_TOP_K


def check_work(work: pb.Work, field: str) -> None:
    """Raises InvalidArgument NOTHING_TO_IDENTIFY or TEXT_TOO_LONG."""
    check_text(work.title, f"{field}.title", max_characters=MAX_TITLE)
    check_text(work.description, f"{field}.description", max_characters=MAX_TEXT)
    if not work.HasField("photo") and not work.title.strip() and not work.description.strip():
        raise InvalidArgument(
            "the work has neither a photo nor words",
            reason="NOTHING_TO_IDENTIFY",
            fields=[(field, "photo, title or description must be given")],
        )
