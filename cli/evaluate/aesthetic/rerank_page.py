"""What `lunula eval rerank` shows: a table by weight, a plot of both curves, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from cli.evaluate.aesthetic.plots import OURS
from cli.evaluate.pages import write_with_pictures
from cli.evaluate.plots import FAINT, Plot, Sheet
from evaluation.aesthetic.rerank_weights import Line
from evaluation.metrics import PairedDifference

_PEOPLE = "#2e7d32"
Gains = Mapping[str, PairedDifference]


def weights_table(lines: Sequence[Line], gains: Sequence[Gains], title: str) -> Table:
    """A row a weight. gains: what each brings over the first, which is weight 0."""
    table = Table(title=title, title_justify="left", pad_edge=False)
    for column in ("weight", "hit@10", "Δ points", "nDCG@10", "Δ points", "MRR", "beauty", "grade"):
        table.add_column(column, justify="right")
    for line, gain in zip(lines, gains, strict=True):
        off = line.weight == 0
        table.add_row(
            f"{line.weight:g}",
            f"{100 * line.hit_at_10:.1f} %",
            "" if off else _points(gain["hit@10"]),
            f"{100 * line.ndcg_at_10:.1f} %",
            "" if off else _points(gain["nDCG@10"]),
            f"{line.mrr:.3f}",
            f"{line.beauty:.3f}",
            f"{line.grade:.2f}",
        )
    return table


def weights_png(
    lines: Sequence[Line], gains: Sequence[Gains], people: Sequence[Line], default: float
) -> bytes:
    """hit@10 and nDCG@10 (up, in %) over the weights, side by side, with 95 % of the gain's bootstraps.

    people: with people's own beauty. default: marked.
    """
    sheet = Sheet(940, 380, (60, 40, 450, 310))
    panels = (("hit@10", "hit_at_10", (60, 40, 450, 310)), ("nDCG@10", "ndcg_at_10", (530, 40, 920, 310)))
    weights = [line.weight for line in lines]
    room = 0.04 * (max(weights) - min(weights) or 1)
    for title, name, box in panels:
        values = [100 * getattr(line, name) for line in (*lines, *people)]
        off = 100 * getattr(lines[0], name)
        ends = [(off + 100 * gain[title].low, off + 100 * gain[title].high) for gain in gains]
        low = float(np.floor(min(*values, *(end[0] for end in ends)) - 0.2))
        high = float(np.ceil(max(*values, *(end[1] for end in ends)) + 0.2))
        plot = Plot(sheet, box, x=(min(weights) - room, max(weights) + room), y=(low, high))
        step = next(size for size in (0.5, 1, 2, 5, 10, 20) if (high - low) / size <= 9)
        ticks = [
            (low + step * place, f"{low + step * place:g}") for place in range(int((high - low) / step) + 1)
        ]
        plot.axes(
            f"{title}, %", x_ticks=[(w, f"{w:g}") for w in weights], y_ticks=ticks, x_name="weight of beauty"
        )
        plot.line([(default, low), (default, high)], FAINT, 1)
        plot.line([(weights[0], off), (weights[-1], off)], FAINT, 1)
        plot.line([(line.weight, 100 * getattr(line, name)) for line in people], _PEOPLE, 1.5)
        for line, end in zip(lines[1:], ends[1:], strict=True):
            plot.line([(line.weight, end[0]), (line.weight, end[1])], OURS, 1.5)
        plot.line([(line.weight, 100 * getattr(line, name)) for line in lines], OURS, 2.5)
        for line in lines:
            plot.dot(line.weight, 100 * getattr(line, name), 4.5, OURS)
    for x, words, fill in (
        (60, "the model's beauty", OURS),
        (250, "people's own beauty in place of it", _PEOPLE),
    ):
        sheet.text((2 * x, 2 * 362), words, size=11, fill=fill)
    return sheet.png()


def write_rerank_page(
    path: Path,
    lines: Sequence[Line],
    gains: Sequence[Gains],
    people: Sequence[Line],
    facts: Mapping[str, Any],
) -> list[Path]:
    """Writes the page, and the plot as PNG beside it; returns what was written."""
    pictures = {"weights": weights_png(lines, gains, people, facts["default"])}
    return write_with_pictures(
        path, "aesthetic_rerank.html.j2", pictures, lines=lines, gains=gains, people=people, facts=facts
    )


def _points(found: PairedDifference) -> str:
    return f"{100 * found.mean:+.2f} ({100 * found.low:+.2f} … {100 * found.high:+.2f})"
