"""Checks of what callers send, each with the path of the field that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from nails.aesthetic.rerank import MAX_WEIGHT, check_weight
from nails.aesthetic.tags import MAX_TAGS as MAX_AESTHETIC_TAGS
from services.intake.texts import MAX_TEXT, check_text
from services.kit.errors import invalid_field
from services.rank.catalogue.filters import check_attribute
from services.rank.catalogue.rows import DesignText

MAX_ARTIST_ID = 128
MAX_TAGS = 64
MAX_TAG = 64
MAX_NOTE = 1_000
MAX_DELETED = 1_000
_DESIGN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def check_design_id(design_id: str, path: str) -> None:
    """Raises InvalidArgument DESIGN_ID_INVALID."""
    if not _DESIGN_ID.fullmatch(design_id):
        raise invalid_field("DESIGN_ID_INVALID", path, "must be 1 to 128 characters of [A-Za-z0-9._:-]")


def check_design(design: DesignText, path: str) -> None:
    """Raises InvalidArgument for the first thing that is wrong with a design; its photo is checked apart."""
    check_design_id(design.design_id, f"{path}.design_id")
    check_text(design.title, f"{path}.title")
    check_text(design.description, f"{path}.description")
    if len(design.title) + len(design.description) > MAX_TEXT:
        raise invalid_field(
            "TEXT_TOO_LONG", f"{path}.description", f"must be at most {MAX_TEXT} with the title"
        )
    check_text(design.context, f"{path}.context")
    if len(design.artist_id) > MAX_ARTIST_ID:
        raise invalid_field(
            "ARTIST_ID_INVALID", f"{path}.artist_id", f"must be at most {MAX_ARTIST_ID} characters"
        )
    if len(design.tags) > MAX_TAGS:
        raise invalid_field(
            "TAGS_INVALID", f"{path}.tags", f"must be at most {MAX_TAGS}, are {len(design.tags)}"
        )
    for index, tag in enumerate(design.tags):
        if not 1 <= len(tag) <= MAX_TAG:
            raise invalid_field(
                "TAGS_INVALID", f"{path}.tags[{index}]", f"must have 1 to {MAX_TAG} characters"
            )
    for name, value in design.attributes:
        check_attribute(name, value, f"{path}.attributes[{name[:64]}]")


def check_page_size(requested: int, *, default: int, largest: int) -> int:
    """The page size to use; 0 means `default`. Raises InvalidArgument PAGE_SIZE_INVALID."""
    if not 0 <= requested <= largest:
        raise invalid_field("PAGE_SIZE_INVALID", "page_size", f"must be 0 to {largest}, is {requested}")
    return requested or default


def check_weights(weights: Mapping[str, float]) -> Mapping[str, float]:
    """The caller's weights by channel. Raises InvalidArgument WEIGHTS_INVALID."""
    for channel, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise invalid_field("WEIGHTS_INVALID", f"weights.{channel}", "must be finite and not negative")
    if not any(weights.values()):
        raise invalid_field("WEIGHTS_INVALID", "weights", "one of them must be positive")
    return weights


def check_aesthetic_weight(weight: float) -> float:
    """The caller's weight. Raises InvalidArgument AESTHETIC_WEIGHT_INVALID."""
    try:
        return check_weight(weight)
    except ValueError:
        raise invalid_field(
            "AESTHETIC_WEIGHT_INVALID", "aesthetic_weight", f"must be in [0, {MAX_WEIGHT}], is {weight}"
        ) from None


def check_tags(tags: Sequence[str], path: str) -> tuple[str, ...]:
    """What photos are meant to be, each once. Raises InvalidArgument AESTHETIC_TAGS_INVALID."""
    if len(tags) > MAX_AESTHETIC_TAGS:
        raise invalid_field(
            "AESTHETIC_TAGS_INVALID", path, f"must be at most {MAX_AESTHETIC_TAGS}, are {len(tags)}"
        )
    for index, tag in enumerate(tags):
        if not tag.strip().isprintable() or not tag.strip() or len(tag) > MAX_TAG:
            raise invalid_field(
                "AESTHETIC_TAGS_INVALID",
                f"{path}[{index}]",
                f"must have 1 to {MAX_TAG} printable characters that are not all blank",
            )
    return tuple(dict.fromkeys(tag.strip() for tag in tags))
