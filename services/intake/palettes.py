"""Palettes between messages and plain colours."""

from __future__ import annotations

from collections.abc import Iterable

from lunula.type.v1 import palette_pb2
from nails.colour.palette import PaletteColour


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


def palette_colours(palette: palette_pb2.Palette) -> tuple[PaletteColour, ...]:
    """The colours of a message that one of our services wrote; what callers send is checked instead."""
    return tuple(
        PaletteColour((entry.colour.l, entry.colour.a, entry.colour.b), entry.weight, entry.name)
        for entry in palette.colours
    )
