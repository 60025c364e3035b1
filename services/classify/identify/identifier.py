"""The pipeline of one work: from its features to candidate artists with probabilities (paper A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nails.artist.openset import JointDistribution, Probabilities, PrototypeCosines
from services.classify.enrolment.store import Gallery
from services.classify.features.extractor import TextFeatures, WorkFeatures
from services.classify.features.references import References
from services.classify.identify.calibration import (
    ArtistProbabilities,
    Calibration,
    combine_modalities,
)
from services.classify.identify.label_evidence import LabelEvidence, LabelTable
from services.classify.identify.nearest_works import NearWork, nearest_works
from services.kit.errors import FailedPrecondition


@dataclass(frozen=True)
class Candidate:
    """One possible artist.

    probability: calibrated, after fusion; image, text: by one modality alone. enrolled: a few-shot artist,
    not one of the models'. image_cosine, text_cosine: with the artist's prototypes, None where there is none.
    nearest: the most similar works of an enrolled artist, best first.
    """

    artist: str
    probability: float
    image: float
    text: float
    enrolled: bool = False
    image_cosine: float | None = None
    text_cosine: float | None = None
    nearest: tuple[NearWork, ...] = ()


@dataclass(frozen=True)
class Identification:
    """Candidates, best first, and the probability of the unknown class.

    by_image, by_text: whether photo and text took part. text: its features, None without words. labels:
    evidence of the caller's object labels, None without labels.
    """

    candidates: tuple[Candidate, ...]
    unknown: float
    by_image: bool
    by_text: bool
    text: TextFeatures | None
    labels: LabelEvidence | None = None


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
    """Turns the features of a work into candidates. Holds no state of requests."""

    def __init__(
        self,
        *,
        labels: Sequence[str],
        text_artists: Sequence[str],
        calibration: Calibration,
        references: References | None,
        label_table: LabelTable | None = None,
    ) -> None:
        """labels: artists in the order of the image model's logits. text_artists: those of the text model."""
        by_image = set(labels)
        # Artists of the text model alone come after those of the image model.
        self.artists = (*labels, *(artist for artist in text_artists if artist not in by_image))
        self._image_artists = len(labels)
        self._rank = {artist: index for index, artist in enumerate(self.artists)}
        self._calibration = calibration
        self._references = references
        self._label_table = label_table or LabelTable({})
        prototypes = references.trained.artists if references is not None else ()
        self._prototype = {artist: index for index, artist in enumerate(prototypes)}

    def identify(self, work: WorkFeatures, gallery: Gallery, top_k: int) -> Identification:
        """The best `top_k` artists, of those trained and those in the gallery."""
        cosines = self._cosines(work, gallery)
        image, text = self._by_image(work), self._by_text(work)
        probabilities = combine_modalities(
            image=image,
            text=text,
            calibration=self._calibration,
            cosines=cosines,
            out_of_vocabulary=work.text is not None and not work.text.prediction.probabilities,
        )
        return Identification(
            candidates=self._candidates(work, probabilities, cosines, gallery, top_k),
            unknown=probabilities.both.unknown,
            by_image=probabilities.image is not None,
            by_text=probabilities.text is not None,
            text=work.text,
            labels=self._label_table.evidence(work.labels),
        )

    def _by_image(self, work: WorkFeatures) -> Probabilities | None:
        if work.photo is None:
            return None
        found = np.zeros(len(self.artists))
        found[: self._image_artists] = work.photo.probabilities
        return found

    def _by_text(self, work: WorkFeatures) -> Probabilities | None:
        """By the text; a text that is out of vocabulary makes all artists equally probable."""
        if work.text is None:
            return None
        probabilities = work.text.prediction.probabilities
        if not probabilities:
            return np.full(len(self.artists), 1.0 / len(self.artists))
        found = np.zeros(len(self.artists))
        for artist, probability in probabilities.items():
            found[self._rank[artist]] = probability
        return np.asarray(found / found.sum(), np.float64)

    def _cosines(self, work: WorkFeatures, gallery: Gallery) -> PrototypeCosines:
        if self._references is None:
            return PrototypeCosines()
        photo = work.photo.embedding if work.photo is not None else None
        words = work.text.vector if work.text is not None else None
        trained, enrolled = self._references.trained, gallery.prototypes
        return PrototypeCosines(
            trained.image_cosines(photo),
            trained.text_cosines(words),
            enrolled.image_cosines(photo) if enrolled is not None else None,
            enrolled.text_cosines(words) if enrolled is not None else None,
        )

    def _candidates(
        self,
        work: WorkFeatures,
        probabilities: ArtistProbabilities,
        cosines: PrototypeCosines,
        gallery: Gallery,
        top_k: int,
    ) -> tuple[Candidate, ...]:
        both = _row(probabilities.both)
        image, text = _row(probabilities.image), _row(probabilities.text)
        trained = len(self.artists)

        def candidate(index: int) -> Candidate:
            enrolled = index >= trained
            record = gallery.records[index - trained] if enrolled else None
            artist = self.artists[index] if record is None else record.artist
            place = index - trained if enrolled else self._prototype.get(artist)
            near_image = cosines.enrolled_image if enrolled else cosines.trained_image
            near_text = cosines.enrolled_text if enrolled else cosines.trained_text
            return Candidate(
                artist=artist,
                probability=float(both[index]),
                image=float(image[index]) if len(image) else 0.0,
                text=float(text[index]) if len(text) else 0.0,
                enrolled=enrolled,
                image_cosine=_at(near_image, place),
                text_cosine=_at(near_text, place),
                nearest=nearest_works(record, work) if record is not None else (),
            )

        order = np.argsort(-both, kind="stable")[:top_k]
        return tuple(candidate(int(index)) for index in order)


def _row(joint: JointDistribution | None) -> NDArray[np.float64]:
    """Trained artists, then enrolled ones; empty where a modality is absent."""
    return np.zeros(0) if joint is None else np.concatenate([joint.trained, joint.enrolled])


def _at(cosines: NDArray[np.float64] | None, place: int | None) -> float | None:
    if cosines is None or place is None or np.isnan(cosines[place]):
        return None
    return float(cosines[place])
