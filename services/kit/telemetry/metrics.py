"""Prometheus metrics of a server, on a port of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class RpcMetrics:
    """Metrics of the calls. One object for each registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.started = Counter("lunula_rpc_started", "Calls that arrived.", ["method"], registry=registry)
        self.handled = Counter(
            "lunula_rpc_handled", "Calls that ended, by gRPC code.", ["method", "code"], registry=registry
        )
        self.seconds = Histogram(
            "lunula_rpc_seconds", "Time of a call.", ["method"], buckets=_SECONDS, registry=registry
        )
        self.stage_seconds = Histogram(
            "lunula_stage_seconds",
            "Time of a stage of a call.",
            ["method", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("lunula_rpc_in_flight", "Calls being served.", registry=registry)
        self.in_flight_bytes = Gauge(
            "lunula_rpc_in_flight_bytes", "Bytes of requests being served.", registry=registry
        )
        self.refused = Counter(
            "lunula_rpc_refused", "Calls refused by admission control.", ["reason"], registry=registry
        )
        self.messages = Counter(
            "lunula_stream_messages", "Messages of streams.", ["method", "direction"], registry=registry
        )


@contextmanager
def metrics_server(registry: CollectorRegistry, host: str, port: int | None) -> Iterator[int | None]:
    """Serve `registry` on `port` (0 takes a free one, None serves nothing); yields the port."""
    if port is None:
        yield None
        return
    server: WSGIServer
    thread: threading.Thread
    server, thread = start_http_server(port, addr=host, registry=registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
