"""The trend test by hand, against scipy's Kendall, and against all permutations."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.aesthetic.trend import flattened, jonckheere_terpstra, spearman_overall, spearman_per_seed

groups_with_ties = st.lists(
    st.lists(st.integers(0, 5), min_size=1, max_size=8), min_size=2, max_size=5
).filter(lambda groups: sum(map(len, groups)) > 2)


def grouped(*groups: list[float]) -> dict[float, np.ndarray]:
    return {float(setting): np.array(scores, np.float64) for setting, scores in enumerate(groups, start=1)}


def test_a_case_by_hand() -> None:
    # Rising pairs: of 1 and 2, three of four (not 3, 2); of 1 and 3, and of 2 and 3, all.
    found = jonckheere_terpstra(grouped([1, 3], [2, 4], [5, 6]))
    assert (found.statistic, found.expected) == (3 + 4 + 4, 6)
    # Without ties: (N²(2N+3) - Σ n²(2n+3)) / 72 = (36 · 15 - 3 · 4 · 7) / 72
    assert found.deviation**2 == pytest.approx((36 * 15 - 3 * 4 * 7) / 72)
    assert found.z == pytest.approx(5 / np.sqrt(456 / 72))
    assert found.rising == pytest.approx(stats.norm.sf(found.z))


def test_equal_scores_count_half() -> None:
    assert jonckheere_terpstra(grouped([1, 2], [2, 3])).statistic == 1 + 1 + 0.5 + 1


def test_mean_and_variance_are_those_of_all_permutations() -> None:
    scores = [1, 1, 2, 3, 3, 3]
    found = [
        jonckheere_terpstra(grouped(list(order[:2]), list(order[2:3]), list(order[3:])))
        for order in permutations(scores)
    ]
    statistics = np.array([trend.statistic for trend in found])
    assert statistics.mean() == pytest.approx(found[0].expected)
    assert statistics.var() == pytest.approx(found[0].deviation ** 2)


@settings(deadline=None)  # a busy machine is not a defect
@given(groups_with_ties)
def test_it_is_kendalls_test_of_setting_and_score(groups: list[list[int]]) -> None:
    found = jonckheere_terpstra(grouped(*groups))
    scales, scores = flattened(grouped(*groups))
    if np.ptp(scores) == 0:
        assert (found.z, found.rising, found.p_value) == (0, 1, 1)
        return
    reference = stats.kendalltau(scales, scores, method="asymptotic")
    assert found.p_value == pytest.approx(reference.pvalue, abs=1e-9)
    across = sum(
        (low < high) + 0.5 * (low == high)
        for place, own in enumerate(groups)
        for low in own
        for above in groups[place + 1 :]
        for high in above
    )
    assert found.statistic == across


def test_a_falling_score_is_no_rise() -> None:
    found = jonckheere_terpstra(grouped([9, 8, 9], [5, 6, 5], [1, 2, 1]))
    assert found.z < -2
    assert found.rising > 0.99
    assert found.p_value < 0.01


def test_settings_are_ordered_as_numbers() -> None:
    groups = {10.0: np.array([3.0]), 9.0: np.array([2.0]), 1.5: np.array([1.0])}
    assert spearman_overall(groups) == pytest.approx(1)


def test_every_seed_that_all_settings_have_is_measured_by_itself() -> None:
    scores = {
        3.0: {"a": 5.0, "b": 5.0, "only here": 1.0},
        1.0: {"a": 4.0, "b": 6.0, "c": 2.0},
        9.0: {"a": 6.0, "b": 4.0, "c": 3.0},
    }
    assert spearman_per_seed(scores) == {"a": pytest.approx(1), "b": pytest.approx(-1)}
    with pytest.raises(ValueError, match="two settings"):
        spearman_per_seed({1.0: {"a": 1.0}})


@pytest.mark.parametrize("groups", [{}, {1.0: np.array([1.0, 2.0])}])
def test_one_setting_is_no_trend(groups: dict[float, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="two settings"):
        jonckheere_terpstra(groups)


def test_a_setting_without_scores_is_refused() -> None:
    with pytest.raises(ValueError, match="every setting"):
        jonckheere_terpstra({1.0: np.array([1.0]), 2.0: np.array([])})
