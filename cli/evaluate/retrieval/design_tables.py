"""The tables of `lunula eval design` and `eval errors`, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from cli.evaluate.tables import build_table
from evaluation.metrics import BETTER, WITHIN, WORSE
from evaluation.retrieval.benchmark import FAMILY
from evaluation.retrieval.design_table import DesignTable, Step
from evaluation.retrieval.error_categories import ErrorCategory
from evaluation.retrieval.published import COLUMNS, PAPER_N

_TITLES = {
    "multi": "Requests with several targets",
    "single": "Requests with one target",
    "both": "All requests",
    "binding": "Binding: photos of families that show the same colours, bound in different ways",
    "composition": "Composition: requests that speak of an accent or a finger",
}
_VERDICTS = {
    BETTER: "[green]better[/green]",
    WORSE: "[red]worse[/red]",
    WITHIN: "[yellow]within ±[/yellow]",
}


def rows_table(table: DesignTable) -> Table:
    """Names, titles and seeds of the rows."""
    columns = ("row", "what it is", "seeds")
    output = build_table("Rows", *columns, left=columns)
    for row in table.rows:
        output.add_row(escape(row.name), escape(row.title), ", ".join(map(str, row.seeds)))
    return output


def subset_tables(table: DesignTable, names: Sequence[str]) -> list[Table]:
    """One table a subset: a row a trained row, `names` as columns, in percent."""
    return [_subset_table(table, subset, names) for subset in table.subsets]


def _subset_table(table: DesignTable, subset: str, names: Sequence[str]) -> Table:
    places = table.subsets[subset]
    title = f"{_TITLES.get(subset, f'Requests in {subset}')} ({len(places):,}; %, pool: "
    title += f"{table.benchmark.pool})"
    columns = list(names)
    if subset == "binding":
        count, chance = table.family_chance
        columns.append(FAMILY)
        title += (
            f"\n{FAMILY}: the photo comes before the others of its family; {count:,} requests, "
            f"chance {100 * chance:.0f} %"
        )
    output = build_table(title, "row", *columns, left=("row",))
    output.collapse_padding = True
    for row in table.rows:
        cells = []
        for name in columns:
            cell = row.cell(name, places)
            if cell is None:
                cells.append("–")
            else:
                spread = "" if cell.deviation is None else f" ±{100 * cell.deviation:.2f}"
                cells.append(f"{100 * cell.mean:.2f}{spread}")
        output.add_row(escape(row.name), *cells)
    return output


def steps_table(steps: Sequence[Step]) -> Table:
    """The gain of each step in points, with its 95 % interval."""
    names = ("row", "less", "requests", "figure")
    output = build_table(
        "Steps, in points: paired bootstrap over requests; ±: standard deviation over runs",
        *(*names, "difference", "95 %", "p", "±", "verdict"),
        left=names,
    )
    before = ("", "")
    for step in steps:
        pair = step.row, step.against
        if before not in (pair, ("", "")):
            output.add_section()
        shown = pair if pair != before else ("", "")
        before = pair
        difference = step.difference
        output.add_row(
            escape(shown[0]),
            escape(shown[1]),
            step.subset,
            step.figure,
            f"{100 * difference.mean:+.2f}",
            f"{100 * difference.low:+.2f} … {100 * difference.high:+.2f}",
            f"{difference.p_value:.4f}",
            "–" if step.deviation is None else f"{100 * step.deviation:.2f}",
            _VERDICTS.get(step.verdict, "one run"),
        )
    return output


def published_table() -> Table:
    """What paper N reports on its own data."""
    output = build_table(
        "OTHER DATA, for reference only: what the paper reports on NAIL-STAR (%); not to be compared with "
        "the tables above",
        "method",
        *(f"{subset}\n{column}" for subset in ("multi", "single") for column in COLUMNS),
        left=("method",),
    )
    for row in PAPER_N:
        output.add_row(row.title, *(f"{figure:.2f}" for figure in (*row.multi, *row.single)))
    return output


def categories_table(counts: Mapping[ErrorCategory, int]) -> Table:
    """Counts and shares of the categories."""
    total = sum(counts.values())
    columns = ("category", "failures", "share", "covers")
    output = build_table(f"{total:,} failures by category", *columns, left=("category", "covers"))
    for category, count in counts.items():
        output.add_row(category.label, str(count), f"{100 * count / total:.0f} %", category.meaning)
    return output
