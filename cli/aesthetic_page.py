"""The page of `lunula eval aesthetic`: the table, and how scores and votes are spread."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cli.aesthetic_charts import distributions_png, histograms_png, scatter_png
from cli.page import templates
from evaluation.aesthetic_predictions import Variant
from evaluation.aesthetic_table import CONTROLS, FIGURES, OURS, AestheticTable, Difference


def write_page(
    path: Path, table: AestheticTable, variants: Sequence[Variant], differences: Sequence[Difference]
) -> list[Path]:
    """Writes the page and, beside it, its pictures as PNG; returns what was written."""
    mos = table.truth.mos
    pictures = {"histograms": histograms_png(mos, table.rows), "scatter": scatter_png(mos, table.rows)}
    shown = _with_distribution(variants)
    if shown is not None:
        each = [run.distribution for run in shown.runs if run.distribution is not None]
        predicted = np.stack(each).astype(np.float64).mean(axis=0)
        pictures["distributions"] = distributions_png(table.truth.votes, predicted, table.truth.ids, mos)
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


def write_with_pictures(path: Path, template: str, pictures: Mapping[str, bytes], **facts: Any) -> list[Path]:
    """Writes a page of a template with pictures inside, and each as PATH-NAME.png; returns what was written.

    The template gets `pictures` in base64 beside the facts.
    """
    encoded = {name: base64.b64encode(data).decode() for name, data in pictures.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    page = templates.get_template(template).render(pictures=encoded, **facts)
    path.write_text(page, encoding="utf-8")
    written = [path]
    for name, data in pictures.items():
        written.append(path.with_name(f"{path.stem}-{name}.png"))
        written[-1].write_bytes(data)
    return written


def _with_distribution(variants: Sequence[Variant]) -> Variant | None:
    """Ours, else the last one that predicts distributions."""
    able = [one for one in variants if all(run.distribution is not None for run in one.runs)]
    return next((one for one in able if one.name == OURS), able[-1] if able else None)
