"""Failures of a row as one HTML file: what was asked, what was meant, what came first, and a form in which
each gets one of paper N's categories. Nothing is loaded from elsewhere; the form saves JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.client.page import inline_jpeg, templates
from evaluation.retrieval.benchmark import Benchmark, Run, best_ranks, nearest
from evaluation.retrieval.error_categories import ErrorCategory
from evaluation.retrieval.nailstar import Entry
from nails.colour.cielab import lab_to_srgb_u8

FOUND = 5
FAILED_ABOVE = 10  # paper N looked at requests whose best target stands below the first ten
_HEIGHT = 220


@dataclass(frozen=True)
class Failure:
    """A request with the rank of its best target and the ids that came first."""

    entry: Entry
    rank: int
    found: tuple[str, ...]


def sample_failures(run: Run, benchmark: Benchmark, most: int) -> tuple[list[Failure], int]:
    """At most `most` failures, spread evenly over the split, and how many there are."""
    ranks = best_ranks(run, benchmark)
    places = np.flatnonzero(ranks > FAILED_ABOVE)
    chosen = places[np.linspace(0, places.size - 1, min(most, places.size)).round().astype(int)]
    failures = [
        Failure(benchmark.entries[place], int(ranks[place]), tuple(nearest(run, benchmark, place, FOUND)))
        for place in chosen.tolist()
    ]
    return failures, int(places.size)


def render(
    failures: Sequence[Failure],
    run: Run,
    folder: Path,
    benchmark: Benchmark,
    *,
    total: int,
    on_failure: Callable[[], None] = lambda: None,
) -> str:
    """The page. folder: that of the photos; total: failures that there are."""
    images = {entry.id: entry.image for entry in benchmark.entries}
    jpegs: dict[str, str] = {}

    def photo(name: str) -> str:
        if name not in jpegs:
            jpegs[name] = inline_jpeg((folder / images[name]).read_bytes(), height=_HEIGHT)
        return jpegs[name]

    cards = []
    for failure in failures:
        cards.append(
            {
                "entry": failure.entry,
                "rank": failure.rank,
                "swatches": [_css(lab) for lab in failure.entry.palette],
                "meant": photo(failure.entry.id),
                "found": [
                    {"id": name, "jpeg": photo(name), "target": name in failure.entry.targets}
                    for name in failure.found
                ],
                "record": {
                    "row": run.row,
                    "seed": run.seed,
                    "id": failure.entry.id,
                    "request": failure.entry.request,
                    "lang": failure.entry.lang,
                    "subset": failure.entry.subset,
                    "rank": failure.rank,
                    "found": failure.found,
                },
            }
        )
        on_failure()
    return templates.get_template("failures.html.j2").render(
        cards=cards,
        run=run,
        total=total,
        requests=len(benchmark.entries),
        pool=benchmark.pool,
        categories=list(ErrorCategory),
        failed_above=FAILED_ABOVE,
    )


def _css(lab: Sequence[float]) -> str:
    return "rgb({}, {}, {})".format(*lab_to_srgb_u8(lab).tolist())
