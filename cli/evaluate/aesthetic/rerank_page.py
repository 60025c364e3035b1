"""What `lunula eval rerank` shows: a table by weight, a plot of both curves, and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cli.evaluate.aesthetic.plots import draw_rerank_weights
from cli.evaluate.pages import write_with_pictures
from cli.evaluate.tables import build_table
from evaluation.aesthetic.rerank_weights import WeightFigures
from evaluation.metrics import PairedDifference

Gains = Mapping[str, PairedDifference]


def weights_table(lines: Sequence[WeightFigures], gains: Sequence[Gains], title: str) -> Table:
    """A row a weight. gains: what each brings over the first, which is weight 0."""
    columns = ("weight", "hit@10", "Δ points", "nDCG@10", "Δ points", "MRR", "aesthetic", "grade")
    table = build_table(title, *columns)
    for line, gain in zip(lines, gains, strict=True):
        off = line.weight == 0
        table.add_row(
            f"{line.weight:g}",
            f"{100 * line.hit_at_10:.1f} %",
            "" if off else _points(gain["hit@10"]),
            f"{100 * line.ndcg_at_10:.1f} %",
            "" if off else _points(gain["nDCG@10"]),
            f"{line.mrr:.3f}",
            f"{line.aesthetic:.3f}",
            f"{line.grade:.2f}",
        )
    return table


def write_rerank_page(
    path: Path,
    lines: Sequence[WeightFigures],
    gains: Sequence[Gains],
    people: Sequence[WeightFigures],
    facts: Mapping[str, Any],
) -> list[Path]:
    """Writes the page, and the plot as PNG beside it; returns what was written."""
    pictures = {"weights": draw_rerank_weights(lines, gains, people, facts["default"])}
    return write_with_pictures(
        path, "aesthetic_rerank.html.j2", pictures, lines=lines, gains=gains, people=people, facts=facts
    )


def _points(found: PairedDifference) -> str:
    return f"{100 * found.mean:+.2f} ({100 * found.low:+.2f} … {100 * found.high:+.2f})"
