"""The table of paper N: figures of every row on every subset, mean and standard deviation over its runs, and
what each step from row to row brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import Cell, PairedDifference, classify_difference, paired_bootstrap
from evaluation.retrieval.benchmark import (
    FAMILY,
    Benchmark,
    Floats,
    Run,
    RunError,
    family_places,
    figure_names,
    figures,
)
from evaluation.retrieval.nailstar import Entry

ROWS: Final = ("clip", "beit3", "nailia", "cvfim_no_crop", "cvfim", "ours")
"""Rows that build on one another, in this order; all others are ablations."""
STEP_FIGURES: Final = ("MRR", "hit@1", "hit@10")
STEP_SUBSETS: Final = ("multi", "single", "both", "binding", "composition")


@dataclass(frozen=True)
class Row:
    """A row of the table. per_run: by figure, float [R,Q]: every run's figure of every request."""

    name: str
    title: str
    seeds: tuple[int, ...]
    digests: tuple[str, ...]
    per_run: Mapping[str, Floats] = field(repr=False)

    def cell(self, figure: str, places: NDArray[np.int64]) -> Cell | None:
        """A figure over the requests at `places` that have it; None where none has."""
        values = self.per_run[figure][:, places]
        values = values[:, ~np.isnan(values[0])]
        if not values.size:
            return None
        means = values.mean(axis=1)
        return Cell(float(means.mean()), float(means.std(ddof=1)) if len(means) > 1 else None)


@dataclass(frozen=True)
class Step:
    """A row less another on a subset. difference: over requests, their figures averaged over runs.

    deviation: standard deviation of the difference between one run of each, None where a row has one run.
    verdict: BETTER or WORSE where the mean differs by more than `deviation`, else WITHIN; UNKNOWN without it.
    """

    row: str
    against: str
    subset: str
    figure: str
    difference: PairedDifference
    deviation: float | None

    @property
    def verdict(self) -> str:
        """Whether the step is larger than what differs between runs."""
        return classify_difference(self.difference.mean, self.deviation)


@dataclass(frozen=True)
class DesignTable:
    """Rows in order; subsets: places of their requests by name."""

    benchmark: Benchmark
    rows: tuple[Row, ...]
    subsets: Mapping[str, NDArray[np.int64]]

    @property
    def family_chance(self) -> tuple[int, float]:
        """Of how many requests FAMILY is known, and what it is by chance."""
        siblings = family_places(self.benchmark.entries).values()
        return len(siblings), float(np.mean([1 / (1 + len(own)) for own in siblings])) if siblings else 0.0

    def pairs(self, against: str | None = None) -> list[tuple[Row, Row]]:
        """(row, reference): what is compared. Rows that build on one another with the one before; ablations
        with the row that their name begins with, else the last of those; all with `against` where given.

        Raises RunError where there is no row `against`.
        """
        by_name = {row.name: row for row in self.rows}
        if against is not None:
            if against not in by_name:
                raise RunError(f"there is no row {against!r}; there are {', '.join(by_name)}")
            return [(row, by_name[against]) for row in self.rows if row.name != against]
        built = [row for row in self.rows if row.name in ROWS]
        pairs = [(row, before) for before, row in pairwise(built)]
        for row in self.rows:
            if row.name not in ROWS and built:
                parents = [other for other in built if row.name.startswith(f"{other.name}_")]
                pairs.append((row, max(parents, key=lambda other: len(other.name), default=built[-1])))
        return pairs

    def steps(
        self,
        against: str | None = None,
        *,
        samples: int = 2_000,
        on_step: Callable[[], None] = lambda: None,
    ) -> list[Step]:
        """Every pair of rows on STEP_SUBSETS and STEP_FIGURES, and FAMILY. samples: of the bootstrap."""
        found = []
        for row, reference in self.pairs(against):
            for subset in STEP_SUBSETS:
                for figure in (*STEP_FIGURES, *((FAMILY,) if subset == "binding" else ())):
                    step = self._step(row, reference, subset, figure, samples)
                    if step is not None:
                        found.append(step)
            on_step()
        return found

    def _step(self, row: Row, reference: Row, subset: str, figure: str, samples: int) -> Step | None:
        places = self.subsets.get(subset, np.zeros(0, np.int64))
        ours, theirs = row.cell(figure, places), reference.cell(figure, places)
        if ours is None or theirs is None:
            return None
        known = places[~np.isnan(row.per_run[figure][0, places])]
        difference = paired_bootstrap(
            row.per_run[figure][:, known].mean(axis=0),
            reference.per_run[figure][:, known].mean(axis=0),
            samples=samples,
        )
        deviation = None
        if ours.deviation is not None and theirs.deviation is not None:
            deviation = float(np.hypot(ours.deviation, theirs.deviation))
        return Step(row.name, reference.name, subset, figure, difference, deviation)

    def as_dict(self, names: Sequence[str], steps: Sequence[Step]) -> dict[str, Any]:
        """For `--json`; names: of the figures to give."""
        count, chance = self.family_chance
        return {
            "pool": self.benchmark.pool,
            "subsets": {name: len(places) for name, places in self.subsets.items()},
            FAMILY: {"requests": count, "chance": chance},
            "rows": [
                {
                    "row": row.name,
                    "title": row.title,
                    "seeds": row.seeds,
                    "figures": {
                        subset: {
                            name: asdict(cell)
                            for name in names
                            if (cell := row.cell(name, places)) is not None
                        }
                        for subset, places in self.subsets.items()
                    },
                }
                for row in self.rows
            ],
            "steps": [asdict(step) | {"verdict": step.verdict} for step in steps],
        }


def tabulate(benchmark: Benchmark, runs: Iterable[Run]) -> DesignTable:
    """The table of `runs`, each read, measured and let go in turn. Raises RunError for no or equal runs."""
    names = figure_names()
    by_row: dict[str, list[tuple[int, str, str, dict[str, Floats]]]] = {}
    for run in runs:
        own = by_row.setdefault(run.row, [])
        if any(seed == run.seed for seed, *_ in own):
            raise RunError(f"row {run.row} has seed {run.seed} twice")
        own.append((run.seed, run.title, run.digest, figures(run, benchmark)))
    if not by_row:
        raise RunError("no runs")
    rows = []
    for name in sorted(by_row, key=_order):
        own = sorted(by_row[name], key=lambda item: item[0])
        rows.append(
            Row(
                name=name,
                title=own[0][1],
                seeds=tuple(seed for seed, *_ in own),
                digests=tuple(digest for _, _, digest, _ in own),
                per_run={figure: np.stack([found[figure] for *_, found in own]) for figure in names},
            )
        )
    return DesignTable(benchmark, tuple(rows), list_subsets(benchmark.entries))


def _is_in(lang: str, entry: Entry) -> bool:
    return entry.lang == lang


def list_subsets(entries: Sequence[Entry]) -> dict[str, NDArray[np.int64]]:
    """Places of the requests of each subset that has any: multi, single, both, binding, composition, and one
    a language, which are the last."""
    tests: dict[str, Callable[[Entry], bool]] = {
        "multi": lambda entry: entry.subset == "multi",
        "single": lambda entry: entry.subset == "single",
        "both": lambda _: True,
        "binding": lambda entry: bool(entry.family),
        "composition": lambda entry: entry.composition,
    }
    for lang in sorted({entry.lang for entry in entries}):
        tests[lang] = partial(_is_in, lang)
    found = {
        name: np.array([place for place, entry in enumerate(entries) if test(entry)], np.int64)
        for name, test in tests.items()
    }
    return {name: places for name, places in found.items() if places.size}


def _order(name: str) -> tuple[int, str]:
    return (ROWS.index(name), "") if name in ROWS else (len(ROWS), name)
