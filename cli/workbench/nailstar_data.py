"""`lunula data nailstar`: photos with requests, palettes and targets in the form of paper N."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer
from rich.table import Table

from cli.console import console
from cli.workbench.listings import require_valid
from cli.workbench.programs import PASS_ON, run_module
from evaluation.retrieval.nailstar import LISTING, SPLITS, SUBSETS, Entry, scan


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(
        help="Photos with requests, palettes and targets (nailstar.jsonl).", no_args_is_help=True
    )
    group.command("check")(check)
    group.command("from-synth", context_settings=PASS_ON)(from_synth)
    app.add_typer(group, name="nailstar")


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=f"A folder with {LISTING} and its photos.")],
) -> None:
    """Read every line of a folder and say what is wrong with it, by file, line and field; else count."""
    console.print(_summary(require_valid(scan(folder))))


def from_synth(context: typer.Context) -> None:
    """Choose a request and a palette for every photo of a drawn run: DIR [--out nailstar.jsonl]."""
    raise typer.Exit(run_module("training.synth.nailstar", *context.args))


def _summary(entries: list[Entry]) -> Table:
    table = Table(title="Every line is in order", title_justify="left")
    for column in ("split", "subset"):
        table.add_column(column)
    for column in ("requests", "languages", "targets", "colours", "families", "compositions"):
        table.add_column(column, justify="right")
    for split in SPLITS:
        for subset in SUBSETS:
            found = [entry for entry in entries if (entry.split, entry.subset) == (split, subset)]
            if not found:
                continue
            languages = Counter(entry.lang for entry in found)
            table.add_row(
                split,
                subset,
                f"{len(found):,}",
                ", ".join(f"{name} {count:,}" for name, count in languages.most_common(4)),
                f"{mean(len(entry.targets) for entry in found):.1f}",
                f"{mean(len(entry.palette) for entry in found):.2f}",
                str(len({entry.family for entry in found} - {""})),
                f"{sum(entry.composition for entry in found):,}",
            )
    return table
