from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import coverage_at_k, hit_at_k, mean_reciprocal_rank, paired_bootstrap

ranks_of_queries = st.lists(st.integers(1, 500), min_size=1, max_size=60).map(np.array)


def test_hit_and_mrr_of_a_case_worked_by_hand() -> None:
    ranks = np.array([1, 2, 5, 11])
    assert hit_at_k(ranks, 1) == 0.25
    assert hit_at_k(ranks, 5) == 0.75
    assert hit_at_k(ranks, 10) == 0.75
    assert mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 2 + 1 / 5 + 1 / 11) / 4)


def test_coverage_of_a_case_worked_by_hand() -> None:
    # First query: two of three targets among five; second: its only target at 7.
    assert coverage_at_k([[1, 5, 9], [7]], 5) == pytest.approx((2 / 3 + 0) / 2)


@given(ranks_of_queries)
def test_hit_grows_with_depth(ranks: np.ndarray) -> None:
    hits = [hit_at_k(ranks, depth) for depth in (1, 2, 5, 10, 100, 500)]
    assert hits == sorted(hits)
    assert hits[-1] == 1.0


@given(
    st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=5), min_size=1, max_size=30),
    st.integers(1, 30),
)
def test_coverage_never_exceeds_the_hit_rate(target_ranks: list[list[int]], depth: int) -> None:
    best = np.array([min(ranks) for ranks in target_ranks])
    assert coverage_at_k(target_ranks, depth) <= hit_at_k(best, depth) + 1e-12


def test_a_system_that_is_always_better_is_significantly_better() -> None:
    theirs = np.linspace(0, 0.5, 40)
    difference = paired_bootstrap(theirs + 0.1, theirs, samples=2000)
    assert difference.mean == pytest.approx(0.1)
    assert difference.low > 0
    assert difference.p_value < 0.01


def test_equal_systems_are_not_distinguished() -> None:
    figures = np.linspace(0, 1, 40)
    difference = paired_bootstrap(figures, figures, samples=500)
    assert difference.mean == 0
    assert difference.p_value == 1.0


@pytest.mark.parametrize("ranks", [np.array([], dtype=int), np.array([0, 1]), np.array([[1]])])
def test_ranks_that_are_no_ranks_are_refused(ranks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="ranks"):
        hit_at_k(ranks, 5)
