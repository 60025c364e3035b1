"""Searches by artist: filters, more by this artist, more in this style by others; what cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from tests.rank_catalogue import RED, WHITE, assert_adds_up, ids, search
from tests.rank_doubles import design, index, photo

SAME, OTHERS = pb.ARTIST_SCOPE_SAME, pb.ARTIST_SCOPE_OTHERS


def only(*artists: str) -> pb.Filter:
    return pb.Filter(field="artist_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=artists)


async def test_more_by_this_artist_finds_the_others_of_theirs(filled: Any) -> None:
    response = await search(filled, reference_design_id="almond-red", artist_scope=SAME)
    assert ids(response) == ["round-green"]
    assert {hit.design.artist_id for hit in response.hits} == {"artist-1"}
    assert_adds_up(response)


async def test_more_in_this_style_finds_nobody_of_theirs(filled: Any) -> None:
    response = await search(filled, reference_design_id="almond-red", artist_scope=OTHERS)
    assert set(ids(response)) == {"coffin-blue", "ja-white", "plain"}
    assert [term.channel for term in response.hits[0].terms] == ["reference"]
    assert_adds_up(response)


async def test_hits_in_this_style_come_in_the_order_of_their_likeness(rank: Any) -> None:
    """The same photo by another artist is nearer than any other photo."""
    shared = photo_pb2.Photo(data=photo(RED, "shared"))
    catalogue = [
        pb.Design(design_id="mine", photo=shared, artist_id="a"),
        pb.Design(design_id="mine-too", photo=shared, artist_id="a"),
        pb.Design(design_id="copy", photo=shared, artist_id="b"),
        *(design(f"other-{n}", colour=WHITE, artist_id=f"c{n}") for n in range(4)),
    ]
    await index(rank.stub, catalogue)
    response = await search(rank, reference_design_id="mine", artist_scope=OTHERS)
    assert ids(response)[0] == "copy" and "mine-too" not in ids(response)
    assert response.hits[0].terms[0].raw == pytest.approx(1, abs=1e-4)


async def test_the_scope_joins_text_filters_and_pages(filled: Any) -> None:
    asked: dict[str, Any] = {
        "text": "nails",
        "reference_design_id": "almond-red",
        "artist_scope": OTHERS,
        "filters": [only("artist-2", "artist-1")],
    }
    assert ids(await search(filled, **asked)) == ["coffin-blue"]
    everything = {**asked, "filters": []}
    first = await search(filled, **everything, page_size=2)
    second = await search(filled, **everything, page_size=2, page_token=first.next_page_token)
    assert len(ids(first)) == 2 and set(ids(first) + ids(second)) == {"coffin-blue", "ja-white", "plain"}


async def test_artists_can_be_filtered_by_name_whatever_the_name(rank: Any) -> None:
    names = ['quote"d', "back\\slash", "佐藤", "a, b"]
    await index(rank.stub, [design(f"d{n}", artist_id=name) for n, name in enumerate(names)])
    await index(rank.stub, [design(f"e{n}", artist_id=name) for n, name in enumerate(names)])
    for number, name in enumerate(names):
        assert set(ids(await search(rank, text="x", filters=[only(name)]))) == {f"d{number}", f"e{number}"}
        same = await search(rank, reference_design_id=f"d{number}", artist_scope=SAME)
        assert ids(same) == [f"e{number}"]
        others = await search(rank, reference_design_id=f"d{number}", artist_scope=OTHERS)
        assert not {f"d{number}", f"e{number}"} & set(ids(others)) and len(ids(others)) == 6


async def test_a_design_without_an_artist_has_none_to_look_for(filled: Any, refused: Any) -> None:
    request = pb.SearchDesignsRequest(reference_design_id="plain", artist_scope=SAME)
    failure = await refused(filled.stub.SearchDesigns(request, timeout=30))
    assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "ARTIST_UNKNOWN")
    assert failure.fields == ["artist_scope"]
    others = await search(filled, reference_design_id="plain", artist_scope=OTHERS)
    assert len(ids(others)) == 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "x", "artist_scope": SAME}, "ARTIST_SCOPE_WITHOUT_DESIGN"),
        (
            {"reference_photo": photo_pb2.Photo(data=b"x"), "artist_scope": OTHERS},
            "ARTIST_SCOPE_WITHOUT_DESIGN",
        ),
        ({"reference_design_id": "plain", "artist_scope": 9}, "ARTIST_SCOPE_INVALID"),
    ],
)
async def test_a_scope_that_cannot_be_is_refused(
    filled: Any, refused: Any, fields: dict[str, Any], reason: str
) -> None:
    failure = await refused(filled.stub.SearchDesigns(pb.SearchDesignsRequest(**fields), timeout=30))
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", reason)
    assert failure.fields == ["artist_scope"]


async def test_more_of_a_design_that_is_not_there_is_not_found(filled: Any, refused: Any) -> None:
    request = pb.SearchDesignsRequest(reference_design_id="nowhere", artist_scope=SAME)
    failure = await refused(filled.stub.SearchDesigns(request, timeout=30))
    assert (failure.code, failure.reason) == ("NOT_FOUND", "DESIGN_NOT_FOUND")
