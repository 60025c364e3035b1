"""Puts ClassifyService together from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from services.classify.calibration import Calibration
from services.classify.enrolment import Enrolment
from services.classify.identify import Identifier, read_labels
from services.classify.label_evidence import LabelTable
from services.classify.reading import ARTIST_IMAGE, ARTIST_TEXT, WorkReader
from services.classify.references import References, read_references
from services.classify.servicer import ClassifyParts, ClassifyServicer
from services.classify.settings import ClassifySettings
from services.classify.text_model import FastTextModel, TextModel
from services.intake.model_io import image_side
from services.intake.photos import PhotoIntake
from services.kit.concurrency.lazy import Lazy
from services.kit.errors import FailedPrecondition
from services.kit.inference import InferenceBackend, ModelMetadata, build_backend, model_versions
from services.kit.models import ModelVersion
from services.kit.server import Service

NAME = pb.DESCRIPTOR.services_by_name["ClassifyService"].full_name
MODELS = (ARTIST_IMAGE,)


@asynccontextmanager
async def build(settings: ClassifySettings, registry: CollectorRegistry) -> AsyncIterator[Sequence[Service]]:
    """ClassifyService on the backend that the settings name; everything is closed at the end."""
    labels = read_labels(settings.labels_path())
    text_model = FastTextModel(settings.text_model_path())
    references = read_references(settings.prototypes_path())
    label_table = LabelTable.read(settings.label_table_path())
    backend = build_backend(settings, MODELS, registry=registry)
    try:
        async with serve_on(
            backend,
            settings,
            labels=labels,
            text_model=text_model,
            references=references,
            label_table=label_table,
        ) as services:
            yield services
    finally:
        await backend.close()


@asynccontextmanager
async def serve_on(
    backend: InferenceBackend,
    settings: ClassifySettings,
    *,
    labels: Sequence[str],
    text_model: TextModel,
    references: References | None = None,
    label_table: LabelTable | None = None,
) -> AsyncIterator[Sequence[Service]]:
    """ClassifyService on `backend`, which stays the caller's. references: None takes no new artists."""
    intake = PhotoIntake.from_settings(settings)
    try:
        enrolment = Enrolment(settings.enrolled, most=settings.max_enrolled, threads=intake.threads)

        async def parts() -> ClassifyParts:
            image = await backend.metadata(ARTIST_IMAGE)
            made = _parts(backend, intake, image, labels, text_model, references, label_table)
            text_version = ModelVersion(ARTIST_TEXT, "1", text_model.fingerprint)
            return ClassifyParts(*made, models=(*await model_versions(backend, MODELS), text_version))

        lazy_parts = Lazy(backend, MODELS, parts)

        async def ready() -> bool:
            alive = await lazy_parts.ready()
            enrolment.gallery((await lazy_parts.get()).space)  # artists of other models: never ready, and why
            return alive

        servicer = ClassifyServicer(
            lazy_parts, enrolment, threads=intake.threads, works_per_call=settings.photos_per_call
        )
        try:
            yield [
                Service(
                    NAME,
                    lambda server: pb_grpc.add_ClassifyServiceServicer_to_server(servicer, server),
                    ready,
                )
            ]
        finally:
            enrolment.close()
    finally:
        intake.close()


def _parts(
    backend: InferenceBackend,
    intake: PhotoIntake,
    image: ModelMetadata,
    labels: Sequence[str],
    text_model: TextModel,
    references: References | None,
    label_table: LabelTable | None,
) -> tuple[WorkReader, Identifier, References | None, str, int]:
    """Checks that the models belong together. Raises FailedPrecondition MODEL_UNSUITABLE."""
    outputs = {output.name: output.shape for output in image.outputs}
    if outputs.get("logits") not in ((len(labels),), (None,)):
        raise FailedPrecondition(
            f"artist_image gives logits {outputs.get('logits')} for {len(labels)} labels",
            reason="MODEL_UNSUITABLE",
        )
    embedding = outputs.get("embedding", ())
    dim = embedding[0] if len(embedding) == 1 and embedding[0] is not None else 0
    if references is not None:
        if references.image_fingerprint != image.fingerprint:
            raise FailedPrecondition(
                f"prototypes.npz is of artist_image {references.image_fingerprint[:12]}, "
                f"served is {image.fingerprint[:12]}: export both together",
                reason="FINGERPRINT_MISMATCH",
                metadata={"expected": image.fingerprint, "actual": references.image_fingerprint},
            )
        if references.trained.image.shape[1] != dim:
            raise FailedPrecondition(
                f"artist_image gives embeddings {embedding}, prototypes.npz has "
                f"{references.trained.image.shape[1]} numbers",
                reason="MODEL_UNSUITABLE",
            )
    try:
        calibration = Calibration.from_parameters(image.parameters)
    except ValueError as error:
        raise FailedPrecondition(f"artist_image: {error}", reason="MODEL_UNSUITABLE") from error
    reader = WorkReader(
        backend=backend,
        intake=intake,
        side=image_side(image),
        artists=len(labels),
        text_model=text_model,
        references=references,
    )
    identifier = Identifier(
        labels=labels,
        text_artists=text_model.artists,
        calibration=calibration,
        references=references,
        label_table=label_table,
    )
    return reader, identifier, references, references.space if references is not None else "", dim
