"""The deterministic judge: claims of texts against attributes of photos, in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.design.data.claims import ClaimTable, claim_matrix
from training.synth.design.designs import sample_design
from training.synth.facts import holds, satisfies
from training.synth.scene.record import design_attributes
from training.synth.text.texts import write_texts

GREY_WITH_GOLD_ACCENT = {
    "id": "grey-gold",
    "attributes": {"colour": "grey", "finish": "gloss", "accent": {"colour": "gold", "finish": "glitter"}},
    "texts": [
        {
            "text": "grey nails, accent nail in gold glitter",
            "claims": [
                ["main", "colour", "grey"],
                ["accent", "colour", "gold"],
                ["accent", "finish", "glitter"],
            ],
        },
        {"text": "something pretty", "claims": []},
    ],
}
GOLD_WITH_GREY_ACCENT = {
    "id": "gold-grey",
    "attributes": {"colour": "gold", "finish": "glitter", "accent": {"colour": "grey", "finish": "gloss"}},
    "texts": [
        {"text": "gold nails without red", "claims": [["main", "colour", "gold"], ["not", "colour", "red"]]}
    ],
}
RED_WITH_GOLD_ACCENT = {
    "id": "red-gold",
    "attributes": {"colour": "red", "accent": {"colour": "gold", "finish": ["glitter", "chrome"]}},
    "texts": [],
}
THREE: list[dict[str, Any]] = [GREY_WITH_GOLD_ACCENT, GOLD_WITH_GREY_ACCENT, RED_WITH_GOLD_ACCENT]


def drawn(count: int) -> list[dict[str, Any]]:
    records = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        design = sample_design(rng, 0.05, allow_held_out=False)
        texts = write_texts(rng, design, "train")["texts"]
        records.append({"id": str(seed), "attributes": design_attributes(design), "texts": texts})
    return records


RECORDS = drawn(60)
TABLE = ClaimTable.build(RECORDS)
OF_TEXT = [(owner, text["claims"]) for owner, record in enumerate(RECORDS) for text in record["texts"]]


def test_a_base_is_not_an_accent() -> None:
    table = ClaimTable.build(THREE)
    np.testing.assert_allclose(
        table.confidence(np.arange(3), np.arange(3)),
        [[1, 0, 2 / 3], [1, 0, 0], [0.5, 1, 0]],
        rtol=1e-6,
    )


def test_a_text_without_claims_is_satisfied_by_its_own_photo_alone() -> None:
    table = ClaimTable.build(THREE)
    assert table.satisfied(np.array([1]), np.array([2, 0, 1])).tolist() == [[False, True, False]]


def test_satisfied_and_confidence_are_those_of_the_facts() -> None:
    texts, photos = np.arange(len(OF_TEXT)), np.arange(len(RECORDS))
    satisfied, confidence = TABLE.satisfied(texts, photos), TABLE.confidence(texts, photos)
    assert satisfied.sum() > len(OF_TEXT)  # some photo satisfies another's text
    for text, (owner, claims) in enumerate(OF_TEXT):
        for photo, record in enumerate(RECORDS):
            attributes = record["attributes"]
            if not claims:
                assert satisfied[text, photo] == confidence[text, photo] == (owner == photo)
                continue
            share = np.mean([holds(attributes, *claim) for claim in claims])
            assert satisfied[text, photo] == satisfies(attributes, claims) == (confidence[text, photo] == 1)
            assert confidence[text, photo] == pytest.approx(share, abs=1e-6)


@given(
    st.lists(st.integers(0, len(OF_TEXT) - 1), max_size=12),
    st.lists(st.integers(0, len(RECORDS) - 1), max_size=12),
)
def test_a_batch_says_what_the_whole_table_says_in_any_order_and_with_repeats(
    texts: list[int], photos: list[int]
) -> None:
    rows, columns = np.array(texts, np.int64), np.array(photos, np.int64)
    everything = np.arange(len(OF_TEXT)), np.arange(len(RECORDS))
    found = TABLE.confidence(rows, columns)
    assert found.dtype == np.float32
    assert found.shape == (len(texts), len(photos))
    np.testing.assert_array_equal(found, TABLE.confidence(*everything)[np.ix_(rows, columns)])
    np.testing.assert_array_equal(
        TABLE.satisfied(rows, columns), TABLE.satisfied(*everything)[np.ix_(rows, columns)]
    )


def test_pairs_are_judged_as_in_the_table() -> None:
    rng = np.random.default_rng(0)
    texts, photos = rng.integers(0, len(OF_TEXT), 500), rng.integers(0, len(RECORDS), 500)
    table = TABLE.confidence(np.arange(len(OF_TEXT)), np.arange(len(RECORDS)))
    np.testing.assert_array_equal(TABLE.of_pairs(texts, photos), table[texts, photos])


def test_a_design_fulfils_its_own_texts() -> None:
    texts = np.arange(len(OF_TEXT))
    assert TABLE.satisfied(texts, TABLE.owner)[texts, texts].all()


def test_a_claim_that_a_text_repeats_counts_once() -> None:
    twice = [["main", "colour", "grey"], ["main", "colour", "grey"], ["main", "finish", "matte"]]
    table = ClaimTable.build([{"id": "a", "attributes": {"colour": "grey"}, "texts": [{"claims": twice}]}])
    assert table.confidence(np.array([0]), np.array([0])).tolist() == [[0.5]]


def test_each_claim_stands_once_in_the_matrix() -> None:
    claims, fulfilled = claim_matrix(THREE)
    assert len(set(claims)) == len(claims) == 5
    assert fulfilled[claims.index(("not", "colour", "red"))].tolist() == [True, True, False]


def test_a_malformed_claim_is_reported_with_its_place() -> None:
    broken = {"id": "x7", "attributes": {}, "texts": [{"claims": []}, {"claims": [["main", "colour"]]}]}
    with pytest.raises(ValueError, match=r"record 1 \(x7\): texts\[1\]\.claims"):
        ClaimTable.build([GREY_WITH_GOLD_ACCENT, broken])
    with pytest.raises(ValueError, match=r"record 0 \(x8\): attributes"):
        ClaimTable.build([{"id": "x8", "texts": []}])


def test_a_number_outside_the_table_is_refused() -> None:
    with pytest.raises(IndexError, match="texts: numbers from 0 to"):
        TABLE.confidence(np.array([-1]), np.array([0]))
    with pytest.raises(IndexError, match="photos: numbers from 0 to 59"):
        TABLE.satisfied(np.array([0]), np.array([60]))
