"""A sheet to draw plots on with Pillow: text, lines and marks in the coordinates of a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nails.photo.codec import encode_png

SCALE: Final = 2
"""Drawn twice as large, for displays of today."""
INK, FAINT, GRID = "#222222", "#777777", "#e2e2e2"
COLOURS: Final = ("#9e9e9e", "#c2185b", "#00838f", "#f9a825", "#5e35b1", "#2e7d32")


class Sheet:
    """A white sheet with a plot whose corners are (0, 0) and (1, 1); sizes in pixels before scaling."""

    def __init__(self, width: int, height: int, box: tuple[int, int, int, int]) -> None:
        self.image = Image.new("RGB", (width * SCALE, height * SCALE), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.box = box

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a place in the plot, y upwards."""
        left, top, right, bottom = self.box
        return (left + x * (right - left)) * SCALE, (bottom - y * (bottom - top)) * SCALE

    def text(
        self, place: tuple[float, float], words: str, *, size: int = 13, fill: str = INK, anchor: str = "lm"
    ) -> None:
        """Words at a place in pixels after scaling."""
        self.pen.text(place, words, fill, ImageFont.load_default(size * SCALE), anchor=anchor)

    def line(self, places: Sequence[tuple[float, float]], fill: str, width: float = 1) -> None:
        """A line through places in the plot."""
        self.pen.line([self.at(*place) for place in places], fill, round(width * SCALE), joint="curve")

    def dot(self, x: float, y: float, radius: float, fill: str) -> None:
        """A disc in the plot."""
        left, top = self.at(x, y)
        radius *= SCALE
        self.pen.ellipse((left - radius, top - radius, left + radius, top + radius), fill, "white")

    def png(self) -> bytes:
        """The sheet as a file."""
        return encode_png(np.asarray(self.image))


class Plot:
    """A plot on a sheet in units of its own. box: left, top, right, bottom in pixels; x, y: what its sides
    are."""

    def __init__(
        self,
        sheet: Sheet,
        box: tuple[int, int, int, int],
        *,
        x: tuple[float, float],
        y: tuple[float, float],
    ) -> None:
        self._sheet, self._box, self._x, self._y = sheet, box, x, y

    def place(self, x: float, y: float) -> tuple[float, float]:
        """In the sheet's plot: (0, 0) to (1, 1)."""
        return (x - self._x[0]) / (self._x[1] - self._x[0]), (y - self._y[0]) / (self._y[1] - self._y[0])

    def axes(
        self,
        title: str,
        *,
        x_ticks: Sequence[tuple[float, str]],
        y_ticks: Sequence[tuple[float, str]] = (),
        x_name: str = "",
        fill: str = INK,
    ) -> None:
        """Title above, grid lines and their names."""
        self._sheet.box = self._box
        for value, name in x_ticks:
            at = self.place(value, 0)[0]
            self._sheet.line([(at, 0), (at, 1)], GRID)
            x, y = self._sheet.at(at, 0)
            self._sheet.text((x, y + 10 * SCALE), name, size=11, fill=FAINT, anchor="mm")
        for value, name in y_ticks:
            at = self.place(0, value)[1]
            self._sheet.line([(0, at), (1, at)], GRID)
            x, y = self._sheet.at(0, at)
            self._sheet.text((x - 6 * SCALE, y), name, size=11, fill=FAINT, anchor="rm")
        x, y = self._sheet.at(0, 1)
        self._sheet.text((x, y - 12 * SCALE), title, fill=fill)
        if x_name:
            x, y = self._sheet.at(0.5, 0)
            self._sheet.text((x, y + 26 * SCALE), x_name, size=11, fill=FAINT, anchor="mm")

    def line(self, places: Sequence[tuple[float, float]], fill: str, width: float = 2) -> None:
        """A line through places."""
        self._sheet.box = self._box
        self._sheet.line([self.place(*place) for place in places], fill, width)

    def dot(self, x: float, y: float, radius: float, fill: str) -> None:
        """A disc; its radius in pixels."""
        self._sheet.box = self._box
        self._sheet.dot(*self.place(x, y), radius, fill)

    def bar(self, x: tuple[float, float], y: tuple[float, float], fill: str) -> None:
        """A filled rectangle."""
        self._sheet.box = self._box
        left, bottom = self._sheet.at(*self.place(x[0], y[0]))
        right, top = self._sheet.at(*self.place(x[1], y[1]))
        self._sheet.pen.rectangle((left, min(top, bottom), right, max(top, bottom)), fill)

    def note(self, x: float, y: float, words: str, *, fill: str = INK, anchor: str = "lm") -> None:
        """Words at a place, in small letters."""
        self._sheet.box = self._box
        self._sheet.text(self._sheet.at(*self.place(x, y)), words, size=11, fill=fill, anchor=anchor)
