"""SearchDesigns over several channels at once: their terms, their weights, and what each measures."""

from __future__ import annotations

from typing import Any

import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from tests.rank_catalogue import (
    BLUE,
    GREEN,
    LAB_BLUE,
    LAB_RED,
    RED,
    WHITE,
    assert_adds_up,
    ids,
    palette,
    search,
)
from tests.rank_doubles import design, index, photo


async def test_all_channels_together_add_up(filled: Any) -> None:
    response = await search(
        filled,
        text="red almond nails",
        palette=palette(LAB_RED, LAB_BLUE),
        reference_design_id="plain",
        context="a wedding",
    )
    assert ids(response)[0] == "almond-red"
    expected = {"design", "palette", "reference"} | ({"description"} if filled.bm25 else set())
    assert {term.channel for term in response.hits[0].terms} == expected
    assert_adds_up(response)


async def test_weights_change_the_order(filled: Any) -> None:
    request: dict[str, Any] = {"text": "green round nails", "palette": palette(LAB_RED)}
    by_text = await search(filled, weights=pb.ChannelWeights(design=1), **request)
    by_colour = await search(filled, weights=pb.ChannelWeights(palette=1), **request)
    assert (ids(by_text)[0], ids(by_colour)[0]) == ("round-green", "almond-red")
    # A weight of 0 is no weight, however good the match.
    assert {t.contribution for hit in by_text.hits for t in hit.terms if t.channel == "palette"} == {0.0}


async def test_measures_do_not_depend_on_which_channel_proposed_a_design(open_rank: Any) -> None:
    """Each channel proposes ten here: most designs get their other measures afterwards."""
    colours = [RED, BLUE, GREEN, WHITE]
    words = ["red", "almond", "gold", "glitter", "matte", "french"]
    catalogue = [
        design(f"d{n:02}", colour=colours[n % 4], title=f"{words[n % 6]} {words[n % 5]} nails" * (n % 3))
        for n in range(60)
    ]
    asked = {
        "text": "gold glitter on red almond nails",
        "palette": palette(LAB_RED, LAB_BLUE),
        "reference_design_id": "d00",
        "page_size": 100,
    }
    async with open_rank() as rank:
        await index(rank.stub, catalogue)
    answers = []
    for candidates in (200, 10):
        async with open_rank(candidates=candidates) as rank:
            answers.append(await search(rank, **asked))
    everything, few = answers
    terms = {hit.design.design_id: hit.terms for hit in everything.hits}
    assert len(everything.hits) == 59
    assert 10 < len(few.hits) <= 30
    for hit in few.hits:
        for found, known in zip(hit.terms, terms[hit.design.design_id], strict=True):
            assert found.channel == known.channel
            assert found.raw == pytest.approx(known.raw, abs=1e-4)


async def test_text_palette_reference_and_filters_work_together(filled: Any) -> None:
    """One request with everything: each channel has its term, each hit meets the filters, best first."""
    response = await search(
        filled,
        text="red almond nails with a gold french line",
        palette=palette(LAB_RED),
        reference_photo=photo_pb2.Photo(data=photo(RED, "another")),
        context="a party",
        filters=[
            pb.Filter(field="artist_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=["artist-1"]),
            pb.Filter(field="attributes.finish", operator=pb.FILTER_OPERATOR_NONE_OF, values=["matte"]),
        ],
    )
    assert ids(response) == ["almond-red"]
    terms = {term.channel: term for term in response.hits[0].terms}
    assert set(terms) == {"design", "palette", "reference"} | ({"description"} if filled.bm25 else set())
    assert all(terms[channel].contribution > 0 for channel in set(terms) - {"reference"})
    assert_adds_up(response)


async def test_a_picked_palette_wins_over_the_colours_of_the_text(filled: Any) -> None:
    """The words still count on their own channels; the palette channel measures what was picked."""
    response = await search(filled, text="red nails", palette=palette(LAB_BLUE))
    differences = {
        hit.design.design_id: term.raw
        for hit in response.hits
        for term in hit.terms
        if term.channel == "palette"
    }
    assert min(differences, key=lambda name: differences[name]) == "coffin-blue"
    assert differences["coffin-blue"] < 10 < differences["almond-red"]
    if filled.bm25:
        by_words = {
            hit.design.design_id: term.raw
            for hit in response.hits
            for term in hit.terms
            if term.channel == "description"
        }
        assert by_words["almond-red"] > by_words["coffin-blue"]
