"""`lunula data artists`: works whose artist is known, in the form that paper A's models are trained on."""

from __future__ import annotations

from collections import Counter
from statistics import mean, median

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from cli.workbench.listings import register_listing
from evaluation.artist.works import LISTING, Work, scan

_FEW = 10  # works: with fewer, a fold of a fold may hold none of an artist


def register(app: typer.Typer) -> None:
    """Add `artists` and its commands to `app`."""
    register_listing(
        app,
        "artists",
        help=f"Works whose artist is known ({LISTING}).",
        scan=scan,
        summarise=_summarise,
        generator="training.synth.works",
        generator_help="Write works.jsonl for a run of `lunula data synth --kind artists`: DIR.",
    )


def _summarise(works: list[Work]) -> RenderableType:
    counts = Counter(work.artist for work in works)
    lengths = [len(work.text) for work in works if work.text]
    languages = Counter(work.lang or "not given" for work in works)
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
    table = Table(title="Every line is valid", title_justify="left", show_header=False)
    for name, value in rows.items():
        table.add_row(name, escape(value))
    few = sum(count < _FEW for count in counts.values())
    return (
        Group(table, f"{few:,} artists have fewer than {_FEW} works: too few for five folds within five")
        if few
        else table
    )
