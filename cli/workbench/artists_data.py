"""`lunula data artists`: works whose artist is known, in the form that paper A's models are trained on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import mean, median
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.console import console
from cli.workbench.listings import require_valid
from cli.workbench.programs import PASS_ON, run_module
from evaluation.artist.works import LISTING, Work, scan

_FEW = 10  # works: with fewer, a fold of a fold may hold none of an artist


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    group = typer.Typer(help=f"Works whose artist is known ({LISTING}).", no_args_is_help=True)
    group.command("check")(check)
    group.command("from-synth", context_settings=PASS_ON)(from_synth)
    app.add_typer(group, name="artists")


def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=f"A folder with {LISTING} and its photos.")],
) -> None:
    """Read every line of a catalogue and say what is wrong with it, by file, line and field; else count."""
    works = require_valid(scan(folder))
    console.print(_summary(works))
    few = sum(count < _FEW for count in Counter(work.artist for work in works).values())
    if few:
        console.print(f"{few:,} artists have fewer than {_FEW} works: too few for five folds within five")


def from_synth(context: typer.Context) -> None:
    """Write works.jsonl for a run of `lunula data synth --kind artists`: DIR."""
    raise typer.Exit(run_module("training.synth.works", *context.args))


def _summary(works: list[Work]) -> Table:
    counts = Counter(work.artist for work in works)
    lengths = [len(work.text) for work in works if work.text]
    languages = Counter(work.lang or "not said" for work in works)
    rows = {
        "works": f"{len(works):,}",
        "artists": f"{len(counts):,}",
        "works of an artist": f"{min(counts.values()):,} to {max(counts.values()):,}, "
        f"{mean(counts.values()):.1f} on average, half have {median(counts.values()):g} or more",
        "with a photo": f"{sum(work.image is not None for work in works):,}",
        "without a photo": f"{sum(work.image is None for work in works):,}",
        "with words": f"{len(lengths):,}",
        "characters of a text": f"{median(lengths):g} in the middle, {max(lengths):,} at most"
        if lengths
        else "none",
        "languages": ", ".join(f"{name} {count:,}" for name, count in languages.most_common(6)),
        "with labels": f"{sum(bool(work.labels) for work in works):,}",
    }
    table = Table(title="Every line is in order", title_justify="left", show_header=False)
    for name, value in rows.items():
        table.add_row(name, escape(value))
    return table
