"""Metrics of artists against cases worked out by hand, plain loops, scipy, and the paper's own counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.artist.metrics import (
    accuracy,
    accuracy_difference,
    auroc,
    best_artists,
    calibration_error,
    macro_difference,
    macro_f1,
    micro_f1,
    negative_log_likelihood,
    reliability,
    transitions,
)

answer_lists = st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 6)), min_size=1, max_size=60)


def places(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_macro_f1_of_a_case_by_hand() -> None:
    # Artist 0: P 2/3, R 2/2; artist 1: P 1/2, R 1/3; artist 2: never found, never claimed.
    truth, answers = places(0, 0, 1, 1, 1, 2), places(0, 0, 0, 1, -1, 1)
    assert macro_f1(truth, answers) == pytest.approx((4 / 5 + 2 / 5 + 0) / 3)
    assert accuracy(truth, answers) == pytest.approx(3 / 6)


def test_a_wrongly_claimed_artist_without_works_is_not_counted_among_the_n() -> None:
    assert macro_f1(places(0, 0), places(0, 7)) == pytest.approx(2 / 3)


@settings(deadline=None)  # a busy machine is not a defect
@given(answer_lists)
def test_micro_f1_over_all_artists_is_the_accuracy(pairs: list[tuple[int, int]]) -> None:
    truth, answers = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    assert micro_f1(truth, answers) == pytest.approx(accuracy(truth, answers))


@settings(deadline=None)  # a busy machine is not a defect
@given(answer_lists)
def test_macro_f1_is_the_mean_of_the_artists_f1(pairs: list[tuple[int, int]]) -> None:
    truth, answers = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    found = []
    for artist in set(truth.tolist()):
        hits = sum(t == a == artist for t, a in pairs)
        claimed = sum(a == artist for _, a in pairs)
        precision = hits / claimed if claimed else 0.0
        recall = hits / sum(t == artist for t, _ in pairs)
        both = precision + recall
        found.append(2 * precision * recall / both if both else 0.0)
    assert macro_f1(truth, answers) == pytest.approx(float(np.mean(found)))


def test_a_row_of_zeros_is_no_answer() -> None:
    table = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 0.0], [0.4, 0.4, 0.2]])
    assert best_artists(table).tolist() == [1, -1, 0]


def test_calibration_error_of_a_case_by_hand() -> None:
    # .9 and .8 fall into the bins (.8, 1] and (.6, .8]; .45 and .5 into (.4, .6].
    table = np.array([[0.9, 0.1], [0.8, 0.2], [0.45, 0.3], [0.5, 0.5]])
    truth = places(0, 1, 0, 1)
    curve = reliability(table, truth, bins=5)
    assert [item.count for item in curve] == [0, 0, 2, 1, 1]
    assert (curve[2].confidence, curve[2].right) == (pytest.approx(0.475), 0.5)
    assert calibration_error(table, truth, bins=5) == pytest.approx((2 * 0.025 + 0.8 + 0.1) / 4)


def test_a_model_that_is_right_as_often_as_it_says_has_hardly_an_error() -> None:
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.full(6, 0.4), 40_000)
    drawn = (table.cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1)
    assert calibration_error(table, drawn) < 0.01
    assert calibration_error(np.eye(6)[table.argmax(axis=1)], drawn) > 0.2
    assert negative_log_likelihood(table, drawn) < negative_log_likelihood(np.full((40_000, 6), 1 / 6), drawn)


@settings(deadline=None)  # a busy machine is not a defect
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30)
)
def test_auroc_is_that_of_the_rank_test(positive: list[int], negative: list[int]) -> None:
    expected = stats.mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
    assert auroc(np.array(positive, float), np.array(negative, float)) == pytest.approx(expected)


def test_auroc_refuses_what_it_cannot_rank() -> None:
    with pytest.raises(ValueError, match="both sides"):
        auroc(np.zeros(0), np.ones(3))
    with pytest.raises(ValueError, match="finite"):
        auroc(np.array([np.nan]), np.ones(3))


def test_transitions_are_those_of_the_papers_table_4() -> None:
    # Numbers of works by (image, text, fusion), as they follow from the table.
    groups = {
        (1, 1, 1): 80_158,
        (0, 1, 1): 15_405,
        (1, 0, 1): 6_300,
        (1, 0, 0): 905,
        (0, 1, 0): 885,
        (0, 0, 1): 99,
        (0, 0, 0): 5_933,
    }
    rows = np.repeat(np.array(list(groups), bool), list(groups.values()), axis=0)
    found = transitions(*rows.T)
    assert found.step("image") == {"T → T": 86_458, "F → F": 6_818, "F → T": 15_504, "T → F": 905}
    assert found.step("text") == {"T → T": 95_563, "F → F": 6_838, "F → T": 6_399, "T → F": 885}
    assert (found.works, found.both_right_lost, found.rescued, found.lost) == (109_685, 0, 99, (905, 885))
    assert found.oracle == pytest.approx(0.9450, abs=5e-5)


def test_a_better_fusion_is_found_to_be_better_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 20, 3_000)
    worse = np.where(rng.random(3_000) < 0.8, truth, rng.integers(0, 20, 3_000))
    better = np.where(rng.random(3_000) < 0.3, truth, worse)
    for difference in (accuracy_difference, macro_difference):
        found = difference(truth, better, worse, samples=300)
        assert found.low > 0
        assert found.p_value < 0.01
        assert difference(truth, worse, worse, samples=300).p_value == 1.0
    assert macro_difference(truth, better, worse, samples=300).mean == pytest.approx(
        macro_f1(truth, better) - macro_f1(truth, worse)
    )


def test_vectors_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        accuracy(places(0, 1), places(0))
    with pytest.raises(ValueError, match="below -1"):
        macro_f1(places(0), places(-2))
    with pytest.raises(ValueError, match="same"):
        transitions(np.ones(2, bool), np.ones(3, bool), np.ones(2, bool))
