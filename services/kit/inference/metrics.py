"""Prometheus metrics of inference in this process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class InferenceMetrics:
    """Metrics of the models. One object for each registry; without a registry they are not exported."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        registry = registry or CollectorRegistry()
        model = ["model"]
        self.batch_rows = Histogram(
            "lunula_batch_rows", "Rows of a batch that ran.", model, buckets=_ROWS, registry=registry
        )
        self.batch_seconds = Histogram(
            "lunula_batch_seconds",
            "Time of a batch in the model.",
            model,
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "lunula_queue_seconds",
            "Time of an item before its first batch.",
            model,
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_rows = Gauge("lunula_queue_rows", "Rows that wait.", model, registry=registry)
        self.failed_batches = Counter(
            "lunula_failed_batches", "Batches that raised.", model, registry=registry
        )
        self.dropped = Counter(
            "lunula_dropped_items",
            "Items that left without a result: full, expired, cancelled, failed, closed.",
            ["model", "reason"],
            registry=registry,
        )
