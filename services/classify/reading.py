"""What the models make of one work: its photo and its words, each by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import softmax
from nails.artist.text_vectors import EMPTY, SparseVector
from nails.language.script import language_tag
from nails.photo.preprocess import backbone_input
from services.classify.calibration import Probabilities
from services.classify.references import References
from services.classify.text_model import Reading, TextModel
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
class WorkSources:
    """What is known of a work.

    field: its path in the request. photo: None when there is none. text: title and description, may be empty.
    labels: what a detector saw, confidences by name.
    """

    field: str
    photo: PhotoSource | None
    text: str
    labels: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class SeenPhoto:
    """probabilities: f64 [A] in the order of the labels, raw. embedding: f32 [D] of length 1."""

    probabilities: Probabilities
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class ReadText:
    """reading: of the text model. vector: to compare texts by; empty without references. language: BCP 47."""

    reading: Reading
    vector: SparseVector
    language: str


@dataclass(frozen=True)
class ReadWork:
    """None where the work has no photo, or no words."""

    photo: SeenPhoto | None
    text: ReadText | None
    labels: Mapping[str, float] = dataclasses.field(default_factory=dict)


class WorkReader:
    """Reads one work at a time; batching happens below, in the backend."""

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
        """side: of the image model's input. artists: of its logits."""
        self._backend = backend
        self._intake = intake
        self._side = side
        self._artists = artists
        self._text_model = text_model
        self._references = references

    async def read(self, work: WorkSources, deadline: Deadline) -> ReadWork:
        """Photo and words of a work.

        Raises InvalidArgument NOTHING_TO_IDENTIFY when there is no photo and the text has no word, and what
        PhotoIntake.load and InferenceBackend.infer raise.
        """
        photo, text = await together(self._see(work.photo, deadline), self._read(work.text, deadline))
        if photo is None and text is None:
            raise InvalidArgument(
                "the words hold nothing that can be read",
                reason="NOTHING_TO_IDENTIFY",
                fields=[(work.field, "has no photo, and no word in its title and description")],
            )
        return ReadWork(photo, text, work.labels)

    async def _see(self, source: PhotoSource | None, deadline: Deadline) -> SeenPhoto | None:
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
        return SeenPhoto(softmax(logits), embedding / length if length > 0 else embedding)

    async def _read(self, text: str, deadline: Deadline) -> ReadText | None:
        if not text.strip():
            return None
        deadline.check("reading the words")
        with stage("words"):
            return await self._intake.threads.run(self._read_now, text)

    def _read_now(self, text: str) -> ReadText | None:
        reading = self._text_model.read(text)
        if not reading.words:
            return None
        vector = self._references.text_vector(text) if self._references is not None else EMPTY
        return ReadText(reading, vector, language_tag(text))
