"""Every error that a Lunula service can answer with, and its two wire forms.

    LunulaError
    ├── InvalidArgument       the request is wrong, whatever the state; carries field violations
    ├── Unauthenticated       no credentials, or not the right ones
    ├── PermissionDenied      known caller, forbidden action
    ├── NotFound              a named thing does not exist; carries the resource
    ├── AlreadyExists         a named thing exists; carries the resource
    ├── FailedPrecondition    the state forbids it until somebody changes the state
    ├── ResourceExhausted     too much at once; with a retry delay when waiting helps
    ├── DeadlineExceeded      the caller's (or the default) deadline passed
    ├── Cancelled             the caller gave up
    ├── Unavailable           a part that this call needs is away; try again
    ├── Unimplemented         the peer does not know the method
    └── Internal              our fault; opaque outside, explained in the log

The wire forms are the rich status of a failed call (`to_status`: `google.rpc.ErrorInfo` with domain
"lunula", and `BadRequest`, `RetryInfo`, `ResourceInfo`, `RequestInfo` where they apply) and the error of
one item of a batch or a stream (`to_item_error`). Both can be read back (`from_rpc_error`,
`from_item_error`), so that a caller handles the same classes as the service raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from lunula.type.v1 import item_error_pb2

DOMAIN = "lunula"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"


class FieldViolation(NamedTuple):
    """A request field that is wrong: its path from the request message, and what is wrong with it."""

    field: str
    description: str


class Resource(NamedTuple):
    """The thing that an error is about, for example `Resource("design", "d001")`."""

    type: str
    name: str


class LunulaError(Exception):
    """Base of the tree; raise one of its subclasses.

    `message` is for people, in English. `reason` is UPPER_SNAKE_CASE and stable; callers may branch on
    it. `fields` are (path, description) pairs. `retry_after_s` says that the same call may succeed after
    that many seconds. `metadata` are further facts for machines. `request_id` is known on errors that
    came over the wire.
    """

    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        fields: Sequence[tuple[str, str]] = (),
        resource: tuple[str, str] | None = None,
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.fields = tuple(FieldViolation(*field) for field in fields)
        self.resource = Resource(*resource) if resource is not None else None
        self.retry_after_s = retry_after_s
        self.metadata = dict(metadata or {})
        self.request_id = request_id

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC code of this error's class."""
        return next(CODES[cls] for cls in type(self).__mro__ if cls in CODES)

    def __str__(self) -> str:
        return f"{self.message} [{self.reason}]"


class InvalidArgument(LunulaError):
    """The request is wrong, whatever the state of the service."""

    default_reason = "INVALID_ARGUMENT"


class Unauthenticated(LunulaError):
    """No credentials, or not the right ones."""

    default_reason = "UNAUTHENTICATED"


class PermissionDenied(LunulaError):
    """The caller is known and may not do this."""

    default_reason = "PERMISSION_DENIED"


class NotFound(LunulaError):
    """A named thing does not exist."""

    default_reason = "NOT_FOUND"


class AlreadyExists(LunulaError):
    """A named thing exists already."""

    default_reason = "ALREADY_EXISTS"


class FailedPrecondition(LunulaError):
    """The state forbids this until somebody changes the state; retrying does not help."""

    default_reason = "FAILED_PRECONDITION"


class ResourceExhausted(LunulaError):
    """Too much at once."""

    default_reason = "RESOURCE_EXHAUSTED"


class DeadlineExceeded(LunulaError):
    """The deadline passed before the work was done."""

    default_reason = "DEADLINE_EXCEEDED"


class Cancelled(LunulaError):
    """The caller gave up."""

    default_reason = "CANCELLED"


class Unavailable(LunulaError):
    """A part that this call needs is away for now."""

    default_reason = "UNAVAILABLE"


class Unimplemented(LunulaError):
    """The peer does not know the method."""

    default_reason = "UNIMPLEMENTED"


class Internal(LunulaError):
    """Our fault. What goes out is opaque; the log explains."""

    default_reason = "INTERNAL"


# The one table between errors and gRPC codes.
CODES: Mapping[type[BaseException], grpc.StatusCode] = {
    InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    Cancelled: grpc.StatusCode.CANCELLED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Unimplemented: grpc.StatusCode.UNIMPLEMENTED,
    Internal: grpc.StatusCode.INTERNAL,
    LunulaError: grpc.StatusCode.INTERNAL,
}

# Codes that our services never send and that proxies or gRPC itself may: the nearest of ours.
_FOREIGN: Mapping[grpc.StatusCode, type[LunulaError]] = {
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.ABORTED: Unavailable,
    grpc.StatusCode.UNKNOWN: Internal,
    grpc.StatusCode.DATA_LOSS: Internal,
}
_CLASSES: Mapping[int, type[LunulaError]] = {
    **{code.value[0]: cls for code, cls in _FOREIGN.items()},
    **{code.value[0]: cls for cls, code in CODES.items() if issubclass(cls, LunulaError)},
    grpc.StatusCode.INTERNAL.value[0]: Internal,
}


def to_status(error: LunulaError, *, request_id: str = "") -> status_pb2.Status:
    """The rich status of a call that fails with `error`."""
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
            for field, description in error.fields
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        details.append(retry)
    if error.resource is not None:
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=error.resource.type, resource_name=error.resource.name
            )
        )
    if request_id or error.request_id:
        details.append(error_details_pb2.RequestInfo(request_id=request_id or error.request_id))
    packed = []
    for detail in details:
        holder = AnyMessage()
        holder.Pack(detail)
        packed.append(holder)
    return status_pb2.Status(code=error.code.value[0], message=error.message, details=packed)


def to_item_error(error: LunulaError) -> item_error_pb2.ItemError:
    """The error of one item of a batch or a stream."""
    return item_error_pb2.ItemError(
        code=error.code.value[0],
        reason=error.reason,
        message=error.message,
        field_violations=[
            item_error_pb2.FieldViolation(field=field, description=description)
            for field, description in error.fields
        ],
        # At least 1 ms: 0 means "no delay is known" on the wire.
        retry_delay_ms=0 if error.retry_after_s is None else max(1, round(error.retry_after_s * 1000)),
    )


def from_item_error(item: item_error_pb2.ItemError) -> LunulaError:
    """The exception that `to_item_error` was given, without its resource and metadata."""
    return _CLASSES.get(item.code, Internal)(
        item.message,
        reason=item.reason or None,
        fields=[(violation.field, violation.description) for violation in item.field_violations],
        retry_after_s=item.retry_delay_ms / 1000 if item.retry_delay_ms > 0 else None,
    )


def from_status(status: status_pb2.Status) -> LunulaError:
    """The exception that `to_status` was given. Details of unknown types are ignored."""
    facts: dict[str, Any] = {}
    for holder in status.details:
        if holder.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(holder.value)
            facts |= {"reason": info.reason or None, "metadata": dict(info.metadata)}
        elif holder.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest.FromString(holder.value)
            facts["fields"] = [(v.field, v.description) for v in request.field_violations]
        elif holder.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo.FromString(holder.value)
            facts["retry_after_s"] = retry.retry_delay.ToNanoseconds() / 1e9
        elif holder.Is(error_details_pb2.ResourceInfo.DESCRIPTOR):
            resource = error_details_pb2.ResourceInfo.FromString(holder.value)
            facts["resource"] = (resource.resource_type, resource.resource_name)
        elif holder.Is(error_details_pb2.RequestInfo.DESCRIPTOR):
            facts["request_id"] = error_details_pb2.RequestInfo.FromString(holder.value).request_id
    return _CLASSES.get(status.code, Internal)(status.message, **facts)


def from_rpc_error(error: grpc.RpcError) -> LunulaError:
    """The exception behind a failed call, with its details read back.

    A status without details (a refused connection, a deadline that the client noticed itself, a message
    over the size limit) gives the class of its code with that class's default reason.
    """
    code: grpc.StatusCode = error.code() or grpc.StatusCode.UNKNOWN
    message = error.details() or code.value[1]
    trailers = dict(_pairs(error.trailing_metadata()))
    request_id = trailers.get(REQUEST_ID_KEY, "")
    raw = trailers.get(DETAILS_KEY)
    if isinstance(raw, bytes):
        try:
            status = status_pb2.Status.FromString(raw)
            found = from_status(status)
        except DecodeError:
            found = None
        if found is not None and status.code == code.value[0]:
            found.request_id = found.request_id or str(request_id)
            return found
    return _CLASSES.get(code.value[0], Internal)(message, request_id=str(request_id))


def _pairs(metadata: Iterable[Any] | None) -> list[tuple[str, str | bytes]]:
    return [(entry[0], entry[1]) for entry in metadata or ()]
