"""OpenTelemetry spans, off unless an endpoint is set. W3C trace context travels in the call metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Opens one span per served call. Without an endpoint or processor it does nothing."""

    def __init__(self, service: str, endpoint: str | None, *, processor: SpanProcessor | None = None) -> None:
        """`endpoint` is an OTLP/gRPC URL; `processor` replaces the exporter (tests)."""
        self._provider: TracerProvider | None = None
        self._tracer: trace.Tracer = trace.NoOpTracer()
        if endpoint is None and processor is None:
            return
        if processor is None:
            # Imported only where it is switched on: it brings a gRPC channel and a thread.
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint))
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("lunula")

    @contextmanager
    def span(self, method: str, metadata: Mapping[str, str]) -> Iterator[trace.Span]:
        """The span of a served call, child of the caller's span when `metadata` names one."""
        if self._provider is None:
            yield trace.INVALID_SPAN
            return
        context = _PROPAGATOR.extract(metadata)
        with self._tracer.start_as_current_span(
            method.lstrip("/"), context=context, kind=trace.SpanKind.SERVER
        ) as span:
            yield span

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def outgoing() -> Iterable[tuple[str, str]]:
    """Metadata that makes the running span the parent of a call; empty without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return tuple(carrier.items())
