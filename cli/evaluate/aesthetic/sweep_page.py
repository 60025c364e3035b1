"""What `lunula eval aesthetic-sweep` shows: a table, a plot of scores over scales, and a page with images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from cli.client.page import inline_jpeg
from cli.evaluate.aesthetic.plots import draw_sweep
from cli.evaluate.aesthetic.sweep import Images, Scores, SweepRow, summarise_scales
from cli.evaluate.pages import write_with_pictures
from cli.evaluate.tables import build_table

_SHOWN = 6  # sets on the page


def sweep_table(rows: Sequence[SweepRow], facts: Mapping[str, Any]) -> Table:
    """Scores by scale, and the figures of the trend."""
    tags = f"for {', '.join(facts['tags'])}" if facts["tags"] else "for no tag"
    columns = ("scale", "images", "mean", "sd", "lowest", "highest")
    table = build_table(f"Aesthetic score by scale, {tags}", *columns)
    for row in rows:
        numbers = (row.mean, row.deviation, row.low, row.high)
        table.add_row(f"{row.scale:g}", str(row.images), *(f"{value:.3f}" for value in numbers))
    return table


def describe_trend(facts: Mapping[str, Any]) -> list[str]:
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


def write_sweep_page(path: Path, images: Images, scores: Scores, facts: Mapping[str, Any]) -> list[Path]:
    """Writes the page with the plot, also as PNG beside it, and a few seeds with all their images."""
    rows = summarise_scales(scores)
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
        {"trend": draw_sweep(scores)},
        rows=rows,
        facts=facts,
        lines=describe_trend(facts),
        shown=shown,
    )
