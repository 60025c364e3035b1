"""Bearer tokens."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from services.kit.errors import Unauthenticated

AUTHORIZATION_KEY = "authorization"


class BearerAuth:
    """Compares the caller's bearer token with the server's; without a token of its own it lets all pass."""

    def __init__(self, token: str | None) -> None:
        self._token = token.encode() if token else None

    def check(self, metadata: Mapping[str, str]) -> None:
        """Raise Unauthenticated TOKEN_MISSING or TOKEN_WRONG."""
        if self._token is None:
            return
        scheme, _, given = metadata.get(AUTHORIZATION_KEY, "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Unauthenticated("Send a bearer token.", reason="TOKEN_MISSING")
        # Constant time: how much of a guess is right must not show in the answer's delay.
        if not hmac.compare_digest(given.strip().encode(), self._token):
            raise Unauthenticated("The bearer token is not accepted.", reason="TOKEN_WRONG")
