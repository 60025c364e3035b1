"""Chooses the backend that the settings name."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from services.kit.inference.base import InferenceBackend
from services.kit.settings import ServiceSettings


def build_backend(
    settings: ServiceSettings, models: Sequence[str], *, registry: CollectorRegistry | None = None
) -> InferenceBackend:
    """The backend of `settings.backend` for `models`; its metrics go to `registry`.

    Cheap: weights are loaded at the first inference or readiness check. Call it inside the running event
    loop and `await backend.close()` at the end. Raises FailedPrecondition MODEL_CONFIG_INVALID when a
    model's folder is missing or wrong (local and fake; Triton answers at the first readiness check).
    """
    # Each backend brings its own heavy dependencies; only the chosen one is imported.
    if settings.backend == "triton":
        from services.kit.inference.triton import TritonBackend

        return TritonBackend(settings.triton_url)
    if settings.backend == "fake":
        from services.kit.inference.fake import FakeBackend

        return FakeBackend(settings.model_repository, models)
    from services.kit.inference.local import LocalBackend

    return LocalBackend(
        settings.model_repository,
        models,
        intra_op_threads=settings.intra_op_threads,
        max_queue_rows=settings.max_queue_rows,
        registry=registry,
    )
