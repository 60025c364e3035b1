"""The table of rows: order, mean and deviation over runs, and what counts as a step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evaluation.metrics import BETTER, UNKNOWN, WITHIN, WORSE, PairedDifference
from evaluation.retrieval.benchmark import FAMILY, Benchmark, Run, RunError
from evaluation.retrieval.design_table import DesignTable, Step, list_subsets, tabulate
from evaluation.retrieval.nailstar import Entry

COUNT = 200


def make_entries(count: int = COUNT) -> tuple[Entry, ...]:
    found = []
    for n in range(count):
        targets = (f"p{n}", f"p{n + 1}") if n % 2 == 0 else (f"p{n}",)
        more: dict[str, Any] = {"composition": n % 5 == 0}
        if n < 40:
            more["binding"] = {"family": f"f{n // 4}", "case": "finish", "member": n % 4}
        lang = "ja" if n % 3 else "en"
        subset = "multi" if len(targets) > 1 else "single"
        found.append(Entry(f"p{n}", f"p{n}.jpg", "test", "nails", lang, (), targets, subset, more))
    return tuple(found)


ENTRIES = make_entries()


def make_run(row: str, seed: int, noise: float) -> Run:
    """A model that finds more, the less noise there is."""
    rng = np.random.default_rng([sum(map(ord, row)), seed])
    designs = rng.normal(size=(COUNT, 32))
    queries = designs + noise * rng.normal(size=designs.shape)
    ids = tuple(entry.id for entry in ENTRIES)
    vectors = [np.float32(v / np.linalg.norm(v, axis=1, keepdims=True)) for v in (queries, designs)]
    return Run(row, row.upper(), seed, "d", ids, vectors[0], ids, vectors[1])


def make_table(rows: dict[str, float], seeds: Sequence[int] = (1, 2, 3)) -> DesignTable:
    return tabulate(
        Benchmark(ENTRIES), (make_run(row, seed, noise) for row, noise in rows.items() for seed in seeds)
    )


def test_rows_stand_in_the_papers_order_and_then_the_ablations() -> None:
    names = ["zeta", "ours", "cvfim_crc", "clip", "cvfim", "nailia", "cvfim_no_crop", "beit3"]
    table = make_table(dict.fromkeys(names, 1.0), seeds=(2, 1))
    order = ["clip", "beit3", "nailia", "cvfim_no_crop", "cvfim", "ours", "cvfim_crc", "zeta"]
    assert [row.name for row in table.rows] == order
    assert table.rows[0].seeds == (1, 2)
    pairs = [(row.name, reference.name) for row, reference in table.pairs()]
    assert pairs == [
        ("beit3", "clip"),
        ("nailia", "beit3"),
        ("cvfim_no_crop", "nailia"),
        ("cvfim", "cvfim_no_crop"),
        ("ours", "cvfim"),
        ("cvfim_crc", "cvfim"),
        ("zeta", "ours"),
    ]
    assert {reference.name for _, reference in table.pairs("nailia")} == {"nailia"}
    assert len(table.pairs("nailia")) == len(order) - 1
    with pytest.raises(RunError, match="there is no row 'x'; there are clip"):
        table.pairs("x")


def test_a_cell_is_mean_and_deviation_of_the_runs() -> None:
    table = make_table({"ours": 1.5})
    places = table.subsets["multi"]
    means = [float(table.rows[0].per_run["hit@1"][run, places].mean()) for run in range(3)]
    cell = table.rows[0].cell("hit@1", places)
    assert cell is not None and cell.deviation is not None
    assert cell.mean == pytest.approx(np.mean(means))
    assert cell.deviation == pytest.approx(np.std(means, ddof=1))
    alone = make_table({"ours": 1.5}, seeds=(1,)).rows[0].cell("hit@1", places)
    assert alone is not None and alone.deviation is None


def test_subsets_hold_their_requests() -> None:
    subsets = list_subsets(ENTRIES)
    assert list(subsets) == ["multi", "single", "both", "binding", "composition", "en", "ja"]
    sizes = {name: len(places) for name, places in subsets.items()}
    assert sizes == {
        "multi": 100,
        "single": 100,
        "both": 200,
        "binding": 40,
        "composition": 40,
        "en": 67,
        "ja": 133,
    }
    assert "binding" not in list_subsets(ENTRIES[40:])


def test_the_family_figure_knows_its_chance() -> None:
    table = make_table({"ours": 1.0})
    # Of each family of four, the two at even places have a sibling among their targets.
    assert table.family_chance == (20, 0.25)
    cell = table.rows[0].cell(FAMILY, table.subsets["binding"])
    assert cell is not None and cell.mean > 0.5
    outside = np.arange(100, 120)
    assert table.rows[0].cell(FAMILY, outside) is None


def test_a_better_row_is_a_step_up_on_every_subset_and_an_equal_one_is_none() -> None:
    noises = {"clip": 6.0, "cvfim": 1.5, "ours_less": 6.0}
    runs = [make_run(row, seed, noise) for row, noise in noises.items() for seed in (1, 2, 3)]
    runs += [replace(run, row="ours") for run in runs if run.row == "cvfim"]
    table = tabulate(Benchmark(ENTRIES), runs)
    steps = table.steps(samples=300)
    verdicts = {(step.row, step.subset, step.figure): step.verdict for step in steps}
    for subset in ("multi", "single", "both"):
        assert verdicts["cvfim", subset, "hit@1"] == BETTER
        assert verdicts["ours_less", subset, "MRR"] == WORSE
    assert verdicts["ours", "both", "hit@1"] == WITHIN
    assert ("cvfim", "binding", FAMILY) in verdicts
    up = next(s for s in steps if (s.row, s.subset, s.figure) == ("cvfim", "both", "hit@1"))
    ours, theirs = (row.cell("hit@1", table.subsets["both"]) for row in (table.rows[1], table.rows[0]))
    assert ours is not None and theirs is not None
    assert up.difference.mean == pytest.approx(ours.mean - theirs.mean)
    assert up.difference.low < up.difference.mean < up.difference.high
    assert up.deviation == pytest.approx(np.hypot(ours.deviation or 0, theirs.deviation or 0))


@pytest.mark.parametrize(
    ("mean", "deviation", "verdict"),
    [
        (0.02, 0.01, BETTER),
        (-0.02, 0.01, WORSE),
        (0.01, 0.01, WITHIN),
        (0.0, 0.0, WITHIN),
        (0.5, None, UNKNOWN),
    ],
)
def test_a_step_counts_when_it_is_larger_than_runs_differ(
    mean: float, deviation: float | None, verdict: str
) -> None:
    step = Step("ours", "cvfim", "both", "MRR", PairedDifference(mean, mean, mean, 0.5), deviation)
    assert step.verdict == verdict


def test_everything_goes_into_json() -> None:
    table = make_table({"cvfim": 2.0, "ours": 1.0}, seeds=(1, 2))
    facts = json.loads(json.dumps(table.as_dict(["MRR", "hit@1", FAMILY], table.steps(samples=100))))
    assert [row["row"] for row in facts["rows"]] == ["cvfim", "ours"]
    assert facts["rows"][1]["seeds"] == [1, 2]
    assert set(facts["rows"][0]["figures"]["binding"]) == {"MRR", "hit@1", FAMILY}
    assert facts["subsets"]["both"] == COUNT
    assert {step["verdict"] for step in facts["steps"]} <= {BETTER, WORSE, WITHIN}


def test_one_seed_twice_and_no_runs_are_refused() -> None:
    with pytest.raises(RunError, match="row ours has seed 1 twice"):
        make_table({"ours": 1.0}, seeds=(1, 1))
    with pytest.raises(RunError, match="no runs"):
        tabulate(Benchmark(ENTRIES), [])
