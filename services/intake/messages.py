"""Photos and palettes between messages and plain objects: the only protobuf in intake."""

from __future__ import annotations

from collections.abc import Iterable

from lunula.type.v1 import palette_pb2, photo_pb2
from nails.colour.palette import PaletteColour, PaletteError, validate_palette
from services.intake.photos import PhotoSource
from services.kit.errors import InvalidArgument


def read_photo(photo: photo_pb2.Photo, field: str) -> PhotoSource:
    """Where the photo comes from. field: its path in the request, for example "photos[3]"."""
    return PhotoSource(data=photo.data, uri=photo.uri, field=field)


def read_palette(palette: palette_pb2.Palette, field: str) -> tuple[PaletteColour, ...]:
    """The colours that a caller sent, with weights that sum to 1; empty when there are none.

    Raises InvalidArgument with the reason of nails.colour.palette.PaletteError and the path of the wrong
    colour, weight, or list.
    """
    labs = [(entry.colour.l, entry.colour.a, entry.colour.b) for entry in palette.colours]
    try:
        return tuple(validate_palette(labs, [entry.weight for entry in palette.colours]))
    except PaletteError as error:
        path = f"{field}.colours"
        if error.index is not None:
            part = "weight" if error.reason == "COLOUR_WEIGHT_INVALID" else "colour"
            path = f"{path}[{error.index}].{part}"
        raise InvalidArgument(
            error.description, reason=error.reason, fields=[(path, error.description)]
        ) from error


def palette_colours(palette: palette_pb2.Palette) -> tuple[PaletteColour, ...]:
    """The colours of a message that one of our services wrote: neither checked nor normalised again."""
    return tuple(
        PaletteColour((entry.colour.l, entry.colour.a, entry.colour.b), entry.weight, entry.name)
        for entry in palette.colours
    )


def palette_message(colours: Iterable[PaletteColour]) -> palette_pb2.Palette:
    """The message of `colours`, in their order."""
    return palette_pb2.Palette(
        colours=[
            palette_pb2.PaletteColour(
                colour=palette_pb2.LabColour(l=colour.lab[0], a=colour.lab[1], b=colour.lab[2]),
                weight=colour.weight,
                name=colour.name,
            )
            for colour in colours
        ]
    )
