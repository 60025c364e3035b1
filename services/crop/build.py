"""Puts CropService together from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from services.crop.models import MODELS, HandFinder, NailFinder
from services.crop.pipeline import CropPipeline
from services.crop.servicer import CropParts, CropServicer
from services.crop.settings import CropSettings
from services.intake.photos import PhotoIntake
from services.kit.concurrency.lazy import Lazy
from services.kit.inference import InferenceBackend, build_backend, model_versions
from services.kit.server import Service


@asynccontextmanager
async def build(settings: CropSettings, registry: CollectorRegistry) -> AsyncIterator[Sequence[Service]]:
    """CropService on the backend that the settings name; everything is closed at the end."""
    backend = build_backend(settings, MODELS, registry=registry)
    try:
        async with serve_on(backend, settings) as services:
            yield services
    finally:
        await backend.close()


@asynccontextmanager
async def serve_on(backend: InferenceBackend, settings: CropSettings) -> AsyncIterator[Sequence[Service]]:
    """CropService on `backend`, which stays the caller's."""
    intake = PhotoIntake.from_settings(settings)

    async def parts() -> CropParts:
        pipeline = CropPipeline(
            intake=intake,
            nails=await NailFinder.from_backend(backend, intake.threads),
            hands=await HandFinder.from_backend(backend, intake.threads, max_hands=settings.max_hands),
            work_side=settings.work_side,
            enough_side=min(settings.enough_side, settings.work_side),
            jpeg_quality=settings.jpeg_quality,
        )
        return CropParts(pipeline, tuple(await model_versions(backend, MODELS)))

    lazy_parts = Lazy(backend, MODELS, parts)
    servicer = CropServicer(
        lazy_parts,
        min_nail_score=settings.min_nail_score,
        photos_per_call=settings.photos_per_call,
        max_message_bytes=settings.max_message_bytes,
    )
    try:
        yield [servicer.service(lazy_parts.ready)]
    finally:
        intake.close()
