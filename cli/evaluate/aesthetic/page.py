"""The page of `lunula eval aesthetic`: the table, and how scores and votes are spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cli.evaluate.aesthetic.plots import draw_distributions, draw_histograms, draw_scatter
from cli.evaluate.pages import write_with_pictures
from evaluation.aesthetic.predictions import Variant
from evaluation.aesthetic.table import CONTROLS, FIGURES, OURS, AestheticTable, Difference


def write_page(
    path: Path, table: AestheticTable, variants: Sequence[Variant], differences: Sequence[Difference]
) -> list[Path]:
    """Writes the page and, beside it, its pictures as PNG; returns what was written."""
    mos = table.truth.mos
    pictures = {"histograms": draw_histograms(mos, table.rows), "scatter": draw_scatter(mos, table.rows)}
    shown = _with_distribution(variants)
    if shown is not None:
        each = [run.distribution for run in shown.runs if run.distribution is not None]
        predicted = np.stack(each).astype(np.float64).mean(axis=0)
        pictures["distributions"] = draw_distributions(table.truth.votes, predicted, table.truth.ids, mos)
    return write_with_pictures(
        path,
        "aesthetics.html.j2",
        pictures,
        table=table,
        figures=FIGURES,
        controls=CONTROLS,
        differences=differences,
        shown=shown,
    )


def _with_distribution(variants: Sequence[Variant]) -> Variant | None:
    """Ours, else the last one that predicts distributions."""
    able = [one for one in variants if all(run.distribution is not None for run in one.runs)]
    return next((one for one in able if one.name == OURS), able[-1] if able else None)
