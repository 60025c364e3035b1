"""Average precision against cases worked by hand and a plain writing of its definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import average_precision, mean_average_precision

rank_lists = st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True)


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        ([1], 1.0),
        ([4], 0.25),
        ([1, 2, 3], 1.0),
        ([1, 3], (1 + 2 / 3) / 2),
        ([2, 5, 6], (1 / 2 + 2 / 5 + 3 / 6) / 3),
    ],
)
def test_average_precision_of_cases_worked_by_hand(ranks: list[int], expected: float) -> None:
    assert average_precision(ranks) == pytest.approx(expected)


@given(rank_lists)
def test_average_precision_is_the_mean_precision_at_the_targets(ranks: list[int]) -> None:
    precisions = [sum(other <= rank for other in ranks) / rank for rank in ranks]
    assert average_precision(ranks) == pytest.approx(sum(precisions) / len(precisions))


@given(rank_lists)
def test_the_order_in_which_targets_are_given_does_not_matter(ranks: list[int]) -> None:
    assert average_precision(ranks) == average_precision(ranks[::-1])


@given(rank_lists)
def test_it_is_one_exactly_when_the_targets_come_first(ranks: list[int]) -> None:
    assert (average_precision(ranks) == 1.0) == (sorted(ranks) == list(range(1, len(ranks) + 1)))


def test_the_mean_is_taken_over_queries() -> None:
    assert mean_average_precision([[1], [4]]) == pytest.approx(0.625)


@pytest.mark.parametrize("ranks", [[], [0], [2, 2]])
def test_ranks_that_are_no_ranks_are_refused(ranks: list[int]) -> None:
    with pytest.raises(ValueError, match="rank"):
        average_precision(ranks)


def test_no_queries_have_no_mean() -> None:
    with pytest.raises(ValueError, match="query"):
        mean_average_precision([])
