"""`lunula data nailstar`: photos with requests, palettes and targets in the form of paper N."""

from __future__ import annotations

from collections import Counter
from statistics import mean

import typer
from rich.table import Table

from cli.workbench.listings import register_listing
from evaluation.retrieval.nailstar import LISTING, SPLITS, SUBSETS, Entry, scan


def register(app: typer.Typer) -> None:
    """Add `nailstar` and its commands to `app`."""
    register_listing(
        app,
        "nailstar",
        help=f"Photos with requests, palettes and targets ({LISTING}).",
        scan=scan,
        summarise=_summarise,
        generator="training.synth.nailstar",
        generator_help="Choose a request and a palette for every photo of a synthetic run: DIR [--out FILE].",
    )


def _summarise(entries: list[Entry]) -> Table:
    table = Table(title="Every line is valid", title_justify="left")
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
