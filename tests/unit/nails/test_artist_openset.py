"""One distribution over trained artists, enrolled artists and the unknown: what must hold for all numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.artist.fusion import softmax
from nails.artist.openset import (
    BOTH,
    IMAGE,
    MODES,
    TEXT,
    Coefficients,
    OpenSet,
    PrototypeCosines,
    joint_distribution,
    unknown_logit,
)

cosines = st.lists(st.floats(-1, 1), min_size=1, max_size=4)
logits = st.lists(st.floats(-20, 20), min_size=2, max_size=6)
positive = st.floats(0, 30)
numbers = st.builds(
    Coefficients,
    st.tuples(st.floats(-30, 30), positive, positive, positive),
    st.tuples(st.floats(-30, 30), st.floats(-1, 1), positive, positive),
)
SOME = Coefficients((5.0, 0.5, 6.0, 3.0), (-1.0, 0.5, 10.0, 8.0))
ALL = OpenSet(dict.fromkeys(MODES, SOME))


def array(values: list[float]) -> np.ndarray:
    return np.array(values, np.float64)


@settings(deadline=None)  # a busy machine is not a defect
@given(logits, cosines, cosines, numbers)
def test_everything_sums_to_one_and_the_order_of_trained_artists_stays(
    fused: list[float], trained: list[float], enrolled: list[float], chosen: Coefficients
) -> None:
    shares = softmax(array(fused))
    nearness = PrototypeCosines(trained_image=array(trained), enrolled_image=array(enrolled))
    found = joint_distribution(shares, nearness, OpenSet(dict.fromkeys(MODES, chosen)), IMAGE)
    assert found.trained.sum() + found.enrolled.sum() + found.unknown == pytest.approx(1)
    assert min(found.trained.min(), found.enrolled.min(), found.unknown) >= 0
    assert found.trained == pytest.approx(shares * found.trained.sum())
    assert (np.diff(found.enrolled[np.argsort(enrolled)]) >= -1e-12).all()


@settings(deadline=None)  # as above
@given(logits, cosines)
def test_without_enrolled_artists_the_unknown_has_the_odds_of_a_stranger(
    fused: list[float], trained: list[float]
) -> None:
    shares = softmax(array(fused))
    found = joint_distribution(shares, PrototypeCosines(trained_image=array(trained)), ALL, IMAGE)
    odds = unknown_logit(float(shares.max()), max(trained), 0.0, SOME)
    assert found.unknown == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-9)


@settings(deadline=None)  # as above
@given(st.floats(0.01, 0.99), st.floats(-1, 1), st.floats(0, 1))
def test_the_surer_and_the_nearer_the_less_unknown(best: float, image: float, text: float) -> None:
    odds = unknown_logit(best, image, text, SOME)
    assert unknown_logit(best + 0.005, image, text, SOME) < odds
    assert unknown_logit(best, image + 0.01, text, SOME) < odds
    assert unknown_logit(best, image, text + 0.01, SOME) < odds


def test_a_stranger_goes_to_the_enrolled_artist_whose_works_are_nearest() -> None:
    shares = np.full(5, 0.2)
    near = PrototypeCosines(
        trained_image=array([0.3, 0.2]),
        trained_text=array([0.0, 0.1]),
        enrolled_image=array([0.9, 0.4]),
        enrolled_text=array([0.7, 0.1]),
    )
    found = joint_distribution(shares, near, ALL, BOTH)
    assert found.enrolled[0] > 0.9 and found.enrolled[0] > found.enrolled[1]
    assert joint_distribution(shares, near, ALL, IMAGE).enrolled[0] < found.enrolled[0]


def test_an_artist_enrolled_by_photos_alone_is_not_held_to_words() -> None:
    shares = np.full(5, 0.2)
    trained = {"trained_image": array([0.3]), "trained_text": array([0.9])}
    chosen = OpenSet({**ALL.modes, IMAGE: Coefficients(SOME.unknown, (-2.0, 0.5, 12.0, 0.0))})
    near = PrototypeCosines(**trained, enrolled_image=array([0.8, 0.8]), enrolled_text=array([0.0, np.nan]))
    found = joint_distribution(shares, near, chosen, BOTH)
    odds = unknown_logit(0.2, 0.3, 0.9, SOME)
    logits = np.array([-1 + 0.5 * odds + 10 * 0.5 - 8 * 0.9, -2 + 0.5 * odds + 12 * 0.5])
    weights = np.exp(logits) / (1 + np.exp(logits).sum() + np.exp(odds))
    assert found.enrolled == pytest.approx(weights)
    assert joint_distribution(shares, near, chosen, TEXT).enrolled[1] < 1e-20  # nothing to compare


def test_numbers_survive_the_models_parameters() -> None:
    chosen = OpenSet(dict.fromkeys(MODES, SOME))
    assert OpenSet.from_parameters(chosen.to_parameters() | {"other": "x"}) == chosen


def test_older_models_say_one_thing_for_all_and_enrol_nobody() -> None:
    found = OpenSet.from_parameters({"unknown_bias": "2", "unknown_slope": "1.5"})
    assert found.modes[BOTH].unknown == (2.0, 1.5, 0.0, 0.0)
    near = PrototypeCosines(enrolled_image=array([1.0]), enrolled_text=array([1.0]))
    assert joint_distribution(np.array([0.5, 0.5]), near, found, BOTH).enrolled[0] < 1e-20


@pytest.mark.parametrize(
    "parameters",
    [
        {"unknown_both": "1 1 1 1"},
        {f"unknown_{mode}": "1 1 1" for mode in MODES},
        {f"unknown_{mode}": "1 1 1 x" for mode in MODES},
        {f"unknown_{mode}": "1 1 -1 1" for mode in MODES},
        {f"unknown_{mode}": "nan 1 1 1" for mode in MODES},
        {"unknown_bias": "much"},
        {"unknown_slope": "-1"},
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"(unknown|enrolled)_"):
        OpenSet.from_parameters(parameters)
