"""The call that is being served: its id, deadline and timings, bound by the server to the running task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from lunula.type.v1 import response_info_pb2
from services.kit.deadline import Deadline
from services.kit.models import ModelVersion
from services.kit.timings import StageTimings, collect, current


@dataclass(frozen=True)
class CallScope:
    """What is known about the running call. `default_deadline_ms` is 0 when the caller sent a deadline."""

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


def response_info(
    models: Iterable[ModelVersion | response_info_pb2.ModelVersion] = (),
) -> response_info_pb2.ResponseInfo:
    """The `info` of a response: request id, applied default deadline, stage timings so far, `models`.

    Inside `timings.collect()` (one item of a stream) the timings are that item's.
    """
    scope = _scope.get()
    return response_info_pb2.ResponseInfo(
        request_id=scope.request_id if scope is not None else "",
        models=[
            response_info_pb2.ModelVersion(
                name=model.name, version=model.version, fingerprint=model.fingerprint
            )
            for model in models
        ],
        timings=[
            response_info_pb2.StageTiming(stage=name, milliseconds=milliseconds)
            for name, milliseconds in current().milliseconds().items()
        ],
        default_deadline_ms=scope.default_deadline_ms if scope is not None else 0,
    )


def read_models(info: response_info_pb2.ResponseInfo) -> tuple[ModelVersion, ...]:
    """The models that another service's response names, in its order."""
    return tuple(ModelVersion(model.name, model.version, model.fingerprint) for model in info.models)
