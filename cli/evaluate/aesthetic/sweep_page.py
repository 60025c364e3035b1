"""What `lunula eval aesthetic-sweep` shows: a table, a plot of scores over scales, and a page with images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from cli.client.page import inline_jpeg
from cli.evaluate.aesthetic.plots import OURS
from cli.evaluate.aesthetic.sweep import Images, Scores, SweepRow, rows_of
from cli.evaluate.pages import write_with_pictures
from cli.evaluate.plots import FAINT, Plot, Sheet

_SHOWN = 6  # sets on the page
_SEED = "#c9c9c9"


def sweep_table(rows: Sequence[SweepRow], facts: Mapping[str, Any]) -> Table:
    """Scores by scale, and the figures of the trend."""
    tags = ", ".join(facts["tags"])
    said = f"as {tags}" if tags else "as nothing in particular"
    table = Table(title=f"Aesthetic score by scale, judged {said}", title_justify="left")
    for column in ("scale", "images", "mean", "sd", "lowest", "highest"):
        table.add_column(column, justify="right")
    for row in rows:
        numbers = (row.mean, row.deviation, row.low, row.high)
        table.add_row(f"{row.scale:g}", str(row.images), *(f"{value:.3f}" for value in numbers))
    return table


def lines_of(facts: Mapping[str, Any]) -> list[str]:
    """The trend in words."""
    trend, seeds = facts["jonckheere-terpstra"], facts["per seed"]
    lines = [
        f"Spearman of scale and score: {facts['spearman']:+.3f}",
        f"Jonckheere-Terpstra: J = {trend['statistic']:g} (without a trend {trend['expected']:g} "
        f"± {trend['deviation']:.1f}), z = {trend['z']:+.2f}, p of a rise {trend['rising']:.2g}",
    ]
    if seeds["seeds"]:
        lines.append(
            f"per seed ({seeds['seeds']} with every scale): mean {seeds['mean']:+.3f}, "
            f"median {seeds['median']:+.3f}, {100 * seeds['positive']:.0f} % rise"
        )
    else:
        lines.append("per seed: no file name is in every folder")
    return lines


def sweep_png(scores: Scores) -> bytes:
    """Scores (up) over scales (across): a thin line a seed; means with a standard deviation on each side."""
    rows = rows_of(scores)
    values = np.array([score for own in scores.values() for score in own.values()])
    low, high = float(np.floor(values.min() * 2) / 2), float(np.ceil(values.max() * 2) / 2)
    high = max(high, low + 0.5)
    # Scales stand at even distances: 1, 3, 5, 7, 9 as well as 1, 10, 100.
    plot = Plot(
        sheet := Sheet(720, 420, (60, 40, 690, 360)),
        (60, 40, 690, 360),
        x=(-0.4, len(rows) - 0.6),
        y=(low, high),
    )
    step = 0.5 if high - low <= 5 else 1.0
    ticks = [
        (low + step * place, f"{low + step * place:g}") for place in range(round((high - low) / step) + 1)
    ]
    plot.axes(
        "aesthetic score; means with their standard deviation",
        x_ticks=[(place, f"{row.scale:g}") for place, row in enumerate(rows)],
        y_ticks=ticks,
        x_name="scale",
    )
    ordered = [scores[row.scale] for row in rows]
    for name in sorted(set.intersection(*(set(own) for own in ordered))):
        plot.line([(place, own[name]) for place, own in enumerate(ordered)], _SEED, 1)
    for place, own in enumerate(ordered):
        for score in own.values():
            plot.dot(place, score, 2.2, FAINT)
    for place, row in enumerate(rows):
        ends = (max(low, row.mean - row.deviation), min(high, row.mean + row.deviation))
        plot.line([(place, ends[0]), (place, ends[1])], OURS, 3)
    plot.line([(place, row.mean) for place, row in enumerate(rows)], OURS, 2.5)
    for place, row in enumerate(rows):
        plot.dot(place, row.mean, 6, OURS)
    return sheet.png()


def write_sweep_page(path: Path, images: Images, scores: Scores, facts: Mapping[str, Any]) -> list[Path]:
    """Writes the page with the plot, also as PNG beside it, and a few seeds with all their images."""
    rows = rows_of(scores)
    names = sorted(set.intersection(*(set(own) for own in images.values())))
    chosen = [names[int(place)] for place in np.linspace(0, len(names) - 1, min(_SHOWN, len(names)))]
    shown = [
        {
            "name": name,
            "cells": [
                {"image": inline_jpeg(images[row.scale][name].read_bytes(), height=150),
                 "score": scores[row.scale][name]}
                for row in rows
            ],
        }
        for name in chosen
    ]  # fmt: skip
    return write_with_pictures(
        path,
        "aesthetic_sweep.html.j2",
        {"trend": sweep_png(scores)},
        rows=rows,
        facts=facts,
        lines=lines_of(facts),
        shown=shown,
    )
