"""Checks of the words that callers send."""

from __future__ import annotations

from services.kit.errors import InvalidArgument

MAX_TEXT = 10_000
"""Characters of a description or a request."""
MAX_CONTEXT = 10_000
"""Characters of a story or occasion."""


def check_text(text: str, field: str, *, max_characters: int = MAX_TEXT, required: bool = False) -> None:
    """Raises InvalidArgument TEXT_EMPTY (required and blank) or TEXT_TOO_LONG."""
    if required and not text.strip():
        raise InvalidArgument(
            f"{field} is empty", reason="TEXT_EMPTY", fields=[(field, "must not be empty or only spaces")]
        )
    if len(text) > max_characters:
        raise InvalidArgument(
            f"{field} is too long",
            reason="TEXT_TOO_LONG",
            fields=[(field, f"must have at most {max_characters} characters, has {len(text)}")],
        )
