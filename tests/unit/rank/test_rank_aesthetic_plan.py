"""Later pages are reranked as the first one was, and believe nothing that no server pinned."""

from __future__ import annotations

from typing import Any, cast

import pytest

from services.rank.request import SearchRequest
from services.rank.rerank.aesthetic import AestheticPlan, AestheticReranker, Defaults

REQUEST = SearchRequest("red", (), None, "", "", "", {})


def reranker() -> AestheticReranker:
    unused = cast(Any, None)
    return AestheticReranker(
        model=unused, embed=unused, threads=unused, defaults=Defaults(0.25, 9), timeout_s=1, forget=unused
    )


def plan(pinned: tuple[Any, ...] | None, *, first_page: bool = False) -> AestheticPlan:
    return reranker().plan(REQUEST, pinned, first_page=first_page)


def test_the_first_page_takes_the_default_and_a_later_one_what_was_pinned() -> None:
    assert plan(None, first_page=True)._pin.dump() == (0.25, 9, "")
    assert plan((0.1, 50, "16c2f7a5d4b41632"))._pin.dump() == (0.1, 50, "16c2f7a5d4b41632")


def test_a_page_after_one_without_a_pin_is_not_reranked() -> None:
    assert plan(None)._pin.weight == 0.0


@pytest.mark.parametrize(
    "pinned",
    [
        (5.0, 10, ""),
        (float("nan"), 10, ""),
        (0.1, 0, ""),
        (0.1, 10**9, ""),
        (0.1, float("inf"), ""),
        (0.1, 10),
        ("x", 10, ""),
        (None, 10, ""),
    ],
    ids=str,
)
def test_what_no_server_pinned_is_refused(pinned: tuple[Any, ...]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        plan(pinned)
