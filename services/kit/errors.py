"""Every error that a Lunula service can answer with.

    LunulaError
    ├── InvalidArgument       the request is wrong, whatever the state; carries field violations
    ├── Unauthenticated       no credentials, or not the right ones
    ├── PermissionDenied      the caller may not do this
    ├── NotFound              a named thing does not exist; carries the resource
    ├── AlreadyExists         a named thing exists; carries the resource
    ├── FailedPrecondition    the state of the service forbids it; retrying does not help
    ├── ResourceExhausted     too much at once; with a retry delay when waiting helps
    ├── DeadlineExceeded      the caller's (or the default) deadline passed
    ├── Cancelled             the caller gave up
    ├── Unavailable           a part that this call needs is unavailable for now; try again
    ├── Unimplemented         the service called does not know the method
    └── Internal              our fault; opaque outside, explained in the log

Their wire forms are in `wire/errors.py`: a client gets the class that the service raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import grpc


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
    it. `fields` are (path, description) pairs. `retry_after_s`: the same call may succeed after that
    many seconds. `metadata`: further details for machines. `request_id` is set on errors that came over the
    wire.
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
    """The caller is authenticated and may not do this."""

    default_reason = "PERMISSION_DENIED"


class NotFound(LunulaError):
    """A named thing does not exist."""

    default_reason = "NOT_FOUND"


class AlreadyExists(LunulaError):
    """A named thing exists already."""

    default_reason = "ALREADY_EXISTS"


class FailedPrecondition(LunulaError):
    """The state of the service forbids this; retrying does not help until the state is changed."""

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
    """A part that this call needs is unavailable for now."""

    default_reason = "UNAVAILABLE"


class Unimplemented(LunulaError):
    """The service called does not know the method."""

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


def invalid_field(reason: str, field: str, description: str) -> InvalidArgument:
    """The error for one wrong request field: its path, and what it must be, which also make the message."""
    return InvalidArgument(f"{field} {description}", reason=reason, fields=[(field, description)])
