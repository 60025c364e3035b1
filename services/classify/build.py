"""Puts ClassifyService together from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from lunula.type.v1 import response_info_pb2
from services.classify.identify import ARTIST_IMAGE, ARTIST_TEXT, Identifier, read_labels
from services.classify.servicer import ClassifyParts, ClassifyServicer
from services.classify.settings import ClassifySettings
from services.classify.text_model import FastTextModel, TextModel
from services.intake.late import Late
from services.intake.photos import PhotoIntake
from services.kit.inference import InferenceBackend, build_backend, model_versions
from services.kit.server import Service

NAME = pb.DESCRIPTOR.services_by_name["ClassifyService"].full_name
MODELS = (ARTIST_IMAGE,)


@asynccontextmanager
async def build(settings: ClassifySettings, registry: CollectorRegistry) -> AsyncIterator[Sequence[Service]]:
    """ClassifyService on the backend that the settings name; everything is closed at the end."""
    labels = read_labels(settings.labels_path())
    text_model = FastTextModel(settings.text_model_path())
    backend = build_backend(settings, MODELS, registry=registry)
    try:
        async with serve_on(backend, settings, labels=labels, text_model=text_model) as services:
            yield services
    finally:
        await backend.close()


@asynccontextmanager
async def serve_on(
    backend: InferenceBackend, settings: ClassifySettings, *, labels: Sequence[str], text_model: TextModel
) -> AsyncIterator[Sequence[Service]]:
    """ClassifyService on `backend`, which stays the caller's."""
    intake = PhotoIntake.from_settings(settings)

    async def parts() -> ClassifyParts:
        identifier = await Identifier.of(backend, intake, labels=labels, text_model=text_model)
        text_version = response_info_pb2.ModelVersion(
            name=ARTIST_TEXT, version="1", fingerprint=text_model.fingerprint
        )
        return ClassifyParts(identifier, (*await model_versions(backend, MODELS), text_version))

    late = Late(backend, MODELS, parts)
    servicer = ClassifyServicer(late, works_per_call=settings.photos_per_call)
    try:
        yield [
            Service(
                NAME,
                lambda server: pb_grpc.add_ClassifyServiceServicer_to_server(servicer, server),
                late.ready,
            )
        ]
    finally:
        intake.close()
