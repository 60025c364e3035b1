"""The way of one work: photo and words to candidates with probabilities (paper A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nails.preprocess import backbone_input
from services.classify.calibration import Calibration, Probabilities, Verdict, judge, softmax
from services.classify.text_model import TextModel
from services.intake.model_io import image_side, infer_one
from services.intake.photos import PhotoIntake, PhotoSource
from services.intake.together import together
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal, InvalidArgument
from services.kit.inference.base import InferenceBackend
from services.kit.timings import stage

ARTIST_IMAGE, ARTIST_TEXT = "artist_image", "artist_text"
DECODE_SIDE = 1024
"""Photos are decoded at most this large: several times what the model sees, so that nothing is lost."""


@dataclass(frozen=True)
class WorkSources:
    """What is known of a work.

    field: its path in the request. photo: None when there is none. text: title and description, may be empty.
    """

    field: str
    photo: PhotoSource | None
    text: str


@dataclass(frozen=True)
class Candidate:
    """One possible artist. probability: after fusion, calibrated; image, text: of a modality alone."""

    artist: str
    probability: float
    image: float
    text: float


@dataclass(frozen=True)
class Identified:
    """Candidates, best first, and the probability that the artist is none of those known.

    by_image, by_text: which evidence was used.
    """

    candidates: tuple[Candidate, ...]
    unknown: float
    by_image: bool
    by_text: bool


def read_labels(path: Path) -> tuple[str, ...]:
    """Artist ids in the order of the image model's logits. Raises FailedPrecondition MODEL_UNSUITABLE."""
    try:
        labels = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except OSError as error:
        raise FailedPrecondition(f"no artist labels: {error}", reason="MODEL_UNSUITABLE") from error
    if not labels or len(set(labels)) != len(labels):
        raise FailedPrecondition(f"{path} must name each artist once", reason="MODEL_UNSUITABLE")
    return labels


class Identifier:
    """Identifies one work at a time; batching happens below, in the backend."""

    def __init__(
        self,
        *,
        backend: InferenceBackend,
        intake: PhotoIntake,
        side: int,
        labels: Sequence[str],
        text_model: TextModel,
        calibration: Calibration,
    ) -> None:
        """side: of the image model's input. labels: artists in the order of its logits."""
        self._backend = backend
        self._intake = intake
        self._side = side
        self._image_artists = len(labels)
        self._text_model = text_model
        self._calibration = calibration
        known = set(labels)
        # Artists whom only the words can tell stand behind those of the image model.
        self._artists = (*labels, *(artist for artist in text_model.artists if artist not in known))
        self._rank = {artist: index for index, artist in enumerate(self._artists)}

    @classmethod
    async def of(
        cls,
        backend: InferenceBackend,
        intake: PhotoIntake,
        *,
        labels: Sequence[str],
        text_model: TextModel,
    ) -> Identifier:
        """Reads the image model's metadata. Raises FailedPrecondition MODEL_UNSUITABLE."""
        model = await backend.metadata(ARTIST_IMAGE)
        outputs = {output.name: output.shape for output in model.outputs}
        if outputs.get("logits") not in ((len(labels),), (None,)):
            raise FailedPrecondition(
                f"artist_image gives logits {outputs.get('logits')} for {len(labels)} labels",
                reason="MODEL_UNSUITABLE",
            )
        try:
            calibration = Calibration.from_parameters(model.parameters)
        except ValueError as error:
            raise FailedPrecondition(f"artist_image: {error}", reason="MODEL_UNSUITABLE") from error
        return cls(
            backend=backend,
            intake=intake,
            side=image_side(model),
            labels=labels,
            text_model=text_model,
            calibration=calibration,
        )

    async def identify(self, work: WorkSources, top_k: int, deadline: Deadline) -> Identified:
        """The best `top_k` artists.

        Raises InvalidArgument NOTHING_TO_IDENTIFY when there is no photo and the words say nothing, and what
        PhotoIntake.load and InferenceBackend.infer raise.
        """
        image, text = await together(self._by_image(work.photo, deadline), self._by_text(work.text, deadline))
        if image is None and text is None:
            raise InvalidArgument(
                "the words hold nothing that can be read",
                reason="NOTHING_TO_IDENTIFY",
                fields=[(work.field, "has no photo, and no word in its title and description")],
            )
        verdict = judge(image=image, text=text, calibration=self._calibration)
        return Identified(
            candidates=self._candidates(verdict, top_k),
            unknown=verdict.unknown,
            by_image=image is not None,
            by_text=text is not None,
        )

    async def _by_image(self, source: PhotoSource | None, deadline: Deadline) -> Probabilities | None:
        if source is None:
            return None
        async with self._intake.slot():
            photo = await self._intake.load(source, max_side=DECODE_SIDE, deadline=deadline)
            with stage("preprocess"):
                tensor = await self._intake.threads.run(backbone_input, photo.image, self._side)
            deadline.check("identifying the photo")
            outputs = await infer_one(self._backend, ARTIST_IMAGE, {"images": tensor}, deadline=deadline)
        logits = outputs["logits"]
        if logits.shape != (self._image_artists,) or not np.isfinite(logits).all():
            raise Internal("artist_image gave no usable logits", reason="MODEL_OUTPUT_NOT_FINITE")
        found = np.zeros(len(self._artists))
        found[: self._image_artists] = softmax(logits)
        return found

    async def _by_text(self, text: str, deadline: Deadline) -> Probabilities | None:
        if not text.strip():
            return None
        deadline.check("reading the words")
        with stage("words"):
            said = await self._intake.threads.run(self._text_model.probabilities, text)
        if not said:
            return None
        found = np.zeros(len(self._artists))
        for artist, probability in said.items():
            found[self._rank[artist]] = probability
        return np.asarray(found / found.sum(), np.float64)

    def _candidates(self, verdict: Verdict, top_k: int) -> tuple[Candidate, ...]:
        order = np.argsort(-verdict.fused, kind="stable")[:top_k]
        known = 1.0 - verdict.unknown
        return tuple(
            Candidate(
                artist=self._artists[index],
                probability=float(verdict.fused[index]) * known,
                image=float(verdict.image[index]),
                text=float(verdict.text[index]),
            )
            for index in order
        )
