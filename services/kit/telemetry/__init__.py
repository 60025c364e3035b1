"""What a service says about itself: JSON logs, Prometheus metrics, OpenTelemetry spans, stage timings."""
