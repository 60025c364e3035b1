"""Photo and words brought together: what both prefer stays, and what is missing has no say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from nails.artist.fusion import Pool, linear_pool, log_probabilities, normalise, softmax, temper
from nails.artist.ranking import (
    FEATURES,
    TOP,
    Evidence,
    Ranker,
    candidate_mass,
    compute_features,
    select_candidates,
)

RATIOS = tuple(tenths / 10 for tenths in range(1, 10))
rows = drawn.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(7)), elements=st.floats(1e-9, 1))
powers = st.floats(0.01, 10)


def mean_of_five(raw: np.ndarray) -> np.ndarray:
    """One averaged model [A] of up to five drawn ones."""
    return normalise(raw).mean(axis=0)


def evidence(count: int = 40, artists: int = 16, seed: int = 0) -> Evidence:
    rng = np.random.default_rng(seed)
    return Evidence(
        image=rng.dirichlet(np.full(artists, 0.3), count),
        text=rng.dirichlet(np.full(artists, 0.3), count),
        prior=np.full(artists, 1 / artists),
        characters=rng.integers(0, 200, count),
        image_neighbours=rng.random((count, artists)),
        text_neighbours=rng.random((count, artists)),
    )


@given(rows, rows, powers, powers)
def test_where_both_averaged_models_agree_no_ratio_and_no_pool_changes_the_answer(
    image_models: np.ndarray, text_models: np.ndarray, image_power: float, text_power: float
) -> None:
    image, text = mean_of_five(image_models), mean_of_five(text_models)
    best = int(image.argmax())
    second = int(text.argmax())
    text[[best, second]] = text[[second, best]]  # both prefer the same artist now
    for table in (image, text):
        table[best] += 1e-5  # and no other as much: a tie is no preference
    image, text = normalise(image), normalise(text)
    for ratio in RATIOS:
        assert linear_pool(image, text, ratio).argmax() == best
    assert Pool(image_power, text_power)(image, text).argmax() == best


@given(rows, rows, st.floats(0.1, 10))
def test_fusions_are_probabilities(image_models: np.ndarray, text_models: np.ndarray, power: float) -> None:
    image, text = mean_of_five(image_models), mean_of_five(text_models)
    for found in (linear_pool(image, text, 0.3), Pool(power, 1.0)(image, text), temper(image, power)):
        assert found.min() >= 0
        assert found.sum() == pytest.approx(1)


def test_the_pool_is_the_product_of_powers() -> None:
    image, text = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])
    expected = image**0.5 * text**2
    assert Pool(0.5, 2.0)(image, text) == pytest.approx(expected / expected.sum())


def test_a_missing_modality_leaves_the_other_with_its_own_temperature() -> None:
    image, nothing = np.array([[0.5, 0.3, 0.2]]), np.zeros((1, 3))
    pool = Pool(0.5, 2.0, image_temperature=2.0, text_temperature=0.5)
    assert pool(image, nothing) == pytest.approx(temper(image, 2.0))
    assert pool(nothing, image) == pytest.approx(temper(image, 0.5))
    assert linear_pool(image, nothing, 0.1) == pytest.approx(image)
    assert not pool(nothing, nothing).any()


def test_tempering_keeps_the_order_and_moves_the_top() -> None:
    table = np.array([0.6, 0.3, 0.1])
    assert temper(table, 2.0).max() < 0.6 < temper(table, 0.5).max()
    assert np.argsort(temper(table, 2.0)).tolist() == np.argsort(table).tolist()
    assert temper(table, 1.0) == pytest.approx(table)


def test_parameters_that_make_no_pool_are_refused() -> None:
    for numbers in ((0, 0), (-1, 1), (float("nan"), 1), (1, 1, 0)):
        with pytest.raises(ValueError, match="must"):
            Pool(*numbers)
    with pytest.raises(ValueError, match="text_power"):
        Pool.read({"image_power": 1.0})
    with pytest.raises(ValueError, match="temperature"):
        temper(np.ones(2) / 2, 0)
    with pytest.raises(ValueError, match="weight"):
        linear_pool(np.ones(2) / 2, np.ones(2) / 2, 1.0)


def test_candidates_are_the_first_five_of_either_modality_each_once() -> None:
    works = evidence()
    for row, places in enumerate(select_candidates(works)):
        named = [int(place) for place in places if place >= 0]
        first = {int(p) for table in (works.image, works.text) for p in np.argsort(-table[row])[:TOP]}
        assert len(named) == len(set(named))
        assert set(named) == first


def test_a_missing_modality_names_no_candidate() -> None:
    works = evidence(2)
    works.image[0] = 0
    places = select_candidates(works)
    assert (places[0] >= 0).sum() == TOP
    assert set(places[0][places[0] >= 0]) == set(np.argsort(-works.text[0])[:TOP])


def test_features_say_what_their_names_say() -> None:
    image, text = np.array([[0.7, 0.2, 0.1]]), np.array([[0.2, 0.5, 0.3]])
    near = np.array([[0.9, 0.8, 0.1]])
    works = Evidence(image, text, np.array([0.5, 0.3, 0.2]), np.array([99]), near, None)
    places = np.array([[0, 1, -1]])
    found = compute_features(works, places, Pool(1.0, 1.0))
    first, second = (dict(zip(FEATURES, row, strict=True)) for row in found[0, :2])
    assert not found[0, 2].any()
    assert first["log image"] == pytest.approx(np.log(0.7))
    assert (first["rank image"], first["first image"], first["first text"]) == (0, 1, 0)
    assert first["rank text"] == pytest.approx(np.log(3))
    assert second["margin text"] == pytest.approx(np.log(0.5 / 0.3))
    assert first["margin text"] == pytest.approx(np.log(0.2 / 0.5))
    assert first["agreement"] == 0
    assert first["log prior"] == pytest.approx(np.log(0.5))
    assert (first["neighbours image"], first["neighbours text"]) == (0.9, 0)
    assert first["characters"] == pytest.approx(np.log(100) / 10)
    entropy = -(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1)) / np.log(3)
    assert first["entropy image"] == pytest.approx(entropy)
    pooled = image * text
    assert first["log pool"] == pytest.approx(np.log(pooled[0, 0] / pooled.sum()))


def test_a_ranker_spreads_all_mass_and_the_reach_over_the_candidates() -> None:
    works = evidence()
    pool = Pool(0.6, 0.9)
    ranker = Ranker(pool, {"log image": 0.5, "neighbours text": 2.0}, reach_bias=1.0, reach_slope=0.5)
    found = ranker(works)
    places = select_candidates(works)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(found)))
    mass = candidate_mass(pool(works.image, works.text), places)
    assert candidate_mass(found, places) == pytest.approx(ranker.reach(mass))


def test_a_ranker_of_the_pools_logarithm_alone_keeps_the_pools_order_of_candidates() -> None:
    works, pool = evidence(), Pool(0.6, 0.9)
    found = Ranker(pool, {"log pool": 1.0})(works)
    pooled = pool(works.image, works.text)
    for row, places in enumerate(select_candidates(works)):
        named = places[places >= 0]
        assert np.argsort(found[row, named]).tolist() == np.argsort(pooled[row, named]).tolist()


def test_a_work_without_photo_and_words_gets_no_answer() -> None:
    works = evidence(3)
    works.image[1] = works.text[1] = 0
    found = Ranker(Pool(1, 1), {"log pool": 1.0})(works)
    assert not found[1].any()
    assert found[[0, 2]].sum(axis=1) == pytest.approx(np.ones(2))


def test_rankers_and_evidence_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        Ranker(Pool(1, 1), {"colour": 1.0})
    with pytest.raises(ValueError, match="finite"):
        Ranker(Pool(1, 1), {"log pool": float("inf")})
    with pytest.raises(ValueError, match="characters"):
        Evidence(np.ones((2, 3)), np.ones((2, 3)), np.ones(3), np.ones(5, int))


def test_logarithms_of_a_missing_row_favour_no_one() -> None:
    assert softmax(log_probabilities(np.zeros((1, 4)))) == pytest.approx(np.full((1, 4), 0.25))
