"""Admission control: how much may be in progress at once, in calls and in bytes of requests.

A call is admitted before its request is read from the connection, and its bytes are counted before they
are parsed, so a refused call costs next to nothing. How large a request is shows only when it is there:
few unary requests are received at the same time, so that a burst of large ones is noticed before it is in
memory. A unary call over the limit is refused with a retry delay. A stream over the byte limit is first
held back (it is not read, so flow control reaches the sender) and refused only when nothing was freed for
`stall_s`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType

from services.kit.errors import ResourceExhausted
from services.kit.telemetry.metrics import RpcMetrics

# A sender that takes longer than this no longer keeps the others from being received: slow senders cannot
# block the server, and what they add to memory they add slowly.
_RECEIVE_ALONE_S = 0.25


class Admission:
    """Counts what is in flight. For one event loop."""

    def __init__(
        self,
        *,
        max_calls: int,
        max_bytes: int,
        retry_after_s: float,
        stall_s: float,
        metrics: RpcMetrics,
        receivers: int = 4,
    ) -> None:
        """`receivers`: unary requests that are received at the same time."""
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._retry_after_s = retry_after_s
        self._stall_s = stall_s
        self._metrics = metrics
        self._calls = 0
        self._bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._receiving = asyncio.Semaphore(receivers)
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def calls(self) -> int:
        """Calls in flight."""
        return self._calls

    @property
    def bytes(self) -> int:
        """Bytes of requests in flight."""
        return self._bytes

    def enter(self) -> Ticket:
        """Admit a call, whose request has not been read. Raises ResourceExhausted."""
        if self._calls >= self._max_calls:
            raise self._refusal("TOO_MANY_CALLS", "The server is working on as many calls as it may.")
        self._check_room()
        self._calls += 1
        self._idle.clear()
        self._metrics.in_flight.set(self._calls)
        return Ticket(self)

    async def until_idle(self) -> None:
        """Wait until no call is in flight."""
        await self._idle.wait()

    def _check_room(self) -> None:
        if self._bytes >= self._max_bytes:
            raise self._refusal("TOO_MANY_BYTES", "The server is working on as many bytes as it may.")

    def _fits(self, size: int) -> bool:
        # One request larger than the whole budget is taken when it is alone; else it could never be.
        return self._bytes == 0 or self._bytes + size <= self._max_bytes

    def _take(self, size: int) -> None:
        self._bytes += size
        self._metrics.in_flight_bytes.set(self._bytes)

    def _give(self, size: int) -> None:
        if not size:
            return
        self._bytes -= size
        self._metrics.in_flight_bytes.set(self._bytes)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    def _leave(self) -> None:
        self._calls -= 1
        self._metrics.in_flight.set(self._calls)
        if not self._calls:
            self._idle.set()

    async def _wait_for_room(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        async with asyncio.timeout(self._stall_s):
            await waiter

    def _refusal(self, reason: str, message: str) -> ResourceExhausted:
        self._metrics.refused.labels(reason).inc()
        return ResourceExhausted(message, reason=reason, retry_after_s=self._retry_after_s)


class Ticket:
    """An admitted call. A context manager: leaving it frees everything that the call holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._held: deque[int] = deque()
        self.received = 0

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admission._give(sum(self._held))
        self._held.clear()
        self._admission._leave()

    async def receive(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """Receive and count a unary request. Raises ResourceExhausted.

        `read` returns its bytes; no bytes (the end of the call) count nothing.
        """
        slot = self._admission._receiving
        await slot.acquire()
        held = True

        def let_next() -> None:
            nonlocal held
            if held:
                held = False
                slot.release()

        timer = asyncio.get_running_loop().call_later(_RECEIVE_ALONE_S, let_next)
        try:
            self._admission._check_room()
            raw = await read()
            # Counted before the next request may come in.
            if isinstance(raw, bytes):
                self.hold(len(raw))
            return raw
        finally:
            timer.cancel()
            let_next()

    def hold(self, size: int) -> None:
        """Count a unary request of `size` bytes. Raises ResourceExhausted."""
        if not self._admission._fits(size):
            raise self._admission._refusal(
                "TOO_MANY_BYTES", "The server is working on as many bytes as it may."
            )
        self._count(size)

    async def hold_streamed(self, size: int) -> None:
        """Count one message of a stream, waiting for room. Raises ResourceExhausted after a stall."""
        while not self._admission._fits(size):
            try:
                await self._admission._wait_for_room()
            except TimeoutError:
                raise self._admission._refusal(
                    "TOO_MANY_BYTES", "The server found no room for the next message of the stream."
                ) from None
        self._count(size)

    def release_oldest(self) -> None:
        """A stream answered one message: what it held longest is free."""
        if self._held:
            self._admission._give(self._held.popleft())

    def _count(self, size: int) -> None:
        self._held.append(size)
        self.received += size
        self._admission._take(size)
