"""Checks of what callers say about designs and pages, each with the path of the field that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2
from nails.aesthetic.rerank import MAX_WEIGHT, check_weight
from nails.aesthetic.tags import MAX_TAGS as MAX_TAGS_JUDGED
from nails.colour.palette import PaletteColour, PaletteError, validate_palette
from nails.fusion import CHANNELS
from services.intake.texts import MAX_TEXT, check_text
from services.kit.errors import InvalidArgument
from services.rank.catalogue.filters import check_attribute

MAX_ARTIST_ID = 128
MAX_TAGS = 64
MAX_TAG = 64
MAX_NOTE = 1_000
MAX_DELETED = 1_000
_DESIGN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def check_design_id(design_id: str, path: str) -> None:
    """Raises InvalidArgument DESIGN_ID_INVALID."""
    if not _DESIGN_ID.fullmatch(design_id):
        raise wrong("DESIGN_ID_INVALID", path, "must be 1 to 128 characters of [A-Za-z0-9._:-]")


def check_design(design: pb.Design, path: str) -> None:
    """Raises InvalidArgument for the first thing that is wrong with a design; its photo is judged apart."""
    check_design_id(design.design_id, f"{path}.design_id")
    check_text(design.title, f"{path}.title")
    check_text(design.description, f"{path}.description")
    if len(design.title) + len(design.description) > MAX_TEXT:
        raise wrong("TEXT_TOO_LONG", f"{path}.description", f"must be at most {MAX_TEXT} with the title")
    check_text(design.context, f"{path}.context")
    if len(design.artist_id) > MAX_ARTIST_ID:
        raise wrong("ARTIST_ID_INVALID", f"{path}.artist_id", f"must be at most {MAX_ARTIST_ID} characters")
    if len(design.tags) > MAX_TAGS:
        raise wrong("TAGS_INVALID", f"{path}.tags", f"must be at most {MAX_TAGS}, are {len(design.tags)}")
    for index, tag in enumerate(design.tags):
        if not 1 <= len(tag) <= MAX_TAG:
            raise wrong("TAGS_INVALID", f"{path}.tags[{index}]", f"must have 1 to {MAX_TAG} characters")
    for name, value in design.attributes.items():
        check_attribute(name, value, f"{path}.attributes[{name[:64]}]")


def page_size(requested: int, *, default: int, largest: int) -> int:
    """The page size to use; 0 means `default`. Raises InvalidArgument PAGE_SIZE_INVALID."""
    if not 0 <= requested <= largest:
        raise wrong("PAGE_SIZE_INVALID", "page_size", f"must be 0 to {largest}, is {requested}")
    return requested or default


def read_palette(palette: palette_pb2.Palette) -> list[PaletteColour]:
    """The caller's colours, weights summing to 1; [] for none.

    Raises InvalidArgument with the reasons of nails.colour.palette.PaletteError.
    """
    labs = [(entry.colour.l, entry.colour.a, entry.colour.b) for entry in palette.colours]
    try:
        return validate_palette(labs, [entry.weight for entry in palette.colours])
    except PaletteError as error:
        path = "palette.colours" if error.index is None else f"palette.colours[{error.index}]"
        part = {
            "COLOUR_NOT_FINITE": ".colour",
            "COLOUR_OUT_OF_GAMUT": ".colour",
            "COLOUR_WEIGHT_INVALID": ".weight",
        }
        raise wrong(error.reason, path + part.get(error.reason, ""), error.description) from error


def read_weights(weights: pb.ChannelWeights) -> Mapping[str, float]:
    """The caller's weights by channel. Raises InvalidArgument WEIGHTS_INVALID."""
    found = {channel: float(getattr(weights, channel)) for channel in CHANNELS}
    for channel, weight in found.items():
        if not math.isfinite(weight) or weight < 0:
            raise wrong("WEIGHTS_INVALID", f"weights.{channel}", "must be finite and not negative")
    if not any(found.values()):
        raise wrong("WEIGHTS_INVALID", "weights", "one of them must be positive")
    return found


def read_aesthetic_weight(weight: float) -> float:
    """The weight of beauty. Raises InvalidArgument AESTHETIC_WEIGHT_INVALID."""
    try:
        return check_weight(float(weight))
    except ValueError:
        raise wrong(
            "AESTHETIC_WEIGHT_INVALID", "aesthetic_weight", f"must be in [0, {MAX_WEIGHT}], is {weight}"
        ) from None


def read_tags(tags: Sequence[str], path: str) -> tuple[str, ...]:
    """What photos are meant to be, each once. Raises InvalidArgument AESTHETIC_TAGS_INVALID."""
    if len(tags) > MAX_TAGS_JUDGED:
        raise wrong("AESTHETIC_TAGS_INVALID", path, f"must be at most {MAX_TAGS_JUDGED}, are {len(tags)}")
    for index, tag in enumerate(tags):
        if not tag.strip().isprintable() or not tag.strip() or len(tag) > MAX_TAG:
            raise wrong(
                "AESTHETIC_TAGS_INVALID",
                f"{path}[{index}]",
                f"must have 1 to {MAX_TAG} printable characters that are not all blank",
            )
    return tuple(dict.fromkeys(tag.strip() for tag in tags))


def wrong(reason: str, path: str, description: str) -> InvalidArgument:
    """An InvalidArgument about one field."""
    return InvalidArgument(f"{path} {description}", reason=reason, fields=[(path, description)])
