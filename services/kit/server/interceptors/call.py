"""The one server interceptor: everything that happens around a handler, in order.

A handler is always wrapped as one that *streams* its requests, also when its method is unary (the wire is
the same). So the wrapper runs as soon as the headers are there: identity, deadline and admission are
decided before the request is read, and what was admitted is freed whatever happens while it is read.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from services.kit.deadline import Deadline
from services.kit.errors import Cancelled, DeadlineExceeded, Internal, InvalidArgument, LunulaError
from services.kit.scope import CallScope, bind
from services.kit.server.interceptors.admission import Admission, Ticket
from services.kit.server.interceptors.auth import BearerAuth
from services.kit.telemetry.metrics import RpcMetrics
from services.kit.telemetry.tracing import Tracing
from services.kit.wire.errors import DETAILS_KEY, REQUEST_ID_KEY, from_rpc_error, to_status

DEFAULT_DEADLINE_KEY = "x-lunula-default-deadline-ms"
# Health checks come from probes that know no token, and must be answered when the server is full.
_EXEMPT = ("/grpc.health.v1.", "/grpc.reflection.")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
_log = logging.getLogger(__name__)
_access = logging.getLogger("lunula.access")


@dataclass(frozen=True)
class CallPolicy:
    """What the interceptor consults. `default_*_s` are deadlines for callers that sent none."""

    default_deadline_s: float
    default_stream_deadline_s: float
    admission: Admission
    auth: BearerAuth
    metrics: RpcMetrics
    tracing: Tracing


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in stubs only
    """Wraps every handler except those of health and reflection."""

    def __init__(self, policy: CallPolicy) -> None:
        self._policy = policy

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Called by gRPC for every call, before its request is read."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_EXEMPT):
            return handler

        async def serve(_requests: AsyncIterator[bytes], context: Any) -> Any:
            return await _Call(self._policy, handler, method, context).run()

        wrap: Any = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        # No deserializer: the wrapper counts the bytes before it parses them.
        return wrap(serve, request_deserializer=None, response_serializer=handler.response_serializer)


class _Call:
    """One call, from its headers to its status."""

    def __init__(self, policy: CallPolicy, handler: Any, method: str, context: Any) -> None:
        self._policy = policy
        self._handler = handler
        self._method = method
        self._context = context
        self._streaming = handler.request_streaming or handler.response_streaming
        self._metadata = _text_metadata(context)
        self._received = 0
        self._sent = 0
        default_s = policy.default_stream_deadline_s if self._streaming else policy.default_deadline_s
        defaulted = context.time_remaining() is None
        self._scope = CallScope(
            method=method,
            request_id=_request_id(self._metadata),
            deadline=Deadline.from_context(context, default_s),
            default_deadline_ms=round(default_s * 1000) if defaulted else 0,
            peer=context.peer(),
        )

    async def run(self) -> Any:
        """Serve the call; returns the response of a unary-response method."""
        metrics = self._policy.metrics
        metrics.started.labels(self._method).inc()
        start = time.perf_counter()
        code = grpc.StatusCode.CANCELLED  # unless another code is set: the caller cancelled
        with bind(self._scope), self._policy.tracing.span(self._method, self._metadata) as span:
            self._context.set_trailing_metadata(self._trailers())
            try:
                response = await self._run_translated()
                code = self._context.code() or grpc.StatusCode.OK
                return response
            except LunulaError as error:
                code = error.code
                await self._abort(error)
            except grpc.aio.AbortError:
                code = self._context.code() or grpc.StatusCode.UNKNOWN
                raise
            finally:
                seconds = time.perf_counter() - start
                span.set_attribute("rpc.grpc.status_code", _code(code).value[0])
                self._account(_code(code), seconds)

    async def _run_translated(self) -> Any:
        """Serve within the deadline; every failure leaves as a LunulaError."""
        remaining = self._scope.deadline.remaining()
        try:
            async with asyncio.timeout(None if math.isinf(remaining) else remaining) as timer:
                return await self._run_admitted()
        except (LunulaError, grpc.aio.AbortError):
            raise
        except TimeoutError as error:
            if timer.expired():
                raise DeadlineExceeded("The deadline passed before the call was done.") from error
            raise self._opaque() from error
        except grpc.RpcError as error:
            # The untranslated error of a call to another service.
            raise from_rpc_error(error) from error
        except Exception as error:
            raise self._opaque() from error

    def _opaque(self) -> Internal:
        _log.exception("unhandled exception")
        return Internal(f"Internal error. The log explains it under request id {self._scope.request_id}.")

    async def _run_admitted(self) -> Any:
        self._policy.auth.check(self._metadata)
        self._scope.deadline.check("the call was admitted")
        with self._policy.admission.enter() as ticket:
            try:
                if self._handler.request_streaming:
                    request: Any = self._messages(ticket)
                else:
                    request = await self._single(ticket)
                return await self._handle(request, ticket)
            finally:
                self._received = ticket.received

    async def _handle(self, request: Any, ticket: Ticket) -> Any:
        handler = self._handler
        if not handler.response_streaming:
            behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
            self._sent = 1
            return await behaviour(request, self._context)
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        if not inspect.isasyncgenfunction(behaviour):
            return await behaviour(request, self._context)
        sent = self._policy.metrics.messages.labels(self._method, "sent")
        # Written from here and not yielded, so that a cancellation always ends this block now.
        async with aclosing(behaviour(request, self._context)) as responses:
            async for response in responses:
                await self._context.write(response)
                self._sent += 1
                sent.inc()
                ticket.release_oldest()
        return None

    async def _single(self, ticket: Ticket) -> Any:
        raw = await ticket.receive(self._context.read)
        if raw is _EOF:
            raise Cancelled("The caller closed the call without a request.")
        return self._parse(raw)

    async def _messages(self, ticket: Ticket) -> AsyncIterator[Any]:
        received = self._policy.metrics.messages.labels(self._method, "received")
        # Read here and not from gRPC's iterator, which would keep every message's bytes beside the message.
        while (raw := await self._context.read()) is not _EOF:
            received.inc()
            await ticket.hold_streamed(len(raw))
            message = self._parse(raw)
            del raw
            yield message
            del message

    def _parse(self, raw: bytes) -> Any:
        parse = self._handler.request_deserializer
        try:
            return parse(raw) if parse is not None else raw
        except DecodeError as error:
            raise InvalidArgument(
                "The request is not a message of this method.", reason="REQUEST_MALFORMED"
            ) from error

    async def _abort(self, error: LunulaError) -> None:
        status = to_status(error, request_id=self._scope.request_id)
        trailers = (*self._trailers(), (DETAILS_KEY, status.SerializeToString()))
        await self._context.abort(error.code, error.message, trailers)

    def _trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        """Trailing, not initial: an early error stays one frame, which proxies can retry."""
        pairs: tuple[tuple[str, str | bytes], ...] = ((REQUEST_ID_KEY, self._scope.request_id),)
        if self._scope.default_deadline_ms:
            pairs += ((DEFAULT_DEADLINE_KEY, str(self._scope.default_deadline_ms)),)
        return pairs

    def _account(self, code: grpc.StatusCode, seconds: float) -> None:
        metrics = self._policy.metrics
        metrics.handled.labels(self._method, code.name).inc()
        metrics.seconds.labels(self._method).observe(seconds)
        timings = self._scope.timings.milliseconds()
        for stage, ms in timings.items():
            metrics.stage_seconds.labels(self._method, stage).observe(ms / 1000)
        _access.info(
            "call",
            extra={
                "code": code.name,
                "milliseconds": round(1000 * seconds, 3),
                "peer": self._scope.peer,
                "request_bytes": self._received,
                "responses": self._sent,
                "default_deadline_ms": self._scope.default_deadline_ms,
                "timings": {stage: round(ms, 3) for stage, ms in timings.items()},
            },
        )


def _code(code: Any) -> grpc.StatusCode:
    """grpc.aio returns a code as the number of the C core."""
    if isinstance(code, grpc.StatusCode):
        return code
    return next((member for member in grpc.StatusCode if member.value[0] == code), grpc.StatusCode.UNKNOWN)


def _text_metadata(context: Any) -> Mapping[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _request_id(metadata: Mapping[str, str]) -> str:
    """The caller's id when it is harmless in logs and headers, else a new one."""
    given = metadata.get(REQUEST_ID_KEY, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
