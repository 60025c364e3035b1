"""Metrics of aesthetic scores against cases worked out by hand, plain loops, and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.aesthetic.metrics import (
    BINS,
    absolute_error,
    average_ranks,
    constant_error,
    distribution_emd,
    histogram_emd,
    histogram_kl,
    kendall,
    partial_correlation,
    pearson,
    score_histogram,
    spearman,
    wasserstein,
)
from evaluation.aesthetic.pairs import tag_pairs

# Few values, so that ties are frequent; and any numbers.
pairs_with_ties = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=60)
scores = st.lists(
    st.tuples(st.floats(1, 10, allow_subnormal=False), st.floats(1, 10, allow_subnormal=False)),
    min_size=2,
    max_size=60,
)


def numbers(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def columns(rows: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, np.float64)
    return table[:, 0], table[:, 1]


def test_the_absolute_error_comes_with_its_deviation_and_its_variance() -> None:
    found = absolute_error(numbers(5, 5, 5, 5), numbers(5, 6, 4, 3))  # errors 0, 1, 1, 2
    assert found.mean == 1.0
    assert found.variance == pytest.approx(0.5)
    assert found.deviation == pytest.approx(np.sqrt(0.5))


def test_predicting_the_mean_is_off_by_the_mean_deviation() -> None:
    assert constant_error(numbers(4, 5, 6, 5)) == pytest.approx(0.5)


def test_correlations_by_hand() -> None:
    truth, predicted = numbers(1, 2, 3, 4), numbers(2, 1, 4, 3)
    assert pearson(truth, predicted) == pytest.approx(0.6)
    assert spearman(truth, 10.0**predicted) == pytest.approx(0.6)
    assert kendall(truth, predicted) == pytest.approx((4 - 2) / 6)


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert average_ranks(numbers(5, 3, 5, 1, 5)).tolist() == [4, 2, 4, 1, 4]


def test_a_constant_score_correlates_with_nothing() -> None:
    truth, constant = numbers(1, 2, 3), numbers(5, 5, 5)
    assert [measure(truth, constant) for measure in (pearson, spearman, kendall)] == [0, 0, 0]


@settings(deadline=None)  # a busy machine is not a defect
@given(pairs_with_ties)
def test_correlations_are_scipys_with_ties(rows: list[tuple[int, int]]) -> None:
    first, second = columns(rows)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return
    assert pearson(first, second) == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-9)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-9)
    assert kendall(first, second) == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-9)


@settings(deadline=None)  # a busy machine is not a defect
@given(pairs_with_ties)
def test_tau_counts_pairs_as_two_loops_do(rows: list[tuple[int, int]]) -> None:
    s = pairs = tied_first = tied_second = 0
    for place, (a, b) in enumerate(rows):
        for c, d in rows[:place]:
            s += int(np.sign(a - c) * np.sign(b - d))
            pairs += 1
            tied_first += a == c
            tied_second += b == d
    ordered = (pairs - tied_first) * (pairs - tied_second)
    assert kendall(*columns(rows)) == pytest.approx(s / np.sqrt(ordered) if ordered else 0.0, abs=1e-12)


def test_tau_of_a_large_list_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=5_000).round(2)
    second = (first + rng.normal(size=5_000)).round(1)
    assert kendall(first, second) == pytest.approx(stats.kendalltau(first, second).statistic, abs=1e-12)


@settings(deadline=None)  # a busy machine is not a defect
@given(scores)
def test_the_distance_of_two_lists_of_scores_is_scipys(rows: list[tuple[float, float]]) -> None:
    first, second = columns(rows)
    assert wasserstein(first, second) == pytest.approx(stats.wasserstein_distance(first, second), abs=1e-9)


def test_a_histogram_has_bins_of_a_quarter_and_keeps_what_lies_beyond_at_its_ends() -> None:
    found = score_histogram(numbers(0.0, 1.0, 1.2499, 1.25, 9.99, 10.0, 11.0, 5.5))
    assert len(found) == BINS
    assert found[0] == pytest.approx(3 / 8)
    assert found[1] == pytest.approx(1 / 8)
    assert found[18] == pytest.approx(1 / 8)
    assert found[35] == pytest.approx(3 / 8)
    assert found.sum() == pytest.approx(1)


def test_divergence_and_distance_of_histograms_by_hand() -> None:
    # Truth: half in bin 16, half in bin 17; predicted: all in bin 16.
    truth, predicted = numbers(5.1, 5.3), numbers(5.1, 5.2)
    # 0.5 ln(0.5 / 1) + 0.5 ln(0.5 / eps), within what eps adds to the other bins
    expected = 0.5 * np.log(0.5 / 1) + 0.5 * np.log(0.5 / 1e-6)
    assert histogram_kl(truth, predicted) == pytest.approx(expected, abs=1e-3)
    assert histogram_emd(truth, predicted) == pytest.approx(0.5 / 36)
    assert histogram_kl(truth, truth) == pytest.approx(0, abs=1e-12)


@settings(deadline=None)  # a busy machine is not a defect
@given(scores)
def test_the_divergence_of_histograms_is_scipys(rows: list[tuple[float, float]]) -> None:
    first, second = columns(rows)
    p, q = score_histogram(first) + 1e-6, score_histogram(second) + 1e-6
    assert histogram_kl(first, second) == pytest.approx(stats.entropy(p, q), abs=1e-9)
    assert histogram_kl(first, second) >= -1e-12


@settings(deadline=None)  # a busy machine is not a defect
@given(scores)
def test_times_nine_the_distance_of_histograms_is_one_in_score_units(rows: list[tuple[float, float]]) -> None:
    first, second = columns(rows)
    middles = 1.125 + 0.25 * np.arange(BINS)
    shares = score_histogram(first), score_histogram(second)
    reference = stats.wasserstein_distance(middles, middles, *shares)
    # The last bin's cumulated shares are equal: 35 of 36 steps count.
    assert 9 * histogram_emd(first, second) == pytest.approx(reference, abs=1e-9)


def test_the_distance_of_votes_and_prediction_by_hand() -> None:
    votes = np.zeros((2, 10), np.int64)
    votes[0, 4], votes[1, 0] = 8, 5
    predicted = np.zeros((2, 10))
    predicted[0, 6], predicted[1, 9] = 1, 1
    # Two steps of difference 1 for the first photo, nine for the second, of ten.
    assert distribution_emd(votes, predicted).tolist() == pytest.approx([0.2, 0.9])
    assert distribution_emd(votes, predicted, r=2).tolist() == pytest.approx([np.sqrt(0.2), np.sqrt(0.9)])
    assert distribution_emd(votes, votes).tolist() == [0, 0]


@pytest.mark.parametrize(
    "predicted", [np.zeros((1, 10)), np.full((1, 10), -0.1), np.full((1, 9), 0.1), np.full((1, 10), np.nan)]
)
def test_what_is_no_distribution_is_refused(predicted: np.ndarray) -> None:
    with pytest.raises(ValueError, match="predicted"):
        distribution_emd(np.ones((1, 10), np.int64), predicted)


def test_partial_correlation_is_that_of_what_a_straight_line_leaves() -> None:
    rng = np.random.default_rng(1)
    given_ = rng.normal(size=200)
    first, second = given_ + rng.normal(size=200), 0.5 * given_ + rng.normal(size=200)
    rest = [side - np.polyval(np.polyfit(given_, side, 1), given_) for side in (first, second)]
    found = partial_correlation(first, second, given_)
    assert found == pytest.approx(stats.pearsonr(*rest).statistic, abs=1e-9)
    assert abs(found) < abs(pearson(first, second))


def test_nothing_is_left_of_a_score_that_is_the_truth() -> None:
    truth = numbers(1, 4, 2, 5)
    assert partial_correlation(truth, numbers(3, 1, 2, 9), truth) == 0


def test_only_pairs_that_people_order_count_and_equal_scores_count_half() -> None:
    def votes_at(*values: int) -> np.ndarray:
        table = np.zeros((len(values), 10), np.int64)
        table[np.arange(len(values)), np.array(values) - 1] = 50
        return table

    votes = votes_at(3, 5, 5, 7)
    votes[1, 5] = votes[2, 3] = 3  # photos 1 and 2 spread, and lie within their errors
    truth = numbers(3.0, 5.03, 4.97, 7.0)
    tags = [("sea",), ("sea",), ("sea", "sky"), ("sky",)]
    pairs = tag_pairs(truth, votes, tags)
    assert sorted(zip(pairs.better.tolist(), pairs.worse.tolist(), strict=True)) == [(1, 0), (2, 0), (3, 2)]
    assert (pairs.tags, pairs.near_ties) == (2, 1)
    assert pairs.accuracy(numbers(1, 2, 1, 0)) == pytest.approx((1 + 0.5 + 0) / 3)


def test_photos_without_tags_have_no_pairs() -> None:
    pairs = tag_pairs(numbers(3, 4), np.eye(10, dtype=np.int64)[[2, 3]], [(), ()])
    assert pairs.accuracy(numbers(1, 2)) is None


@pytest.mark.parametrize("wrong", [numbers(), numbers(1, np.nan), numbers(1, 2, 3)])
def test_lists_that_do_not_belong_together_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"photos|finite"):
        pearson(numbers(1, 2), wrong)
