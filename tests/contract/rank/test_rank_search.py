"""SearchDesigns: what is found, how it is scored, and how it is paged."""

from __future__ import annotations

from typing import Any

import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from tests.rank_catalogue import CATALOGUE, LAB_BLUE, LAB_RED, RED, assert_adds_up, ids, palette, search
from tests.rank_doubles import design, index, photo


async def test_a_sentence_finds_the_design_that_fits(filled: Any) -> None:
    response = await search(filled, text="green round nails with matte leaves")
    assert ids(response)[0] == "round-green"
    assert len(response.hits) == 5
    assert_adds_up(response)
    assert response.version_id == "v1"
    assert {model.name for model in response.info.models} == {"double"}
    assert {"embed", "search", "fuse"} <= {timing.stage for timing in response.info.timings}
    scores = [hit.score for hit in response.hits]
    assert scores == sorted(scores, reverse=True)


async def test_a_hit_says_which_words_and_colours_it_meets(filled: Any) -> None:
    response = await search(filled, text="almond nails with a french line in red, no glitter, with pearls")
    (hit,) = [hit for hit in response.hits if hit.design.design_id == "almond-red"]
    for word in ("almond", "french", "red (ΔE", "nothing of", "glitter", "not mentioned", "pearls"):
        assert word in hit.explanation
    assert response.phrases
    assert [colour.name for colour in response.palette.colours] == ["red"]


async def test_japanese_words_are_found_by_words(filled: Any) -> None:
    response = await search(
        filled, text="薬指にパール", weights=pb.ChannelWeights(design=0.5, description=0.5)
    )
    assert ids(response)[0] == "ja-white"
    if filled.bm25:
        terms = {term.channel: term for term in response.hits[0].terms}
        assert terms["description"].raw > 0
        assert {t.raw for hit in response.hits[1:] for t in hit.terms if t.channel == "description"} == {0.0}


async def test_words_alone_rank_by_words_where_milvus_can(filled: Any, refused: Any) -> None:
    request = pb.SearchDesignsRequest(text="leaves", weights=pb.ChannelWeights(description=1))
    if filled.bm25:
        response = await filled.stub.SearchDesigns(request, timeout=30)
        assert ids(response)[0] == "round-green"
        assert response.hits[0].score > response.hits[1].score == 0
        assert not response.unavailable_channels
    else:
        failure = await refused(filled.stub.SearchDesigns(request, timeout=30))
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "CHANNELS_UNAVAILABLE")


async def test_a_channel_that_milvus_cannot_serve_is_named(filled: Any) -> None:
    response = await search(filled, text="blue nails")
    channels = {term.channel for term in response.hits[0].terms}
    if filled.bm25:
        assert not response.unavailable_channels
        assert "description" in channels
    else:
        assert "full-text" in response.unavailable_channels["description"]
        assert "description" not in channels
    assert_adds_up(response)


async def test_colours_alone_find_designs_of_these_colours(filled: Any) -> None:
    response = await search(filled, palette=palette(LAB_BLUE), weights=pb.ChannelWeights(palette=1))
    assert ids(response)[0] == "coffin-blue"
    assert_adds_up(response)
    assert not response.phrases
    assert response.palette.colours[0].weight == 1
    raws = [term.raw for hit in response.hits for term in hit.terms if term.channel == "palette"]
    assert raws == sorted(raws)


async def test_a_design_finds_others_like_it_and_not_itself(filled: Any) -> None:
    twin = design("twin", title="another text")
    twin.photo.data = CATALOGUE[1].photo.data
    await index(filled.stub, [twin])
    response = await search(filled, reference_design_id="coffin-blue")
    assert ids(response)[0] == "twin"
    assert "coffin-blue" not in ids(response)
    assert response.hits[0].terms[0].raw == pytest.approx(1, abs=1e-5)
    assert "like the reference" in response.hits[0].explanation
    assert_adds_up(response)


async def test_a_photo_finds_the_design_that_looks_like_it(filled: Any) -> None:
    response = await search(filled, reference_photo=CATALOGUE[2].photo)
    assert ids(response)[0] == "round-green"
    assert {term.channel for term in response.hits[0].terms} == {"reference"}


@pytest.mark.parametrize(
    ("field", "operator", "values", "expected"),
    [
        ("artist_id", "ANY_OF", ["artist-1"], {"almond-red", "round-green"}),
        ("artist_id", "NONE_OF", ["artist-1"], {"coffin-blue", "ja-white", "plain"}),
        ("tags", "ANY_OF", ["glitter", "matte"], {"coffin-blue", "round-green"}),
        ("tags", "ALL_OF", ["gold", "party"], {"almond-red"}),
        ("tags", "NONE_OF", ["party"], {"round-green", "ja-white", "plain"}),
        ("attributes.shape", "ANY_OF", ["almond", "coffin"], {"almond-red", "coffin-blue"}),
        ("attributes.shape", "NONE_OF", ["almond"], {"coffin-blue", "round-green", "ja-white", "plain"}),
        ("context", "ANY_OF", ["結婚式"], {"ja-white"}),
        ("design_id", "ANY_OF", ["plain", "nobody"], {"plain"}),
    ],
)
async def test_every_hit_meets_the_filter_on_every_channel(
    filled: Any, field: str, operator: str, values: list[str], expected: set[str]
) -> None:
    one = pb.Filter(field=field, operator=f"FILTER_OPERATOR_{operator}", values=values)
    inputs: list[dict[str, Any]] = [
        {"text": "nails"},
        {"reference_photo": photo_pb2.Photo(data=photo(RED, "another"))},
        {"text": "red nails", "palette": palette(LAB_RED)},
    ]
    for given in inputs:
        assert set(ids(await search(filled, filters=[one], **given))) == expected
    listed = await filled.stub.ListDesigns(pb.ListDesignsRequest(filters=[one]), timeout=20)
    assert ({one.design_id for one in listed.designs}, listed.total_size) == (expected, len(expected))


async def test_all_filters_must_hold(filled: Any) -> None:
    filters = [
        pb.Filter(field="artist_id", operator=pb.FILTER_OPERATOR_ANY_OF, values=["artist-1"]),
        pb.Filter(field="tags", operator=pb.FILTER_OPERATOR_NONE_OF, values=["gold"]),
    ]
    assert ids(await search(filled, text="nails", filters=filters)) == ["round-green"]


async def test_no_value_of_a_filter_is_read_as_an_expression(filled: Any) -> None:
    attacks = [
        '"] or design_id != "',
        '" or true or "',
        "' or 1 == 1 or '",
        '\\") or design_id like "%',
        "\\",
        '\\"',
        "%",
        'x"]) or not (artist_id in ["x',
        "\n or true",
        "\x00",
        "\u2028",
        "artist-1\x00",
        "{artist}",
    ]
    for attack in attacks:
        for field in ("artist_id", "tags", "context", "design_id"):
            some = pb.Filter(field=field, operator=pb.FILTER_OPERATOR_ANY_OF, values=[attack])
            assert ids(await search(filled, text="nails", filters=[some])) == [], (field, attack)
        none = pb.Filter(field="artist_id", operator=pb.FILTER_OPERATOR_NONE_OF, values=[attack])
        assert len(ids(await search(filled, text="nails", filters=[none]))) == 5, attack


async def test_odd_values_are_found_by_themselves(rank: Any) -> None:
    odd = [
        'a"b',
        "a'b",
        "back\\slash",
        "line\nbreak",
        "tab\tbed",
        "ネイル",
        "😀",
        '\\"',
        "%",
        "\u2028",
        "\x07",
    ]
    await index(rank.stub, [design(f"d{n}", tags=[tag], artist_id=tag) for n, tag in enumerate(odd)])
    for n, tag in enumerate(odd):
        for field in ("tags", "artist_id"):
            one = pb.Filter(field=field, operator=pb.FILTER_OPERATOR_ANY_OF, values=[tag])
            listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(filters=[one]), timeout=20)
            assert [found.design_id for found in listed.designs] == [f"d{n}"], (field, tag)


async def test_pages_are_one_list_cut_in_pieces(rank: Any) -> None:
    await index(rank.stub, [design(f"d{n:02}", title="nails " + "red " * (n % 7)) for n in range(23)])
    request = pb.SearchDesignsRequest(text="red nails", page_size=100)
    whole = await rank.stub.SearchDesigns(request, timeout=30)
    assert whole.next_page_token == ""
    assert len(whole.hits) == 23
    pieces: list[str] = []
    request.page_size = 5
    while True:
        page = await rank.stub.SearchDesigns(request, timeout=30)
        pieces += ids(page)
        if not page.next_page_token:
            break
        assert len(page.hits) == 5
        request.page_token = page.next_page_token
    assert pieces == ids(whole)


async def test_the_same_request_gives_the_same_answer(filled: Any) -> None:
    first, second = [await search(filled, text="red nails", palette=palette(LAB_RED)) for _ in range(2)]
    assert first.hits == second.hits


async def test_designs_of_equal_score_come_in_the_order_of_their_ids(rank: Any) -> None:
    twins = [design(name, title="same") for name in ("c", "a", "b")]
    for twin in twins:
        twin.photo.data = photo(RED)
    await index(rank.stub, twins)
    assert ids(await search(rank, text="same")) == ["a", "b", "c"]


async def test_an_empty_catalogue_has_no_hits(rank: Any) -> None:
    response = await search(rank, text="anything")
    assert (len(response.hits), response.next_page_token) == (0, "")


async def test_an_empty_catalogue_does_not_have_the_reference_either(rank: Any, refused: Any) -> None:
    request = pb.SearchDesignsRequest(text="anything", reference_design_id="nobody")
    failure = await refused(rank.stub.SearchDesigns(request, timeout=30))
    assert (failure.code, failure.reason) == ("NOT_FOUND", "DESIGN_NOT_FOUND")


async def test_new_models_are_never_compared_with_old_vectors(filled: Any, refused: Any) -> None:
    filled.doubles.generation = "b"
    for given in ({"text": "nails"}, {"reference_photo": CATALOGUE[0].photo}, {"palette": palette(LAB_RED)}):
        call = filled.stub.SearchDesigns(pb.SearchDesignsRequest(**given), timeout=30)
        failure = await refused(call)
        assert (failure.code, failure.reason) == ("FAILED_PRECONDITION", "FINGERPRINT_MISMATCH")
        # The caller named no fingerprint, so no field of the request is to blame.
        assert failure.fields == []
        assert "EmbedService runs other models" in failure.message
    # Vectors that are both stored need no model.
    assert len((await search(filled, reference_design_id="plain")).hits) == 4
