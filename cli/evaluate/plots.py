"""The style that all figures of `lunula eval` share; matplotlib draws them in memory, without a display.

matplotlib belongs to the extra `evaluate` and is imported where a figure is drawn.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID = "#222222", "#777777", "#e2e2e2"
OURS: Final = "#c2185b"
COLOURS: Final = ("#9e9e9e", OURS, "#00838f", "#f9a825", "#5e35b1", "#2e7d32")
_COLUMNS: Final = 3
_DOTS_PER_INCH: Final = 150


def draw_panels(count: int, size: tuple[float, float], columns: int = _COLUMNS) -> tuple[Figure, list[Axes]]:
    """A figure with `count` empty plots, each `size` (width, height) inches, at most `columns` in a row."""
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[count:]:
        unused.remove()
    for panel in panels[:count]:
        apply_style(panel)
    return figure, panels[:count]


def apply_style(panel: Axes) -> None:
    """Faint grid and ticks, no frame on the upper and right side."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GRID)
    panel.grid(color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(colors=FAINT, labelsize=8, length=0)
    panel.xaxis.label.set(color=FAINT, size=9)
    panel.yaxis.label.set(color=FAINT, size=9)


def write_title(panel: Axes, title: str, colour: str = INK) -> None:
    """A title at the left above a plot."""
    panel.set_title(title, loc="left", color=colour, fontsize=10)


def encode_figure(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()
