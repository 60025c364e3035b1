"""Score fusion: exact sums, monotone channels, fair weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nails.fusion import Falling, Logistic, Saturating, Term, fuse, relevance, share_weights

MAPS = {
    "design": Logistic(0.75, 0.15),
    "description": Saturating(24.0),
    "palette": Falling(20.0),
    "reference": Logistic(0.7, 0.1),
}
CHANNELS = tuple(MAPS)
WEIGHTS = {"design": 0.7, "description": 0.05, "palette": 0.25, "reference": 0.3}


def fused(
    measures: dict[str, float | None],
    weights: dict[str, float] = WEIGHTS,
    available: Sequence[str] | None = None,
) -> tuple[float, list[Term]]:
    """The score of a hit. available: channels; by default those that measured something."""
    measured = [channel for channel in CHANNELS if measures.get(channel) is not None]
    return fuse(measures, share_weights(weights, measured if available is None else available), MAPS)


raws = st.fixed_dictionaries(
    {
        "design": st.none() | st.floats(-1, 1),
        "description": st.none() | st.floats(-5, 200),
        "palette": st.none() | st.floats(0, 150),
        "reference": st.none() | st.floats(-1, 1),
    }
)
weights = st.dictionaries(st.sampled_from(CHANNELS), st.floats(0, 1e6))


@given(raws, weights)
def test_a_score_is_the_sum_of_its_contributions_to_the_last_bit(
    raw: dict[str, float | None], weight: dict[str, float]
) -> None:
    score, terms = fused(raw, weight)
    contributions = [term.contribution for term in terms]
    assert score == sum(contributions)
    assert score == sum(reversed(contributions))
    assert score == math.fsum(contributions)
    # As a client sees it, after the wire has made float32 of everything.
    narrow = np.float32(0)
    for contribution in contributions:
        narrow = np.float32(narrow + np.float32(contribution))
    assert np.float32(score) == narrow
    assert float(narrow) == score


@given(raws, weights, st.lists(st.sampled_from(CHANNELS), unique=True), st.floats(0.5, 1))
def test_ranking_uses_the_very_score_that_is_shown(
    raw: dict[str, float | None], weight: dict[str, float], available: list[str], part: float
) -> None:
    shares = {channel: part * share for channel, share in share_weights(weight, available).items()}
    assert relevance(raw, shares, MAPS) == fuse(raw, shares, MAPS)[0]


@given(raws, weights)
def test_scores_and_terms_are_shares(raw: dict[str, float | None], weight: dict[str, float]) -> None:
    score, terms = fused(raw, weight)
    assert 0 <= score <= 1
    for term in terms:
        assert 0 <= term.normalised <= 1
        assert term.contribution == pytest.approx(term.normalised * term.weight, abs=2e-6)
        assert raw[term.channel] is not None
    total = sum(term.weight for term in terms)
    assert total == pytest.approx(1) or total == 0


@given(raws, weights, st.sampled_from(CHANNELS), st.floats(0, 20))
def test_a_better_measure_never_lowers_the_score(
    raw: dict[str, float | None], weight: dict[str, float], channel: str, step: float
) -> None:
    before = raw[channel]
    if before is None:
        before = 0.0
        raw = {**raw, channel: before}
    better = max(0.0, before - step) if channel == "palette" else before + step
    assert fused({**raw, channel: better}, weight)[0] >= fused(raw, weight)[0]


@given(st.sampled_from(CHANNELS), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_normalising_maps_are_monotone_and_bounded(channel: str, first: float, second: float) -> None:
    low, high = sorted((first, second))
    at_low, at_high = MAPS[channel](low), MAPS[channel](high)
    assert min(at_low, at_high) >= 0
    assert max(at_low, at_high) <= 1
    assert at_low >= at_high if channel == "palette" else at_low <= at_high


def test_the_maps_are_the_documented_ones() -> None:
    one_width = 1 / (1 + math.exp(-1))
    assert Logistic(0.2, 0.1)(0.2) == 0.5
    assert Logistic(0.2, 0.1)(0.3) == pytest.approx(one_width)
    assert Saturating(9.0)(9.0) == 0.5
    assert Saturating(9.0)(-3.0) == 0.0
    assert Falling(7.5)(0.0) == 1.0
    assert Falling(7.5)(7.5) == 0.5


def test_weights_of_absent_channels_go_to_the_others_in_proportion() -> None:
    found = share_weights({"design": 0.6, "description": 0.2, "palette": 0.2}, ("design", "description"))
    assert found == pytest.approx({"design": 0.75, "description": 0.25})


def test_only_the_channels_of_the_hit_take_part() -> None:
    _, terms = fused({"design": 0.5, "palette": 10.0, "reference": None})
    assert [term.channel for term in terms] == ["design", "palette"]
    share = WEIGHTS["design"] / (WEIGHTS["design"] + WEIGHTS["palette"])
    assert terms[0].weight == pytest.approx(share, abs=1e-6)


def test_hits_of_one_search_are_weighed_alike_even_where_a_measure_is_missing() -> None:
    available = ("design", "description")
    with_words, _ = fused({"design": 0.5, "description": 4.0}, available=available)
    without, terms = fused({"design": 0.5, "description": None}, available=available)
    assert without < with_words
    assert [term.contribution for term in terms][1] == 0.0
    assert sum(term.weight for term in terms) == pytest.approx(1)


def test_a_channel_of_weight_zero_is_listed_and_adds_nothing() -> None:
    score, terms = fused({"design": 0.9, "palette": 0.0}, {"design": 1.0})
    assert terms[1].contribution == 0.0
    assert score == terms[0].contribution


def test_no_channels_give_no_score() -> None:
    assert fused({}) == (0.0, [])
    assert fused({"design": None}) == (0.0, [])


def test_huge_and_tiny_weights_keep_their_proportions() -> None:
    found = share_weights({"design": 1e308, "palette": 1e308}, ("design", "palette"))
    assert found == {"design": 0.5, "palette": 0.5}


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_bad_weights_are_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight of design"):
        share_weights({"design": weight}, ("design",))


def test_measures_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        fused({"design": float("nan")})
