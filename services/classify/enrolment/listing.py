"""Pages of artists, in the order of their ids."""

from __future__ import annotations

import base64
import binascii
import bisect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.classify.enrolment.records import Record
from services.kit.errors import InvalidArgument

TRAINED, ENROLLED = "trained", "enrolled"
_MAX_TOKEN = 2_048


@dataclass(frozen=True)
class ListedArtist:
    """An artist that works can be identified as. record: None for one whom the models were trained on."""

    artist: str
    record: Record | None


@dataclass(frozen=True)
class Page:
    """A part of the list. token: of the next page, "" on the last one. total: artists on all pages."""

    artists: tuple[ListedArtist, ...]
    token: str
    total: int


def list_page(
    trained: Sequence[str], enrolled: Mapping[str, Record], *, origin: str, token: str, size: int
) -> Page:
    """The page of artists of an origin ("" for both) that begins where `token` says.

    A page begins after the last artist of the one before, so none is listed twice, whoever comes or goes.
    Raises InvalidArgument PAGE_TOKEN_INVALID, PAGE_TOKEN_MISMATCH.
    """
    artists: dict[str, Record | None] = {}
    if origin != ENROLLED:
        artists.update(dict.fromkeys(trained))
    if origin != TRAINED:
        artists.update(enrolled)
    names = sorted(artists)
    start = bisect.bisect_right(names, _after(token, origin)) if token else 0
    shown = names[start : start + size]
    more = start + size < len(names)
    return Page(
        artists=tuple(ListedArtist(name, artists[name]) for name in shown),
        token=_token(shown[-1], origin) if more else "",
        total=len(names),
    )


def _token(after: str, origin: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([after, origin]).encode()).decode()


def _after(token: str, origin: str) -> str:
    try:
        if len(token) > _MAX_TOKEN:
            raise ValueError("too long")
        after, for_origin = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        if not isinstance(after, str):
            raise ValueError("not a name")
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidArgument(
            "the page token is not one of this service",
            reason="PAGE_TOKEN_INVALID",
            fields=[("page_token", "must be a next_page_token as it was received")],
        ) from None
    if for_origin != origin:
        raise InvalidArgument(
            "the page token belongs to another request",
            reason="PAGE_TOKEN_MISMATCH",
            fields=[("page_token", "the other fields must be as they were when the token was given")],
        )
    return after
