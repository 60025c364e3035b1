"""What combinations of object labels say of the artist."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.artist.label_entropy import below, combination, entropies, majority

NOTHING: frozenset[str] = frozenset()
BOOK, CUP = frozenset({"book"}), frozenset({"cup", "book"})


def test_a_combination_is_a_set_of_labels_of_a_fifth_and_more() -> None:
    assert combination({"book": 0.2, "cup": 0.19999}) == BOOK
    assert combination({}) == NOTHING


def test_entropy_by_hand() -> None:
    combinations = [BOOK, BOOK, BOOK, BOOK, NOTHING, NOTHING, CUP]
    artists = np.array([0, 0, 1, 2, 3, 3, 1])
    found = entropies(combinations, artists)
    assert found[:4] == pytest.approx([1.5 * math.log(2)] * 4)
    assert found[4:].tolist() == [0, 0, 0]
    assert entropies(combinations, artists, base=2)[0] == pytest.approx(1.5)


@settings(deadline=None)  # a busy machine is not a defect
@given(st.lists(st.tuples(st.sampled_from([NOTHING, BOOK, CUP]), st.integers(0, 4)), min_size=1, max_size=50))
def test_entropy_is_scipys_and_zero_only_where_one_artist_has_all(
    works: list[tuple[frozenset[str], int]],
) -> None:
    combinations, artists = [labels for labels, _ in works], np.array([artist for _, artist in works])
    for labels, value in zip(combinations, entropies(combinations, artists), strict=True):
        own = [artist for other, artist in works if other == labels]
        assert value == pytest.approx(stats.entropy(np.bincount(own)))
        assert (value == 0) == (len(set(own)) == 1)


def test_a_threshold_is_strict() -> None:
    assert below(np.array([0.5, 1.0, 1.5]), 1.0).tolist() == [True, False, False]


def test_the_majority_answers_by_combination_and_else_by_all_works() -> None:
    known, artists = [BOOK, BOOK, BOOK, CUP, CUP], np.array([4, 2, 2, 4, 4])
    assert majority(known, artists, [BOOK, CUP, NOTHING]).tolist() == [2, 4, 4]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="every work"):
        entropies([BOOK], np.array([1, 2]))
    with pytest.raises(ValueError, match="base"):
        entropies([BOOK], np.array([1]), base=1)
