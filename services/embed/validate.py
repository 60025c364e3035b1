"""Checks of EmbedService's requests; each error names the field that is wrong."""

from __future__ import annotations

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.type.v1 import palette_pb2
from nails.aesthetic.tokens import BITS, GRIDS, Packing
from nails.colour.palette import PaletteColour, PaletteError, validate
from services.intake.texts import MAX_CONTEXT, check_text
from services.kit.errors import InvalidArgument


def check_design(design: pb.DesignInput, field: str) -> None:
    """Raises InvalidArgument TEXT_TOO_LONG; the photos are checked where they are read."""
    check_text(design.text, f"{field}.text")
    check_text(design.context, f"{field}.context", max_characters=MAX_CONTEXT)


def check_query(query: pb.QueryInput, field: str) -> None:
    """Raises InvalidArgument TEXT_EMPTY or TEXT_TOO_LONG; `read_palette` checks the colours."""
    check_text(query.text, f"{field}.text", required=True)
    check_text(query.context, f"{field}.context", max_characters=MAX_CONTEXT)


def read_palette(palette: palette_pb2.Palette, field: str) -> tuple[PaletteColour, ...]:
    """The caller's colours with weights that sum to 1; empty when there are none.

    Raises InvalidArgument with the reason of nails.colour.palette.PaletteError and the path of the wrong
    colour, weight, or list.
    """
    labs = [(entry.colour.l, entry.colour.a, entry.colour.b) for entry in palette.colours]
    try:
        return tuple(validate(labs, [entry.weight for entry in palette.colours]))
    except PaletteError as error:
        path = f"{field}.colours"
        if error.index is not None:
            part = "weight" if error.reason == "COLOUR_WEIGHT_INVALID" else "colour"
            path = f"{path}[{error.index}].{part}"
        raise InvalidArgument(
            error.description, reason=error.reason, fields=[(path, error.description)]
        ) from error


def read_packing(packing: pb.TokenPacking, field: str) -> Packing:
    """The packing. Raises InvalidArgument TOKEN_PACKING_INVALID."""
    try:
        return Packing.of({"grid": str(packing.grid), "bits": str(packing.bits)})
    except ValueError:
        description = f"must have a grid of {GRIDS} and bits of {BITS}, has {packing.grid} and {packing.bits}"
        raise InvalidArgument(
            description, reason="TOKEN_PACKING_INVALID", fields=[(field, description)]
        ) from None
