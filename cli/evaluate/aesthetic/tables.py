"""The tables of `lunula eval aesthetic`, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from cli.evaluate.tables import build_table
from evaluation.aesthetic.metrics import BIN, HIGH, LOW
from evaluation.aesthetic.published import CONSTANT
from evaluation.aesthetic.published import FIGURES as PUBLISHED_FIGURES
from evaluation.aesthetic.published import ROWS as PUBLISHED_ROWS
from evaluation.aesthetic.table import FIGURES, PAIRS, AestheticTable, Difference
from evaluation.metrics import BETTER, WORSE, Cell

_OF_PHOTOS = ("MAE", "sd", "variance", "LCC", "SRCC", "KRCC")
_HEADS = {"sd": "sd |error|", "variance": "variance", PAIRS: "pairs of a tag"}
_CONTROL_HEADS = {
    "similarity": "r(score,\nsimilarity)",
    "partial": "the same\ngiven truth",
    "right": "SRCC,\nits tags",
    "wrong": "SRCC,\nwrong tags",
    "fall": "score lost\nby wrong tags",
}


def scores_table(table: AestheticTable) -> Table:
    """Photo by photo: errors and correlations of paper Q's table."""
    title = (
        f"Scores of {len(table.truth.ids):,} photos: mean and standard deviation over runs\n"
        f"always predicting the mean has an MAE of {table.constant:.3f}"
    )
    return _figures_table(table, title, _OF_PHOTOS)


def spreads_table(table: AestheticTable) -> Table:
    """All photos together, and the votes: distances of paper Q's table."""
    title = (
        f"How scores and votes are spread. KL, EMD: of histograms of all scores, bins of {BIN:g} on "
        f"[{LOW:g}, {HIGH:g}]\nW1: of all scores, in score; EMD r: of the ten votes of each photo, mean; "
        "pairs of a tag: share in people's order"
    )
    return _figures_table(table, title, tuple(name for name in FIGURES if name not in _OF_PHOTOS))


def _figures_table(table: AestheticTable, title: str, names: Sequence[str]) -> Table:
    heads = (_HEADS.get(name, name) for name in names)
    output = build_table(title, "variant", "runs", *heads, left=("variant",))
    for row in table.rows:
        output.add_row(escape(row.name), str(len(row.runs)), *(_cell(row.cell(name)) for name in names))
    return output


def controls_table(table: AestheticTable) -> Table:
    """Whether a model reads the tags, and whether it only says how alike photo and tags are."""
    own = "–" if table.similarity is None else f"{table.similarity:+.3f}"
    output = build_table(
        f"Controls, on {int(table.truth.tagged.sum()):,} photos with a tag\n"
        f"the truth's own correlation with similarity: {own}",
        "variant",
        *_CONTROL_HEADS.values(),
        left=("variant",),
    )
    for row in table.rows:
        output.add_row(escape(row.name), *(_cell(row.cell(name)) for name in _CONTROL_HEADS))
    return output


def differences_table(differences: Sequence[Difference]) -> Table:
    """How much better ours is than each other variant."""
    output = build_table(
        "ours less another, means over runs; interval and p of a paired bootstrap over photos\n"
        "sd of runs: of the difference between one run of each",
        *("less", "figure", "difference", "95 %", "p", "sd of runs", "beyond it"),
        left=("less", "figure", "beyond it"),
    )
    for one in differences:
        found = one.difference
        colour = {BETTER: "green", WORSE: "red"}.get(one.verdict, "yellow")
        output.add_row(
            escape(one.against),
            one.figure,
            f"{found.mean:+.4f}",
            f"{found.low:+.4f} … {found.high:+.4f}",
            f"{found.p_value:.4f}",
            "–" if one.deviation is None else f"{one.deviation:.4f}",
            f"[{colour}]{one.verdict}[/{colour}]",
        )
    return output


def published_table() -> Table:
    """What paper Q reports on its own photos."""
    output = build_table(
        "OTHER DATA, not to be compared:\nwhat the paper reports on 1,350 photos of AVA\n"
        f"(always predicting the mean: MAE {CONSTANT:.3f} on 12,776)",
        "variant",
        *PUBLISHED_FIGURES,
        left=("variant",),
    )
    for variant, values in PUBLISHED_ROWS.items():
        output.add_row(variant, *(f"{value:.3f}" for value in values))
    return output


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"{cell.mean:.3f}" + ("" if cell.deviation is None else f" ± {cell.deviation:.3f}")
