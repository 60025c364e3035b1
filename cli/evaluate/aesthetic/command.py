"""`lunula eval aesthetic`: paper Q's table from predictions, and whether the models read the tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.console import console, errors, errors_as_exit_codes, progress
from cli.evaluate.aesthetic.page import write_page
from cli.evaluate.aesthetic.tables import (
    controls_table,
    differences_table,
    published_table,
    scores_table,
    spreads_table,
)
from cli.evaluate.extra import require_evaluate_extra
from evaluation.aesthetic.predictions import read
from evaluation.aesthetic.table import AGAINST, COMPARED, OURS, tabulate


def aesthetic(
    runs: Annotated[
        Path, typer.Option(help="What `lunula train aesthetic` left: a folder with predictions.")
    ],
    samples: Annotated[
        int, typer.Option(min=100, max=100_000, help="Samples of the bootstrap over photos.")
    ] = 2_000,
    paper: Annotated[
        bool, typer.Option("--paper", help="Print what the paper reports below; on other photos.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with the pictures, and these as PNG beside it.")
    ] = None,
) -> None:
    """Print paper Q's table: errors, correlations and distances of histograms of every variant.

    Figures are means and standard deviations over a variant's runs, on photos that no run was trained on.
    "ours" is compared with the variants without tags by a paired bootstrap over photos. The controls ask the
    models with tags of other photos, and look for what they only say because photo and tag are alike.
    """
    with errors_as_exit_codes():
        require_evaluate_extra()
        truth, variants = read(runs)
        names = {variant.name for variant in variants}
        pairs = len(COMPARED) * len(names & set(AGAINST)) if OURS in names else 0
        with progress() as bar:
            measuring = bar.add_task("Measuring", total=sum(len(variant.runs) for variant in variants))
            table = tabulate(truth, variants, lambda: bar.advance(measuring))
            comparing = bar.add_task("Comparing", total=pairs)
            found = table.differences(samples=samples, on_difference=lambda: bar.advance(comparing))
        if page is not None:
            for path in write_page(page, table, variants, found):
                errors.print(f"wrote {escape(str(path))}")
    if as_json:
        typer.echo(json.dumps(table.as_dict(found), ensure_ascii=False, indent=2))
        return
    for part in (scores_table(table), spreads_table(table)):
        console.print(part)
    if found:
        console.print(differences_table(found))
    console.print(controls_table(table))
    pairs_said = f"{len(table.pairs.better):,} pairs of photos of {table.pairs.tags} tags"
    console.print(f"{pairs_said}; {table.pairs.near_ties:,} near-ties are left out", highlight=False)
    if paper:
        console.print(published_table())
