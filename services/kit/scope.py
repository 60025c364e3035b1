"""The call that is being served: its id, deadline and timings, bound by the server to the running task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from services.kit.deadline import Deadline
from services.kit.telemetry.timings import StageTimings, collect


@dataclass(frozen=True)
class CallScope:
    """The running call.

    default_deadline_ms: of the default that was applied; 0 when the caller sent a deadline. peer: the
    caller's network address, as gRPC gives it.
    """

    method: str
    request_id: str
    deadline: Deadline
    default_deadline_ms: int = 0
    peer: str = ""
    timings: StageTimings = field(default_factory=StageTimings)


_scope: ContextVar[CallScope | None] = ContextVar("lunula_call_scope", default=None)


def current_scope() -> CallScope | None:
    """The running call, or None outside of one."""
    return _scope.get()


def current_deadline() -> Deadline:
    """The running call's deadline (the caller's, or the applied default); outside of a call, never."""
    scope = _scope.get()
    return scope.deadline if scope is not None else Deadline.never()


@contextmanager
def bind(scope: CallScope) -> Iterator[CallScope]:
    """Make `scope` the running call inside the block, including tasks started there."""
    token = _scope.set(scope)
    try:
        with collect(scope.timings):
            yield scope
    finally:
        _scope.reset(token)
