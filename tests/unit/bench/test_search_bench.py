"""The parts of the search bench whose faults would make its figures wrong without a word."""

from __future__ import annotations

import asyncio
import runpy
import sys
from typing import Any

import numpy as np
import pytest

from bench import __main__ as benches
from bench.callers import drive, take_turns, times_over
from bench.report import Laps
from bench.search.catalogue import exact_nearest
from bench.search.synthetic import ARTISTS, Cloud, make_designs, make_requests
from services.rank.catalogue.align import AlignSpace
from services.rank.catalogue.version import Space

SPACE = Space("f" * 64, 16, (AlignSpace("a" * 64, 8),))


def cloud(width: int) -> Cloud:
    """Of vectors that point to one side, as real ones do."""
    rng = np.random.default_rng(3)
    vectors = 1.0 + rng.standard_normal((40, width))
    return Cloud.fit(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_synthetic_vectors_lie_where_the_real_ones_do_and_in_clusters() -> None:
    sampled = cloud(16).sample(4000, seed=1)
    assert np.linalg.norm(sampled, axis=1) == pytest.approx(1, abs=1e-5)
    assert sampled.mean(axis=0) @ cloud(16).mean > 0
    cosines = sampled @ sampled.T
    np.fill_diagonal(cosines, -1)
    # Each has near ones, although two of them taken at random are not near.
    assert np.median(cosines.max(axis=1)) > np.median(cosines) + 0.15
    assert (cloud(16).sample(4000, seed=1) == sampled).all()
    assert (cloud(16).sample(4000, seed=2) != sampled).any()


def test_filling_goes_on_with_the_same_designs_that_a_whole_run_writes() -> None:
    vectors, aligns = cloud(16).sample(30, 1), cloud(8).sample(30, 2)
    whole = list(make_designs(vectors, aligns, SPACE, seed=5))
    assert list(make_designs(vectors, aligns, SPACE, seed=5, start=20)) == whole[20:]
    assert len({design.text.design_id for design in whole}) == 30
    assert all(design.text.title and design.palette for design in whole)
    artists = [design.text.artist_id for design in make_designs(vectors, aligns, SPACE, seed=5)]
    assert len(set(artists)) == min(30, ARTISTS)


def test_requests_differ_from_each_other_and_half_have_a_palette() -> None:
    sampled = make_requests(50, seed=4)
    assert len({request.text for request in sampled}) == 50
    assert sum(bool(request.palette.colours) for request in sampled) == 25
    assert [request.text for request in make_requests(50, seed=4)] == [request.text for request in sampled]
    assert any(ord(letter) > 0x3000 for request in sampled for letter in request.text)
    assert not {request.text for request in make_requests(50, seed=5)} >= {
        request.text for request in sampled
    }


def test_exact_search_is_exact_with_a_filter_and_without() -> None:
    vectors = cloud(16).sample(500, 9)
    query = vectors[17]
    kept = np.arange(500) % 5 == 2
    assert exact_nearest(vectors, query, None, 10).tolist() == np.argsort(-(vectors @ query))[:10].tolist()
    rows = exact_nearest(vectors, query, kept, 10)
    assert kept[rows].all()
    assert rows[0] == 17
    assert len(exact_nearest(vectors, query, None, 9999)) == 500


async def test_all_items_are_asked_once_with_so_many_in_flight() -> None:
    running, most, asked = 0, 0, []

    async def ask(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        asked.append(item)
        await asyncio.sleep(0)
        running -= 1

    taken = await drive(ask, range(10), 3)
    assert sorted(asked) == list(range(10))
    assert most == 3
    assert len(taken.milliseconds) == 10


async def test_contenders_take_turns_and_the_first_requests_only_warm_up() -> None:
    order: list[str] = []

    def asking(name: str) -> Any:
        async def ask(item: int) -> None:
            del item
            order.append(name)

        return ask

    taken = await take_turns({"a": (asking("a"), range(48)), "b": (asking("b"), range(48))}, 1)
    assert "".join(order) == "a" * 8 + "b" * 8 + "a" * 20 + "b" * 20 + "a" * 20 + "b" * 20
    assert len(taken["a"].milliseconds) == len(taken["b"].milliseconds) == 40
    assert times_over(taken["a"], taken["a"]) == 1


def test_laps_are_milliseconds_a_part_and_overheads_medians_over_rounds() -> None:
    spent = iter([0.0, 0.2, 0.2, 0.3, 1.0, 1.4, 1.4, 1.5])  # seconds of processor time, before and after
    laps = Laps(lambda: next(spent))
    for _ in range(2):
        for name in ("ours", "bare"):
            with laps.lap(name, parts=10):
                pass
    assert laps.cpu["ours"] == pytest.approx([20, 40])
    assert laps.cpu["bare"] == pytest.approx([10, 10])
    assert len(laps.wall["ours"]) == 2
    assert laps.overhead("ours", "bare")[0] == pytest.approx(2)  # of twice and four times


def test_options_reach_the_one_bench_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(runpy, "run_module", lambda name, **_: ran.append([name, *sys.argv[1:]]))
    monkeypatch.setattr(sys, "argv", ["bench", "search", "--designs", "2000"])
    benches.main()
    assert ran == [["bench.search", "--designs", "2000"]]
    monkeypatch.setattr(sys, "argv", ["bench", "crop", "search", "--designs", "2000"])
    with pytest.raises(SystemExit, match="name it before them"):
        benches.main()
    monkeypatch.setattr(sys, "argv", ["bench", "luck"])
    with pytest.raises(SystemExit, match="unknown bench luck"):
        benches.main()
