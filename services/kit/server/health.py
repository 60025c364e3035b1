"""`grpc.health.v1`: what is served, and the loop that finds out whether it really works.

A service is SERVING when its readiness check (canary inferences) last succeeded. The server as a whole
(service name "") is SERVING when all its services are. Draining is NOT_SERVING for good.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

_log = logging.getLogger(__name__)
_RETRY_S = 0.5  # between checks while something is not ready: models may still be loading


class Health:
    """The health servicer. Unlike grpcio's own, its watchers end when the server drains."""

    def __init__(self, services: Iterable[str]) -> None:
        self._ready = dict.fromkeys(services, False)
        self._draining = False
        self._changed = asyncio.Event()

    def set_ready(self, service: str, ready: bool) -> None:
        """Set one service's state; without effect while draining."""
        if self._ready[service] != ready:
            self._ready[service] = ready
            self._notify()

    def drain(self) -> None:
        """NOT_SERVING for everything, for good; watchers receive it and their streams end."""
        self._draining = True
        self._notify()

    @property
    def serving(self) -> bool:
        """Whether the whole server is SERVING."""
        return not self._draining and all(self._ready.values())

    async def until_serving(self) -> None:
        """Wait until the whole server is SERVING."""
        while not self.serving:
            await self._changed.wait()

    def status(self, service: str) -> health_pb2.HealthCheckResponse.ServingStatus.ValueType:
        """The state of `service`; SERVICE_UNKNOWN for a name that is not served."""
        if service and service not in self._ready:
            return health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        ready = self._ready[service] if service else all(self._ready.values())
        if ready and not self._draining:
            return health_pb2.HealthCheckResponse.SERVING
        return health_pb2.HealthCheckResponse.NOT_SERVING

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        """The state of a service now; NOT_FOUND for an unknown one."""
        status = self.status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"There is no service {request.service!r}.")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The state of a service now and after every change."""
        del context
        last = None
        while True:
            changed = self._changed
            status = self.status(request.service)
            if status != last:
                yield health_pb2.HealthCheckResponse(status=status)
            if self._draining:
                return
            last = status
            await changed.wait()

    def _notify(self) -> None:
        # Everybody who waits holds the old event; who comes later waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()


async def watch_readiness(
    health: Health,
    checks: Mapping[str, Callable[[], Awaitable[bool]]],
    *,
    interval_s: float,
    timeout_s: float,
) -> None:
    """Run every service's readiness check again and again and set `health`; ends by cancellation."""

    async def follow(service: str, check: Callable[[], Awaitable[bool]]) -> None:
        before: bool | None = None
        while True:
            ready = False
            try:
                async with asyncio.timeout(timeout_s):
                    ready = await check()
            except Exception:
                # A check that raises or hangs has failed; the service stays up and is checked again.
                if before is not False:
                    _log.warning("readiness check failed", exc_info=True, extra={"service": service})
            if ready != before:
                _log.info("readiness changed", extra={"service": service, "ready": ready})
            health.set_ready(service, ready)
            before = ready
            await asyncio.sleep(interval_s if ready else min(_RETRY_S, interval_s))

    async with asyncio.TaskGroup() as group:
        for service, check in checks.items():
            group.create_task(follow(service, check))
