"""Calls to services: channels, deadlines, retries, and errors of `services.kit.errors`.

    async with connect("127.0.0.1:7101") as channel:
        stub = CropServiceStub(channel)
        response = await call(stub.CropImages, request, timeout=10.0)

A deadline is mandatory. Inside a served call it is cut to what that call has left, and the call's request
id travels along, so that one id finds the work of every service.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.kit import tracing
from services.kit.deadline import Deadline
from services.kit.errors import (
    REQUEST_ID_KEY,
    LunulaError,
    ResourceExhausted,
    Unavailable,
    from_rpc_error,
)
from services.kit.scope import current_deadline, current_scope

__all__ = [
    "Backoff",
    "ClientTls",
    "LunulaError",
    "call",
    "connect",
    "is_serving",
    "stream",
]

MAX_MESSAGE_BYTES = 96 * 2**20
_Response_co = TypeVar("_Response_co", covariant=True)
_Item = TypeVar("_Item")
Metadata = tuple[tuple[str, str], ...]


class UnaryMethod(Protocol[_Response_co]):
    """A unary method of a stub."""

    def __call__(self, request: Any, /, *, timeout: float, metadata: Metadata) -> Awaitable[_Response_co]:
        """Start the call."""
        ...


@dataclass(frozen=True)
class ClientTls:
    """TLS towards a server: `ca` verifies it (None: the system's), `cert` and `key` are for mutual TLS.

    `server_name` is the name in the server's certificate where it differs from the address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files."""
        return grpc.ssl_channel_credentials(
            *(path.read_bytes() if path is not None else None for path in (self.ca, self.key, self.cert))
        )


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with full jitter; a server's retry delay wins over it.

    `attempts` counts the first one. `sleep` and `uniform` are replaceable for tests.
    """

    attempts: int = 4
    initial_s: float = 0.1
    max_s: float = 2.0
    multiplier: float = 2.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int, error: LunulaError) -> float | None:
        """Seconds to wait after failed `attempt` (1 is the first), or None: do not retry.

        UNAVAILABLE is always worth a retry; RESOURCE_EXHAUSTED only when the server named a delay (a
        message over the size limit has none and never will fit).
        """
        told = error.retry_after_s
        if attempt >= self.attempts:
            return None
        if not isinstance(error, Unavailable) and not (isinstance(error, ResourceExhausted) and told):
            return None
        ceiling = min(self.max_s, self.initial_s * self.multiplier ** (attempt - 1))
        # Jitter on top of the told delay, so that refused callers do not come back together.
        return told + self.uniform(0.0, ceiling) if told else self.uniform(ceiling / 2, ceiling)


def connect(
    address: str,
    *,
    tls: ClientTls | None = None,
    token: str | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    options: Iterable[tuple[str, Any]] = (),
) -> grpc.aio.Channel:
    """A channel to `address` (host:port). It connects lazily and reconnects by itself.

    `token` is sent as a bearer token with every call. `options` win over the defaults.
    """
    merged: dict[str, Any] = {
        "grpc.max_send_message_length": max_message_bytes,
        "grpc.max_receive_message_length": max_message_bytes,
        "grpc.keepalive_time_ms": 30_000,
        "grpc.keepalive_timeout_ms": 10_000,
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.min_reconnect_backoff_ms": 500,
        "grpc.max_reconnect_backoff_ms": 5_000,
        # Retries are ours (`Backoff`): they know deadlines and RetryInfo.
        "grpc.enable_retries": 0,
    }
    if tls is not None and tls.server_name is not None:
        merged["grpc.ssl_target_name_override"] = tls.server_name
    merged |= dict(options)
    interceptors = _bearer(token) if token else None
    if tls is None:
        return grpc.aio.insecure_channel(address, options=list(merged.items()), interceptors=interceptors)
    return grpc.aio.secure_channel(
        address, tls.credentials(), options=list(merged.items()), interceptors=interceptors
    )


async def call(
    method: UnaryMethod[_Item],
    request: Any,
    *,
    timeout: float | Deadline,  # noqa: ASYNC109 - gRPC's word; it becomes the deadline on the wire
    backoff: Backoff | None = None,
    metadata: Iterable[tuple[str, str]] = (),
) -> _Item:
    """Call a unary method; `timeout` (seconds, or a deadline) covers all attempts.

    Retries as `Backoff` says, as long as the deadline allows; pass `Backoff(attempts=1)` for a method
    that must not run twice. Raises the service's error as a `LunulaError`.
    """
    deadline = _deadline(timeout)
    policy = backoff or Backoff()
    attempt = 0
    while True:
        attempt += 1
        deadline.check("the call")
        try:
            return await method(request, timeout=deadline.remaining(), metadata=outgoing_metadata(metadata))
        except grpc.RpcError as raw:
            error = from_rpc_error(raw)
            delay = policy.delay(attempt, error)
            if delay is None or delay >= deadline.remaining():
                raise error from raw
        await policy.sleep(delay)


async def stream(
    method: Callable[..., Any],
    requests: AsyncIterable[Any] | Any,
    *,
    timeout: float | Deadline,  # noqa: ASYNC109 - gRPC's word; it becomes the deadline on the wire
    metadata: Iterable[tuple[str, str]] = (),
    response_type: type[_Item] | None = None,
) -> AsyncIterator[_Item]:
    """Call a streaming method and yield its responses; `requests` is an async iterable or one request.

    Never retried: only the caller knows what was acknowledged. Leaving the loop early cancels the call
    (use `contextlib.aclosing`). `response_type` is for type checkers only. Raises `LunulaError`, and
    whatever `requests` raises.
    """
    del response_type
    deadline = _deadline(timeout)
    deadline.check("the call")
    failures: list[Exception] = []

    async def guarded(source: AsyncIterable[Any]) -> AsyncIterator[Any]:
        try:
            async for request in source:
                yield request
        except Exception as error:
            # gRPC would only log it, and the responses would end with a cancellation from nowhere.
            failures.append(error)
            running.cancel()

    sending = guarded(requests) if isinstance(requests, AsyncIterable) else requests
    running = method(sending, timeout=deadline.remaining(), metadata=outgoing_metadata(metadata))
    try:
        async for response in running:
            yield cast("_Item", response)
    except grpc.RpcError as raw:
        raise from_rpc_error(raw) from raw
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if failures and not (task and task.cancelling()):
            raise failures[0] from None
        raise
    finally:
        running.cancel()


async def is_serving(
    channel: grpc.aio.Channel,
    service: str = "",
    *,
    timeout: float = 2.0,  # noqa: ASYNC109 - gRPC's word; it becomes the deadline on the wire
) -> bool:
    """Whether the server says SERVING for `service` ("" is the whole server). Never raises."""
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        response = await call(stub.Check, request, timeout=timeout, backoff=Backoff(attempts=1))
    except LunulaError:
        return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


def outgoing_metadata(metadata: Iterable[tuple[str, str]] = ()) -> Metadata:
    """`metadata` plus the running call's request id and trace context."""
    pairs = list(metadata)
    scope = current_scope()
    if scope is not None and not any(key == REQUEST_ID_KEY for key, _ in pairs):
        pairs.append((REQUEST_ID_KEY, scope.request_id))
    return (*pairs, *tracing.outgoing())


def _deadline(timeout: float | Deadline) -> Deadline:
    """The earlier of `timeout` and the running call's deadline."""
    chosen = timeout if isinstance(timeout, Deadline) else Deadline.after(timeout)
    outer = current_deadline()
    chosen = outer if outer.remaining() < chosen.remaining() else chosen
    if chosen.at_monotonic is None:
        raise ValueError("a call needs a deadline")
    return chosen


def _bearer(token: str) -> list[Any]:
    """Interceptors that send `token`; one class each, because a channel files an interceptor once."""
    value = f"Bearer {token}"

    def signed(details: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        metadata.add("authorization", value)
        return details._replace(metadata=metadata)

    class UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in stubs only
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(signed(details), request)

    class UnaryStream(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # generic in stubs only
        async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
            return await continuation(signed(details), request)

    class StreamUnary(grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in stubs only
        async def intercept_stream_unary(self, continuation: Any, details: Any, requests: Any) -> Any:
            return await continuation(signed(details), requests)

    class StreamStream(grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # generic in stubs only
        async def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
            return await continuation(signed(details), requests)

    return [UnaryUnary(), UnaryStream(), StreamUnary(), StreamStream()]
