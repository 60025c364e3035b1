"""The two wire forms of an error, written and read.

A call that fails has a rich status (`to_status`): `google.rpc.ErrorInfo` with domain "lunula", and
`BadRequest`, `RetryInfo`, `ResourceInfo`, `RequestInfo` where they apply. One item of a batch or a stream
that fails has an `ItemError` (`to_item_error`). Both are read back (`from_rpc_error`, `from_item_error`), so
that a caller handles the same classes as the service raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from lunula.type.v1 import item_error_pb2
from services.kit.errors import CODES, Internal, InvalidArgument, LunulaError, Unavailable

DOMAIN = "lunula"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"

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
        # At least 1 ms: 0 means "no retry delay" on the wire.
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
