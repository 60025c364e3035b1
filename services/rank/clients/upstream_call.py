"""One call of another service, and what its errors mean to whoever called RankService."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.kit.client import call
from services.kit.deadline import Deadline
from services.kit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    LunulaError,
    ResourceExhausted,
    Unavailable,
)
from services.kit.retry import Backoff
from services.rank.upstream import fingerprint_mismatch

T = TypeVar("T")

MISMATCH = "FINGERPRINT_MISMATCH"
_RETRY_AFTER_S = 1.0
# What another service may say about a caller's request; everything else is between the services.
_ABOUT_THE_REQUEST = (InvalidArgument, FailedPrecondition, ResourceExhausted)


@dataclass(frozen=True)
class Budget:
    """How long a call may take, and how often it is tried."""

    deadline: Deadline
    backoff: Backoff


class UpstreamCaller:
    """Calls the methods of one service."""

    def __init__(self, service: str, unavailable_reason: str, timeout_s: float) -> None:
        """service: name for people. timeout_s: of one call; a nearer deadline wins."""
        self._service = service
        self._unavailable_reason = unavailable_reason
        self._timeout_s = timeout_s

    async def __call__(
        self, method: Any, request: Any, budget: Budget, places: Mapping[str, str] | None = None
    ) -> Any:
        """The response. places: where parts of `request` are in the caller's own request, by path prefix.

        Raises Unavailable with the service's reason, DeadlineExceeded, InvalidArgument, FailedPrecondition or
        ResourceExhausted with the caller's paths, and Internal UPSTREAM_REFUSED.
        """
        deadline = budget.deadline
        try:
            return await call(
                method, request, timeout=deadline.within(self._timeout_s), backoff=budget.backoff
            )
        except DeadlineExceeded:
            # Only the caller's own deadline is their concern; our limit means that the service is too slow.
            if deadline.remaining() < 0.01:
                raise
            raise self._unavailable("gave no answer in time", _RETRY_AFTER_S) from None
        except Unavailable as error:
            raise self._unavailable(
                f"is unavailable: {error.message}", error.retry_after_s or _RETRY_AFTER_S
            ) from error
        except _ABOUT_THE_REQUEST as error:
            if error.reason == MISMATCH:
                # The caller never named a fingerprint: we did, the version's.
                raise fingerprint_mismatch(error.metadata) from error
            raise relocate(error, places or {}) from error
        except LunulaError as error:
            raise Internal(f"{self._service} refused: {error.message}", reason="UPSTREAM_REFUSED") from error

    def _unavailable(self, what: str, retry_after_s: float) -> Unavailable:
        return Unavailable(
            f"{self._service} {what}", reason=self._unavailable_reason, retry_after_s=retry_after_s
        )


def relocate(error: LunulaError, places: Mapping[str, str]) -> LunulaError:
    """The same error with field paths of the caller's request in place of ours to the other service."""
    if isinstance(error, DeadlineExceeded):
        return Unavailable(error.message, reason="UPSTREAM_TOO_SLOW", retry_after_s=_RETRY_AFTER_S)
    fields = []
    for path, description in error.fields:
        for ours, theirs in places.items():
            if path.startswith(ours):
                fields.append((theirs + path.removeprefix(ours), description))
                break
    return type(error)(
        error.message,
        reason=error.reason,
        fields=fields,
        resource=error.resource,
        retry_after_s=error.retry_after_s,
        metadata=error.metadata,
    )


def only_item(items: Sequence[T]) -> T:
    """The one item of a response to a batch of one. Raises Internal UPSTREAM_REFUSED."""
    if len(items) != 1:
        raise Internal(f"a service answered one item with {len(items)}", reason="UPSTREAM_REFUSED")
    return items[0]
