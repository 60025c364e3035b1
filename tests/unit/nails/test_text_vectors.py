"""Sparse vectors of texts: what must hold for all of them, and what makes texts alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nails.artist.text_vectors import (
    BUCKETS,
    EMPTY,
    MAX_TERMS,
    SparseRows,
    compute_rarities,
    mean_direction,
    vectorise,
)

TEXTS = ["milky pink pearl", "black gold lace", "sea blue shell", "pink lace pearl"]
RARITY = compute_rarities(TEXTS)
texts = st.text(max_size=200)


@settings(deadline=None)  # a busy machine is not a defect
@given(texts)
def test_a_vector_has_length_one_or_no_direction(text: str) -> None:
    found = vectorise(text, RARITY)
    if found:
        assert np.linalg.norm(found.values) == pytest.approx(1, abs=1e-5)
        assert (np.diff(found.indices) > 0).all() and found.indices.max() < BUCKETS
        assert (found.values > 0).all()
    else:
        assert not any(letter.isalnum() for letter in text) or len(found.indices) == 0


@settings(deadline=None)  # as above
@given(st.lists(texts, max_size=6), texts)
def test_rows_give_the_cosines_of_their_vectors(stored: list[str], query_text: str) -> None:
    rows, query = SparseRows.stack(vectorise(text, RARITY) for text in stored), vectorise(query_text, RARITY)
    assert len(rows) == len(stored)
    for found, text in zip(rows.cosines(query), stored, strict=True):
        one = vectorise(text, RARITY)
        shared, here, there = np.intersect1d(one.indices, query.indices, return_indices=True)
        assert found == pytest.approx(min(1.0, float(one.values[here] @ query.values[there])), abs=1e-5)
        assert len(shared) == len(here)


def test_rare_words_make_texts_alike_more_than_common_ones() -> None:
    rarity = compute_rarities(["nails pearl", "nails lace", "nails sea", "nails chrome"])
    query_text = vectorise("nails chrome", rarity)
    rows = SparseRows.stack([vectorise("chrome tips", rarity), vectorise("nails tips", rarity)])
    rare, common = rows.cosines(query_text)
    assert rare > common > 0


def test_a_word_that_nobody_used_before_is_the_rarest() -> None:
    assert RARITY[vectorise("은하수", RARITY).indices].min() == RARITY.max()


def test_the_longest_text_keeps_few_terms() -> None:
    text = " ".join(f"word{number}" for number in range(5_000))
    assert len(vectorise(text, RARITY).indices) == MAX_TERMS


def test_a_mean_lies_between_its_vectors_and_nothing_has_no_mean() -> None:
    first, second = vectorise("milky pink", RARITY), vectorise("black gold", RARITY)
    middle = mean_direction([first, EMPTY, second])
    near = SparseRows.stack([middle]).cosines(first)[0], SparseRows.stack([middle]).cosines(second)[0]
    assert near == (pytest.approx(2**-0.5, abs=1e-3), pytest.approx(2**-0.5, abs=1e-3))
    assert not mean_direction([]) and not mean_direction([EMPTY])


def test_texts_are_alike_in_any_language() -> None:
    rows = SparseRows.stack([vectorise("桜色のネイル", RARITY), vectorise("черный лак", RARITY)])
    japanese, russian = rows.cosines(vectorise("桜色に金箔", RARITY))
    assert japanese > 0.1 and russian == 0
