"""Ranks from embeddings, checked against sorting; runs that are not of this data are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.retrieval import benchmark as benchmark_module
from evaluation.retrieval.benchmark import (
    DEPTHS,
    FAMILY,
    Benchmark,
    Run,
    RunError,
    best_ranks,
    family_places,
    figure_names,
    figures,
    nearest,
    rank_targets,
    read_run,
    run_folders,
)
from evaluation.retrieval.nailstar import Entry


def entry(own: str, *others: str, **more: Any) -> Entry:
    subset = "multi" if others else "single"
    return Entry(own, f"{own}.jpg", "test", "navy nails", "en", (), (own, *others), subset, more)


def make_run(queries: Any, designs: Any, entries: tuple[Entry, ...]) -> Run:
    ids = tuple(item.id for item in entries)
    return Run("ours", "Ours", 1, "", ids, np.float32(queries), ids, np.float32(designs))


def unit(rng: np.random.Generator, *shape: int) -> Any:
    vectors = rng.normal(size=shape)
    return np.float32(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def drawn(seed: int = 0, count: int = 60) -> tuple[tuple[Entry, ...], Run]:
    rng = np.random.default_rng(seed)
    ids = [f"p{n}" for n in range(count)]
    entries = []
    for place, own in enumerate(ids):
        others = rng.choice(np.delete(ids, place), rng.integers(0, 5), replace=False)
        entries.append(entry(own, *map(str, others)))
    return tuple(entries), make_run(unit(rng, count, 8), unit(rng, count, 8), tuple(entries))


@pytest.mark.parametrize("pool", ["all", "subset"])
def test_figures_are_those_of_a_full_sort(pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_module, "_BLOCK", 700)  # several blocks
    entries, run = drawn()
    found = figures(run, Benchmark(entries, pool))
    for place, item in enumerate(entries):
        among = [e for e in entries if pool == "all" or e.subset == item.subset]
        cosine = {e.id: float(run.designs[int(e.id[1:])] @ run.queries[place]) for e in among}
        order = sorted(cosine, key=lambda name: -cosine[name])
        ranks = sorted(order.index(target) + 1 for target in item.targets if target in cosine)
        assert found["MRR"][place] == pytest.approx(1 / ranks[0])
        for depth in DEPTHS:
            assert found[f"hit@{depth}"][place] == (ranks[0] <= depth)
            assert found[f"cov@{depth}"][place] == pytest.approx(np.mean([r <= depth for r in ranks]))
    assert np.array_equal(best_ranks(run, Benchmark(entries, pool)), np.round(1 / found["MRR"]))


def test_hit_grows_with_depth_and_is_never_below_coverage() -> None:
    entries, run = drawn(3)
    found = figures(run, Benchmark(entries))
    assert (found["hit@1"] <= found["hit@5"]).all() and (found["hit@5"] <= found["hit@10"]).all()
    for depth in DEPTHS:
        assert (found[f"hit@{depth}"] >= found[f"cov@{depth}"]).all()
    single = np.array([item.subset == "single" for item in entries])
    assert np.array_equal(found["hit@5"][single], found["cov@5"][single])


def test_the_smaller_pool_is_never_harder_for_a_request_with_one_target() -> None:
    entries, run = drawn(4)
    single = np.array([item.subset == "single" for item in entries])
    everywhere, own = (figures(run, Benchmark(entries, pool))["MRR"][single] for pool in ("all", "subset"))
    assert (own >= everywhere).all() and own.mean() > everywhere.mean()


def test_ties_count_against() -> None:
    scores = np.float32([0.5, 0.5, 0.5, 0.2, 0.9])
    assert rank_targets(scores, [1]).tolist() == [4]
    assert rank_targets(scores, [1, 0]).tolist() == [3, 4]
    assert rank_targets(scores, [4, 3]).tolist() == [1, 5]


def test_a_model_that_gives_every_photo_one_vector_finds_nothing() -> None:
    entries, run = drawn()
    same = np.repeat(run.designs[:1], len(entries), axis=0)
    found = figures(make_run(run.queries, same, entries), Benchmark(entries))
    assert found["hit@10"].max() == 0
    last = [len(entries) - len(item.targets) + 1 for item in entries]
    assert best_ranks(make_run(run.queries, same, entries), Benchmark(entries)).tolist() == last


def family(name: str) -> dict[str, Any]:
    return {"binding": {"family": name}}


def test_family_hits_ask_whether_a_photo_comes_before_its_siblings() -> None:
    entries = (
        entry("a", **family("f")),
        entry("b", **family("f")),
        entry("c", "d", **family("g")),
        entry("d", **family("g")),
        entry("e", **family("alone")),
        entry("x"),
    )
    near, far = [1.0, 0.0], [0.0, 1.0]
    run = make_run([near, near, near, far, near, near], [near, far, near, far, near, near], entries)
    assert family_places(entries) == {0: [1], 1: [0], 3: [2]}  # d satisfies the request of c
    found = figures(run, Benchmark(entries, "subset"))[FAMILY]  # siblings in other pools count as well
    assert found[[0, 1, 3]].tolist() == [1, 0, 1]
    assert np.isnan(found[[2, 4, 5]]).all()
    collapsed = figures(make_run([near] * 6, [near] * 6, entries), Benchmark(entries))[FAMILY]
    assert collapsed[[0, 1, 3]].tolist() == [0, 0, 0]


def test_what_comes_first_is_in_the_order_of_ranks() -> None:
    entries, run = drawn(5)
    benchmark = Benchmark(entries)
    ranks = best_ranks(run, benchmark)
    for place, item in enumerate(entries):
        first = nearest(run, benchmark, place, 60)
        assert min(first.index(target) + 1 for target in item.targets) == ranks[place]
        assert nearest(run, benchmark, place, 5) == first[:5]


def test_a_pool_is_named_and_not_empty() -> None:
    with pytest.raises(ValueError, match="pool is 'some'"):
        Benchmark((entry("a"),), "some")
    with pytest.raises(RunError, match="no entries"):
        Benchmark(())


ENTRIES = (entry("a"), entry("b", "a"), entry("c"))


def save(folder: Path, **changes: Any) -> Path:
    run = folder / "ours" / "seed-1"
    run.mkdir(parents=True, exist_ok=True)
    vectors = unit(np.random.default_rng(1), 3, 4)
    arrays = {
        "query_ids": ["c", "b", "a"],
        "queries": vectors,
        "design_ids": ["a", "b", "c"],
        "designs": vectors,
    }
    arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
    np.savez(run / "test.npz", **arrays)
    about = {"row": "ours", "title": "Ours", "seed": 1, "data": {"digest": "d1", "designs": 3}}
    (run / "run.json").write_text(json.dumps(about))
    return run


def test_a_run_is_read_in_the_order_of_the_entries(tmp_path: Path) -> None:
    folder = save(tmp_path)
    assert run_folders(tmp_path, "test") == [folder]
    run = read_run(folder, "test", ENTRIES)
    assert (run.row, run.title, run.seed, run.digest) == ("ours", "Ours", 1, "d1")
    assert np.array_equal(run.queries, run.designs[::-1])
    assert run.query_ids == run.design_ids == ("a", "b", "c")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": None}, "queries"),
        ({"query_ids": ["a", "b"]}, r"queries: float32 \[3, 4\] for \[2\] ids"),
        ({"query_ids": ["a", "a", "c"]}, "queries: an id is there twice"),
        ({"query_ids": ["a", "b", "x"]}, "queries: 1 photos have no vector, such as 'c'"),
        (
            {"design_ids": list("abcd"), "designs": unit(np.random.default_rng(0), 4, 4)},
            "designs: 1 vectors of other photos, such as 'd'",
        ),
        ({"designs": np.ones((3, 4), np.float32)}, "designs: the vector of 'a' has length 2, not 1"),
        ({"designs": np.full((3, 4), np.nan)}, "designs: the vector of 'a' has length nan"),
        ({"designs": np.full((3, 4), 1e300)}, "designs: the vector of 'a' has length inf"),
        ({"designs": np.ones((3, 4), np.int64)}, r"designs: int64"),
        ({"designs": unit(np.random.default_rng(0), 3, 5)}, "different widths"),
        ({"query_ids": np.array(["a", "b", None], object)}, "allow_pickle"),
    ],
)
def test_a_run_of_another_form_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=rf"test.npz: .*{message}"):
        read_run(save(tmp_path, **changes), "test", ENTRIES)


def test_broken_files_of_a_run_are_named(tmp_path: Path) -> None:
    folder = save(tmp_path)
    (folder / "run.json").write_text("{}")
    with pytest.raises(RunError, match=r"run.json: row: missing"):
        read_run(folder, "test", ENTRIES)
    folder = save(tmp_path)
    (folder / "test.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(RunError, match=r"test.npz: "):
        read_run(folder, "test", ENTRIES)
    with pytest.raises(RunError, match=r"no ROW/seed-N/val.npz"):
        run_folders(tmp_path, "val")


def test_runs_are_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    for name in ("b/seed-2", "b/seed-10", "a/seed-3"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "test.npz").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in run_folders(tmp_path, "test")]
    assert found == ["a/seed-3", "b/seed-2", "b/seed-10"]


def test_every_figure_is_between_nothing_and_all() -> None:
    entries, run = drawn(6)
    found = figures(run, Benchmark(entries))
    assert list(found) == figure_names()
    for values in found.values():
        known = values[~np.isnan(values)]
        assert ((known >= 0) & (known <= 1)).all()
