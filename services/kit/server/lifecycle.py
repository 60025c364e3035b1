"""Runs services: one grpc.aio server with health, reflection, TLS, metrics and a graceful end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from services.kit.server.health import Health, watch_readiness
from services.kit.server.interceptors import Admission, BearerAuth, CallInterceptor, CallPolicy
from services.kit.settings import ServiceSettings
from services.kit.telemetry import logs
from services.kit.telemetry.metrics import RpcMetrics, metrics_server
from services.kit.telemetry.tracing import Tracing

_log = logging.getLogger(__name__)
_LOOKAHEAD_BYTES = 2**20  # at 20 ms of distance 50 MB/s a call; more costs memory under overload
_UNWIND_S = 5.0  # a cancelled call that does not end by then is left behind


@dataclass(frozen=True)
class Service:
    """One gRPC service of a server.

    `name` is its full name ("lunula.crop.v1.CropService"), `register` adds its servicer to a server,
    `ready` is its readiness check (`inference.all_ready`), run periodically.
    """

    name: str
    register: Callable[[grpc.aio.Server], None]
    ready: Callable[[], Awaitable[bool]]


S_contra = TypeVar("S_contra", bound=ServiceSettings, contravariant=True)
# Opens what a server needs, yields its services, and closes it all after the last call has ended. The
# registry is where metrics of backends and servicers go.
Build = Callable[[S_contra, CollectorRegistry], AbstractAsyncContextManager[Sequence[Service]]]


class RunningServer:
    """A server that is listening; see `running_server`."""

    def __init__(
        self,
        settings: ServiceSettings,
        server: grpc.aio.Server,
        health: Health,
        admission: Admission,
        port: int,
    ) -> None:
        self._settings = settings
        self._server = server
        self._drained = False
        self.health = health
        self.admission = admission
        self.port = port
        self.metrics_port: int | None = None

    @property
    def address(self) -> str:
        """host:port for clients on the same machine."""
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}.get(
            self._settings.host, self._settings.host
        )
        return f"{host}:{self.port}"

    async def until_serving(self) -> None:
        """Wait until every service's readiness check has succeeded."""
        await self.health.until_serving()

    async def drain(self) -> None:
        """NOT_SERVING; then no new calls; running calls may finish within `drain_s`. Idempotent."""
        if self._drained:
            return
        self._drained = True
        self.health.drain()
        _log.info("draining", extra={"in_flight": self.admission.calls})
        if self._settings.drain_delay_s:
            # Load balancers learn of NOT_SERVING before calls are refused.
            await asyncio.sleep(self._settings.drain_delay_s)
        await self._server.stop(self._settings.drain_s)
        # Calls that the grace ran out on were cancelled just now; what they use must outlive them.
        with suppress(TimeoutError):
            async with asyncio.timeout(_UNWIND_S):
                await self.admission.until_idle()
        _log.info("drained")


@asynccontextmanager
async def running_server(
    settings: S_contra, build: Build[S_contra], *, registry: CollectorRegistry | None = None
) -> AsyncIterator[RunningServer]:
    """A server for `settings` (port 0 takes a free one); drains when the block ends.

    It listens at once and is SERVING when the readiness checks say so (`until_serving`).
    """
    registry = registry or CollectorRegistry()
    async with build(settings, registry) as services:
        name = services[0].name if services else "lunula"
        metrics = RpcMetrics(registry)
        admission = Admission(
            max_calls=settings.max_in_flight,
            max_bytes=settings.max_in_flight_bytes,
            retry_after_s=settings.overload_retry_s,
            stall_s=settings.stream_stall_s,
            metrics=metrics,
            receivers=max(4, settings.max_in_flight_bytes // settings.max_message_bytes),
        )
        token = settings.bearer_token
        tracing = Tracing(name, settings.otel_endpoint)
        policy = CallPolicy(
            default_deadline_s=settings.default_deadline_s,
            default_stream_deadline_s=settings.default_stream_deadline_s,
            admission=admission,
            auth=BearerAuth(token.get_secret_value() if token is not None else None),
            metrics=metrics,
            tracing=tracing,
        )
        server = grpc.aio.server(interceptors=[CallInterceptor(policy)], options=_options(settings))
        health = Health(service.name for service in services)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        for service in services:
            service.register(server)
        if settings.reflection:
            names = [service.name for service in services]
            health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            reflection.enable_server_reflection([*names, health_name, reflection.SERVICE_NAME], server)
        port = _listen(server, settings)
        running = RunningServer(settings, server, health, admission, port)
        with metrics_server(registry, settings.host, settings.metrics_port) as metrics_port:
            running.metrics_port = metrics_port
            await server.start()
            _log.info(
                "listening",
                extra={"address": running.address, "metrics_port": metrics_port, "service": name},
            )
            watcher = asyncio.create_task(
                watch_readiness(
                    health,
                    {service.name: service.ready for service in services},
                    interval_s=settings.canary_interval_s,
                    timeout_s=settings.canary_timeout_s,
                )
            )
            try:
                yield running
            finally:
                watcher.cancel()
                with suppress(asyncio.CancelledError):
                    await watcher
                await running.drain()
                tracing.close()


async def run(settings: S_contra, build: Build[S_contra]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. The body of a service's `__main__`."""
    logs.configure(settings.log_level, settings.log_format)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        async with running_server(settings, build):
            await stop.wait()
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def _listen(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    address = f"{settings.host}:{settings.port}"
    if settings.tls_cert is None or settings.tls_key is None:
        return server.add_insecure_port(address)
    ca = settings.tls_client_ca
    credentials = grpc.ssl_server_credentials(
        [(settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())],
        root_certificates=ca.read_bytes() if ca is not None else None,
        require_client_auth=ca is not None,
    )
    return server.add_secure_port(address, credentials)


def _options(settings: ServiceSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # Messages that arrived and were not read yet: bounded for each call, and calls for each connection.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
        ("grpc.max_concurrent_streams", 4 * settings.max_in_flight + 16),
        # A second server on the same port is a mistake that must show.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
