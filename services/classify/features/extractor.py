"""The features of one work: what the models make of its photo and of its text, each by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import softmax
from nails.artist.openset import Probabilities
from nails.artist.text_vectors import EMPTY, SparseVector
from nails.language.script import language_tag
from nails.photo.preprocess import backbone_input
from services.classify.features.references import References
from services.classify.features.text_model import TextModel, TextPrediction
from services.intake.model_io import infer_one
from services.intake.photos import PhotoIntake, PhotoSource
from services.kit.concurrency.together import together
from services.kit.deadline import Deadline
from services.kit.errors import Internal, InvalidArgument
from services.kit.inference.base import InferenceBackend
from services.kit.telemetry.timings import stage

ARTIST_IMAGE, ARTIST_TEXT = "artist_image", "artist_text"
DECODE_SIDE = 1024
"""Photos are decoded at most this large: several times what the model sees, so that nothing is lost."""


@dataclass(frozen=True)
class WorkInput:
    """A work as the caller sent it.

    field: its path in the request. photo: None when there is none. text: title and description, may be empty.
    labels: of an object detector, confidences in [0, 1] by name.
    """

    field: str
    photo: PhotoSource | None
    text: str
    labels: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class PhotoFeatures:
    """probabilities: f64 [A] in the order of the labels, raw. embedding: f32 [D] of length 1."""

    probabilities: Probabilities
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class TextFeatures:
    """prediction: of the text model. vector: for cosines between texts; empty without references.

    language: a BCP 47 tag.
    """

    prediction: TextPrediction
    vector: SparseVector
    language: str


@dataclass(frozen=True)
class WorkFeatures:
    """photo, text: None where the work has no photo, or no word. labels: as in WorkInput."""

    photo: PhotoFeatures | None
    text: TextFeatures | None
    labels: Mapping[str, float] = dataclasses.field(default_factory=dict)


class FeatureExtractor:
    """Runs the models on one work at a time; batching happens below, in the backend."""

    def __init__(
        self,
        *,
        backend: InferenceBackend,
        intake: PhotoIntake,
        side: int,
        artists: int,
        text_model: TextModel,
        references: References | None,
    ) -> None:
        """side: pixels of the image model's square input. artists: number of its logits."""
        self._backend = backend
        self._intake = intake
        self._side = side
        self._artists = artists
        self._text_model = text_model
        self._references = references

    async def extract(self, work: WorkInput, deadline: Deadline) -> WorkFeatures:
        """The features of a work's photo and text.

        Raises InvalidArgument NOTHING_TO_IDENTIFY when there is no photo and the text has no word, and what
        PhotoIntake.load and InferenceBackend.infer raise.
        """
        photo, text = await together(
            self._extract_photo(work.photo, deadline), self._extract_text(work.text, deadline)
        )
        if photo is None and text is None:
            raise InvalidArgument(
                "the words hold nothing that can be read",
                reason="NOTHING_TO_IDENTIFY",
                fields=[(work.field, "has no photo, and no word in its title and description")],
            )
        return WorkFeatures(photo, text, work.labels)

    async def _extract_photo(self, source: PhotoSource | None, deadline: Deadline) -> PhotoFeatures | None:
        if source is None:
            return None
        async with self._intake.slot():
            photo = await self._intake.load(source, max_side=DECODE_SIDE, deadline=deadline)
            with stage("preprocess"):
                tensor = await self._intake.threads.run(backbone_input, photo.image, self._side)
            deadline.check("identifying the photo")
            outputs = await infer_one(self._backend, ARTIST_IMAGE, {"images": tensor}, deadline=deadline)
        logits = outputs["logits"]
        if logits.shape != (self._artists,) or not np.isfinite(logits).all():
            raise Internal("artist_image gave no usable logits", reason="MODEL_OUTPUT_NOT_FINITE")
        embedding = np.asarray(outputs["embedding"], np.float32)
        length = float(np.linalg.norm(embedding))
        if not np.isfinite(length):
            raise Internal("artist_image gave no usable embedding", reason="MODEL_OUTPUT_NOT_FINITE")
        return PhotoFeatures(softmax(logits), embedding / length if length > 0 else embedding)

    async def _extract_text(self, text: str, deadline: Deadline) -> TextFeatures | None:
        if not text.strip():
            return None
        deadline.check("reading the words")
        with stage("words"):
            return await self._intake.threads.run(self._text_features, text)

    def _text_features(self, text: str) -> TextFeatures | None:
        prediction = self._text_model.predict(text)
        if not prediction.word_count:
            return None
        vector = self._references.text_vector(text) if self._references is not None else EMPTY
        return TextFeatures(prediction, vector, language_tag(text))
