"""Puts ClassifyService together from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from services.classify.enrolment.store import EnrolmentStore
from services.classify.features.extractor import ARTIST_IMAGE, ARTIST_TEXT, FeatureExtractor
from services.classify.features.references import References, read_references
from services.classify.features.text_model import FastTextModel, TextModel
from services.classify.identify.calibration import Calibration
from services.classify.identify.identifier import Identifier, read_labels
from services.classify.identify.label_evidence import LabelTable
from services.classify.servicer import ClassifyParts, ClassifyServicer
from services.classify.settings import ClassifySettings
from services.intake.model_io import image_side
from services.intake.photos import PhotoIntake
from services.kit.concurrency.lazy import Lazy
from services.kit.errors import FailedPrecondition
from services.kit.inference import InferenceBackend, ModelMetadata, build_backend, model_versions
from services.kit.models import ModelVersion
from services.kit.server import Service

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
    """ClassifyService on `backend`, which the caller closes. references: None: no artist can be enrolled."""
    intake = PhotoIntake.from_settings(settings)
    try:
        enrolment = EnrolmentStore(settings.enrolled, most=settings.max_enrolled, threads=intake.threads)

        async def parts() -> ClassifyParts:
            image = await backend.metadata(ARTIST_IMAGE)
            models = await model_versions(backend, MODELS)
            models.append(ModelVersion(ARTIST_TEXT, "1", text_model.fingerprint))
            return _parts(backend, intake, image, labels, text_model, references, label_table, models)

        lazy_parts = Lazy(backend, MODELS, parts)

        async def ready() -> bool:
            alive = await lazy_parts.ready()
            enrolment.gallery((await lazy_parts.get()).space)  # artists of other models: never ready, and why
            return alive

        servicer = ClassifyServicer(
            lazy_parts, enrolment, threads=intake.threads, works_per_call=settings.photos_per_call
        )
        try:
            yield [servicer.service(ready)]
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
    models: Sequence[ModelVersion],
) -> ClassifyParts:
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
    extractor = FeatureExtractor(
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
    return ClassifyParts(
        extractor,
        identifier,
        references,
        space=references.space if references is not None else "",
        dim=dim,
        models=tuple(models),
    )
