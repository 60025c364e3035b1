"""Palettes between messages and plain colours."""

from __future__ import annotations

from collections.abc import Iterable

from lunula.type.v1 import palette_pb2
from nails.palette import PaletteColor


def palette_message(colors: Iterable[PaletteColor]) -> palette_pb2.Palette:
    """The message of `colors`, in their order."""
    return palette_pb2.Palette(
        colors=[
            palette_pb2.PaletteColor(
                color=palette_pb2.LabColor(l=color.lab[0], a=color.lab[1], b=color.lab[2]),
                weight=color.weight,
                name=color.name,
            )
            for color in colors
        ]
    )


def palette_colors(palette: palette_pb2.Palette) -> tuple[PaletteColor, ...]:
    """The colours of a message that one of our services wrote; what callers send is checked instead."""
    return tuple(
        PaletteColor((entry.color.l, entry.color.a, entry.color.b), entry.weight, entry.name)
        for entry in palette.colors
    )
