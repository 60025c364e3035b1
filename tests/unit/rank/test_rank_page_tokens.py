"""Page tokens cannot be forged, damaged or moved to another request unnoticed."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lunula.rank.v1 import rank_service_pb2 as pb
from services.kit.errors import InvalidArgument
from services.rank.messages import request_digest
from services.rank.search.page_tokens import PagePosition, PageTokens

POSITION = PagePosition("v12", offset=30, after="d:1")


def test_a_token_comes_back_as_it_was() -> None:
    tokens = PageTokens("key")
    assert tokens.decode(tokens.encode(POSITION, "digest"), "digest") == POSITION


@given(st.floats(0, 0.5), st.integers(1, 1000), st.sampled_from(["", "16c2f7a5d4b41632"]))
def test_how_the_first_page_was_reranked_comes_back_as_it_was(weight: float, head: int, model: str) -> None:
    tokens = PageTokens("key")
    position = PagePosition("v12", offset=30, pinned=(weight, head, model))
    assert tokens.decode(tokens.encode(position, "digest"), "digest") == position


@given(st.integers(min_value=0), st.characters(codec="ascii"))
def test_a_damaged_token_is_refused(place: int, character: str) -> None:
    tokens = PageTokens("key")
    token = tokens.encode(POSITION, "digest")
    place %= len(token)
    damaged = token[:place] + character + token[place + 1 :]
    if damaged == token:
        return
    try:
        # Unused bits at the end of base64 may change without changing what is said.
        assert tokens.decode(damaged, "digest") == POSITION
        assert place == len(token) - 1
    except InvalidArgument as error:
        assert error.reason == "PAGE_TOKEN_INVALID"


@given(st.text(max_size=200))
def test_nonsense_is_refused_and_never_crashes(token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        PageTokens().decode(token, "digest")
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidArgument) as caught:
        PageTokens("other").decode(PageTokens("key").encode(POSITION, "digest"), "digest")
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_the_digest_knows_every_field_but_the_page() -> None:
    request = pb.SearchDesignsRequest(text="nails", page_size=3, page_token="t")
    same = pb.SearchDesignsRequest(text="nails", page_size=9)
    other = pb.SearchDesignsRequest(text="nails", context="x")
    assert request_digest(request) == request_digest(same) != request_digest(other)
    assert request_digest(pb.ListDesignsRequest()) != request_digest(pb.SearchDesignsRequest())
    assert request.page_token == "t"


@pytest.mark.parametrize(
    "position",
    [
        PagePosition("v1", offset=-5),
        PagePosition("v1", offset=cast(int, "a")),
        PagePosition("v1", offset=cast(int, float("inf"))),
    ],
    ids=str,
)
def test_a_signed_token_that_no_server_gave_is_refused(position: PagePosition) -> None:
    """Who knows the key, which may be the public one, can sign anything."""
    tokens = PageTokens()
    with pytest.raises(InvalidArgument) as caught:
        tokens.decode(tokens.encode(position, "digest"), "digest")
    assert caught.value.reason == "PAGE_TOKEN_INVALID"
