"""Calls to services: deadlines, retries, and errors of `services.kit.errors`.

    async with connect("127.0.0.1:7101") as channel:
        stub = CropServiceStub(channel)
        response = await call(stub.CropImages, request, timeout=10.0)

A deadline is mandatory. Inside a served call it is cut to what that call has left, and the call's request
id travels along, so that one id finds the work of every service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, LunulaError, Unavailable
from services.kit.retry import Backoff, retry
from services.kit.scope import current_deadline, current_scope
from services.kit.telemetry import tracing
from services.kit.wire.errors import REQUEST_ID_KEY, from_rpc_error

_Response_co = TypeVar("_Response_co", covariant=True)
_Item = TypeVar("_Item")
Metadata = tuple[tuple[str, str], ...]


class UnaryMethod(Protocol[_Response_co]):
    """A unary method of a stub."""

    def __call__(self, request: Any, /, *, timeout: float, metadata: Metadata) -> Awaitable[_Response_co]:
        """Start the call."""
        ...


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

    async def attempt() -> _Item:
        deadline.check("the call")
        try:
            return await method(request, timeout=deadline.remaining(), metadata=outgoing_metadata(metadata))
        except grpc.RpcError as raw:
            raise from_rpc_error(raw) from raw

    return await retry(attempt, backoff=backoff or Backoff(), deadline=deadline)


async def stream(
    method: Callable[..., Any],
    requests: AsyncIterable[Any] | Any,
    *,
    timeout: float | Deadline,  # noqa: ASYNC109 - gRPC's word; it becomes the deadline on the wire
    metadata: Iterable[tuple[str, str]] = (),
    response_type: type[_Item] | None = None,
) -> AsyncGenerator[_Item, None]:
    """Call a streaming method and yield its responses; `requests` is an async iterable or one request.

    Never retried: what to send again depends on what was acknowledged, which the caller has to track. Leaving
    the loop early cancels the call (use `contextlib.aclosing`). `response_type` is for type checkers only.
    Raises `LunulaError` (Unavailable STREAM_BROKEN when the call ended while a request was being sent and
    gRPC does not say why), and whatever `requests` raises.
    """
    del response_type
    deadline = _deadline(timeout)
    deadline.check("the call")
    how: dict[str, Any] = {"timeout": deadline.remaining(), "metadata": outgoing_metadata(metadata)}
    sender: _Sender | None = None
    if isinstance(requests, AsyncIterable):
        running = method(**how)
        sender = _Sender(running, requests)
    else:
        running = method(requests, **how)
    status = _Status(running)
    try:
        async for response in running:
            yield cast("_Item", response)
        if sender is not None and sender.failure is not None:
            raise sender.failure
    except grpc.RpcError as raw:
        raise status.error(raw, deadline) from raw
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if sender is not None and sender.failure is not None and not (task and task.cancelling()):
            raise sender.failure from None
        raise
    finally:
        running.cancel()
        if sender is not None:
            await sender.stop()


class _Sender:
    """Writes the requests of a stream from a task that ends with the stream.

    gRPC's own way of consuming an iterator keeps an error of the iterator to itself, and may leave its
    task waiting for ever when the call ends first.
    """

    def __init__(self, running: Any, requests: AsyncIterable[Any]) -> None:
        self.failure: Exception | None = None
        self._running = running
        self._requests = aiter(requests)
        self._task = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """End the task and close the iterator."""
        self._task.cancel()
        await asyncio.wait([self._task])
        close = getattr(self._requests, "aclose", None)
        if close is not None:
            await close()

    async def _send(self) -> None:
        try:
            while True:
                try:
                    request = await anext(self._requests)
                except StopAsyncIteration:
                    break
                except Exception as error:
                    self.failure = error
                    self._running.cancel()
                    return
                await self._running.write(request)
            await self._running.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return  # the call has ended; its status tells the reader why


class _Status:
    """The status that the server gave a stream.

    A write that finds the call ended makes grpc.aio put an INTERNAL of its own in the place of the status,
    so the status is noted at the moment at which it arrives.
    """

    def __init__(self, running: Any) -> None:
        self._noted: grpc.RpcError | None = None
        running.add_done_callback(self._note)

    def error(self, raw: grpc.RpcError, deadline: Deadline) -> LunulaError:
        """Why the stream failed, given what reading from it raised."""
        if not _is_write_failure(raw):
            return from_rpc_error(raw)
        if self._noted is not None:
            return from_rpc_error(self._noted)
        if deadline.expired:
            return DeadlineExceeded("The deadline passed while a request was being sent.")
        return Unavailable("The call ended while a request was being sent.", reason="STREAM_BROKEN")

    def _note(self, running: Any) -> None:
        status = grpc.aio.AioRpcError(
            _result_now(running.code()),
            grpc.aio.Metadata(),
            _result_now(running.trailing_metadata()) or grpc.aio.Metadata(),
            _result_now(running.details()),
            _result_now(running.debug_error_string()),
        )
        if not _is_write_failure(status):
            self._noted = status


def _result_now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The value of a coroutine that has nothing to wait for; None when it has."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    return None


def _is_write_failure(raw: grpc.RpcError) -> bool:
    debug = getattr(raw, "debug_error_string", None)
    return "SendMessageOperation" in ((debug() if debug is not None else "") or "")


async def is_serving(
    channel: grpc.aio.Channel,
    service: str = "",
    *,
    timeout: float = 2.0,  # noqa: ASYNC109 - gRPC's word; it becomes the deadline on the wire
) -> bool:
    """Whether the health service answers SERVING for `service` ("" is the whole server). Never raises."""
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
