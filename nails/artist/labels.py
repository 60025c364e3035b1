"""Artist ids as labels of fastText, whose labels end at a blank."""

from __future__ import annotations

PREFIX = "__label__"


def to_label(artist: str) -> str:
    """`__label__` and the id without blanks; `from_label` gives it back. Ids hold no control characters."""
    return PREFIX + artist.replace("%", "%25").replace(" ", "%20")


def from_label(label: str) -> str:
    """The id behind a label."""
    return label.removeprefix(PREFIX).replace("%20", " ").replace("%25", "%")
