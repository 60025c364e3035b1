"""Page tokens: opaque, signed, bound to the request and the catalogue version that they continue.

A token is base64url(payload + first 16 bytes of HMAC-SHA256(payload)); the payload is JSON. Tokens carry no
rights, so the signature is against damage and guessing, not against readers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from services.kit.errors import InvalidArgument
from services.rank.rerank.base import Pinned

_SIGNATURE_BYTES = 16
_MAX_TOKEN = 4096
_PUBLIC_KEY = b"lunula page token"


@dataclass(frozen=True)
class PagePosition:
    """Where a page begins: `offset` in a search, `after` (the last design id) in a list.

    version: the catalogue version of the first page; later pages stay on it. pinned: how the first page
    of a search was reranked; only the reranker reads it.
    """

    version: str
    offset: int = 0
    after: str = ""
    pinned: Pinned | None = None


class PageTokens:
    """Makes and reads tokens with one key."""

    def __init__(self, key: str = "") -> None:
        self._key = key.encode() or _PUBLIC_KEY

    def encode(self, position: PagePosition, request_digest: str) -> str:
        """The token that continues at `position` of the request with that digest."""
        pinned = position.pinned
        payload = json.dumps(
            [
                position.version,
                position.offset,
                position.after,
                request_digest,
                *([list(pinned)] if pinned is not None else []),
            ],
            separators=(",", ":"),
        ).encode()
        return base64.urlsafe_b64encode(payload + self._signature(payload)).decode().rstrip("=")

    def decode(self, token: str, request_digest: str) -> PagePosition:
        """Raises InvalidArgument PAGE_TOKEN_INVALID; PAGE_TOKEN_MISMATCH for another request's token."""
        try:
            if len(token) > _MAX_TOKEN:
                raise ValueError("too long")
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            payload, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._signature(payload)):
                raise ValueError("signature")
            position, digest = _position(json.loads(payload))
        except (ValueError, TypeError, OverflowError, binascii.Error):
            raise invalid_token() from None
        if digest != request_digest:
            raise InvalidArgument(
                "the page token belongs to another request",
                reason="PAGE_TOKEN_MISMATCH",
                fields=[("page_token", "the other fields must be as they were when the token was given")],
            )
        return position

    def _signature(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def invalid_token() -> InvalidArgument:
    """The error for a token that this service never wrote."""
    return InvalidArgument(
        "the page token is not one of this service",
        reason="PAGE_TOKEN_INVALID",
        fields=[("page_token", "must be a next_page_token as it was received")],
    )


def _position(content: Any) -> tuple[PagePosition, str]:
    """Position and digest of a payload. The key may be public, so nothing in it is trusted.

    Raises ValueError, TypeError or OverflowError for what this service never wrote.
    """
    version, offset, after, digest, *rest = content
    pinned: Pinned | None = None
    if rest:
        (values,) = rest
        pinned = tuple(values)
    if int(offset) < 0:
        raise ValueError("offset")
    return PagePosition(str(version), int(offset), str(after), pinned), str(digest)
