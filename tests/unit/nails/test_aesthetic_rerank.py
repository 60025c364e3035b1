"""Relevance first, aesthetic quality second: the guard, for any list of hits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nails.aesthetic.rerank import (
    MAX_WEIGHT,
    NEUTRAL,
    RELEVANT,
    Reranked,
    RerankStatus,
    ScoreMap,
    aesthetic_term,
    check_weight,
    eligible,
    rank,
    relevance_part,
    rerank,
)
from nails.fusion import Logistic, fuse

weights = st.floats(0, MAX_WEIGHT, width=32)
relevances = st.lists(st.floats(0, 1) | st.sampled_from([0.25, 0.5, 0.5000005, 1.0]), min_size=1, max_size=30)
normalised_scores = st.floats(0, 1) | st.sampled_from([0.0, 1.0])


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[float], list[str], dict[int, float], float, int]:
    """(relevances, ids, normalised_scores by index, weight, head); ids in another rank than the list."""
    found = draw(relevances)
    names = draw(st.permutations([f"d{number:02}" for number in range(len(found))]))
    scored = draw(st.dictionaries(st.integers(0, len(found) - 1), normalised_scores))
    return found, list(names), scored, draw(weights), draw(st.integers(1, 40))


def placed_of(
    given_list: tuple[list[float], list[str], dict[int, float], float, int],
) -> tuple[list[float], list[Reranked]]:
    found, names, scored, weight, head = given_list
    parts = [relevance_part(relevance, weight) for relevance in found]
    return parts, rerank(parts, names, scored, weight=weight, head=head)


@given(lists())
def test_every_design_is_placed_once_with_a_score_that_its_parts_add_up_to(
    one: tuple[list[float], list[str], dict[int, float], float, int],
) -> None:
    parts, placed = placed_of(one)
    assert sorted(item.index for item in placed) == list(range(len(parts)))
    for item in placed:
        assert item.score == item.relevance + item.contribution == parts[item.index] + item.contribution
        assert np.float32(item.score) == item.score
        assert 0 <= item.contribution <= one[3] * item.normalised
    assert [round(item.score, 6) for item in placed] == sorted(
        (round(item.score, 6) for item in placed), reverse=True
    )


@given(lists())
def test_no_design_passes_another_that_is_more_relevant_by_more_than_the_weight_allows(
    one: tuple[list[float], list[str], dict[int, float], float, int],
) -> None:
    found, _, _, weight, _ = one
    _, placed = placed_of(one)
    most = weight / (1 - weight) + 2e-6  # lists are told apart to six digits
    for place, before in enumerate(placed):
        for after in placed[place + 1 :]:
            assert found[after.index] - found[before.index] <= most


@given(lists())
def test_no_irrelevant_design_passes_a_relevant_one_whatever_their_normalised_scores(
    one: tuple[list[float], list[str], dict[int, float], float, int],
) -> None:
    parts, placed = placed_of(one)
    least = RELEVANT * max(parts)
    relevant = [parts[item.index] >= least for item in placed]
    if one[3] > 0 and one[4] >= len(parts):
        assert relevant == sorted(relevant, reverse=True)
    for item, fits in zip(placed, relevant, strict=True):
        assert fits or item.contribution == 0


@given(lists())
def test_nothing_from_beyond_the_head_passes_the_head(
    one: tuple[list[float], list[str], dict[int, float], float, int],
) -> None:
    found, names, _, _, head = one
    parts, placed = placed_of(one)
    first = set(rank(parts, names)[:head])
    assert {item.index for item in placed[:head]} == first
    assert [item.index for item in placed[head:]] == rank(parts, names)[head:]
    assert {item.status for item in placed[head:]} <= {RerankStatus.BEYOND_HEAD}
    assert len(found) == len(placed)


@given(lists())
def test_no_weight_leaves_the_list_as_it_was(
    one: tuple[list[float], list[str], dict[int, float], float, int],
) -> None:
    found, names, scored, _, head = one
    parts = [relevance_part(relevance, 0.0) for relevance in found]
    placed = rerank(parts, names, scored, weight=0.0, head=head)
    assert [item.index for item in placed] == rank(parts, names)
    assert [item.score for item in placed] == [parts[item.index] for item in placed]


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.2, MAX_WEIGHT])
def test_the_most_beautiful_irrelevant_design_stays_below_the_ugliest_relevant_one(weight: float) -> None:
    """By a hair on both sides of the border, and with the id on its side."""
    found = [1.0, RELEVANT + 4e-6, RELEVANT - 4e-6]
    parts = [relevance_part(relevance, weight) for relevance in found]
    placed = rerank(parts, ["c", "b", "a"], {0: 0.0, 1: 0.0, 2: 1.0}, weight=weight)
    assert [item.index for item in placed] == [0, 1, 2]
    assert [item.status for item in placed] == [
        RerankStatus.SCORED,
        RerankStatus.SCORED,
        RerankStatus.IRRELEVANT,
    ]


def test_the_more_beautiful_of_two_that_fit_alike_comes_first() -> None:
    parts = [relevance_part(relevance, 0.1) for relevance in (0.80, 0.78, 0.60)]
    placed = rerank(parts, ["a", "b", "c"], {0: 0.2, 1: 0.9, 2: 1.0}, weight=0.1)
    assert [item.index for item in placed] == [1, 0, 2]


def test_a_design_that_could_not_be_scored_neither_gains_nor_loses_against_the_middle() -> None:
    parts = [relevance_part(0.8, 0.1)] * 3
    placed = rerank(parts, ["a", "b", "c"], {0: 0.4, 2: 0.6}, weight=0.1)
    assert [item.index for item in placed] == [2, 1, 0]
    assert placed[1].status is RerankStatus.NOT_SCORED
    assert placed[1].normalised == NEUTRAL


def test_eligible_designs_are_relevant_and_in_the_head() -> None:
    parts, names = [0.9, 0.2, 0.6, 0.5], ["a", "b", "c", "d"]
    assert eligible(parts, names, head=10) == [0, 2, 3]
    assert eligible(parts, names, head=2) == [0, 2]
    assert eligible([], [], head=5) == []
    assert rerank([], [], {}, weight=0.1) == []


@pytest.mark.parametrize("weight", [-0.1, 0.51, 7.0, math.nan, math.inf])
def test_a_weight_out_of_range_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="aesthetic weight"):
        check_weight(weight)
    with pytest.raises(ValueError, match="aesthetic weight"):
        rerank([0.5], ["a"], {}, weight=weight)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_normalised_score_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="normalised score of a"):
        rerank([0.5], ["a"], {0: value}, weight=0.1)


def test_a_normalised_score_rises_from_0_to_1_and_is_half_in_the_middle() -> None:
    normalise = ScoreMap.parse({"middle": "5.4", "width": "0.4", "grid": "4"})
    assert normalise(5.4) == 0.5
    values = [normalise(score) for score in np.linspace(1, 10, 50)]
    assert values == sorted(values)
    assert 0 <= values[0] < 0.01
    assert 0.99 < values[-1] <= 1
    assert normalise(1e9) == 1.0
    assert ScoreMap(5, 1e-9)(1.0) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"middle": "5"},
        {"middle": "5", "width": "0"},
        {"middle": "5", "width": "-1"},
        {"middle": "five", "width": "1"},
        {"middle": "nan", "width": "1"},
    ],
)
def test_parameters_that_make_no_map_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"middle|width"):
        ScoreMap.parse(parameters)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ScoreMap(5, 1)(math.nan)


@given(
    st.fixed_dictionaries({name: st.floats(-1, 1) for name in ("design", "reference")}),
    weights,
    normalised_scores,
)
def test_the_terms_of_the_channels_and_of_the_aesthetic_score_add_up_to_the_score(
    raw: dict[str, float], weight: float, value: float
) -> None:
    shares = dict.fromkeys(("design", "reference"), (1 - weight) / 2)
    score, terms = fuse(raw, shares, dict.fromkeys(shares, Logistic(0.7, 0.1)))
    (placed,) = rerank([score], ["a"], {0: value}, weight=weight)
    terms = [*terms, aesthetic_term(placed, 6.5, weight)]
    assert sum(one.contribution for one in terms) == placed.score
    assert sum(one.weight for one in terms) == pytest.approx(1, abs=1e-6)
    assert [one.channel for one in terms] == ["design", "reference", "aesthetic"]
    assert terms[-1].raw == 6.5
