"""Observability: JSON logs, Prometheus metrics, OpenTelemetry spans, stage timings."""
