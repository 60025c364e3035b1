"""The way of one work: photo and words to candidates with probabilities (paper A)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nails.artist.openset import Joint, Nearness
from services.classify.calibration import Calibration, Probabilities, Verdict, judge
from services.classify.enrolment import Gallery
from services.classify.evidence import NearWork, nearest_works
from services.classify.label_evidence import LabelEvidence, LabelTable
from services.classify.reading import ReadText, ReadWork
from services.classify.references import References
from services.kit.errors import FailedPrecondition


@dataclass(frozen=True)
class Candidate:
    """One possible artist.

    probability: after fusion, calibrated; image, text: of a modality alone. enrolled: not one of the model's.
    image_cosine, text_cosine: with the artist's prototypes, None where there is none. nearest: works of an
    enrolled artist that are most alike, best first.
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
class Identified:
    """Candidates, best first, and the probability that the artist is none of those known.

    by_image, by_text: whether photo and words had a part in it. text: what was read of the words, None
    without words. labels: what they say, None without labels.
    """

    candidates: tuple[Candidate, ...]
    unknown: float
    by_image: bool
    by_text: bool
    text: ReadText | None
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
    """Turns what was read of a work into candidates. Holds no state of requests."""

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
        known = set(labels)
        # Artists whom only the words can tell stand behind those of the image model.
        self.artists = (*labels, *(artist for artist in text_artists if artist not in known))
        self._image_artists = len(labels)
        self._rank = {artist: index for index, artist in enumerate(self.artists)}
        self._calibration = calibration
        self._references = references
        self._label_table = label_table or LabelTable({})
        prototypes = references.trained.artists if references is not None else ()
        self._prototype = {artist: index for index, artist in enumerate(prototypes)}

    def identify(self, work: ReadWork, gallery: Gallery, top_k: int) -> Identified:
        """The best `top_k` artists, of those trained and those in the gallery."""
        nearness = self._nearness(work, gallery)
        image, text = self._by_image(work), self._by_text(work)
        mute = work.text is not None and not work.text.reading.probabilities
        verdict = judge(image=image, text=text, calibration=self._calibration, nearness=nearness, mute=mute)
        return Identified(
            candidates=self._candidates(work, verdict, nearness, gallery, top_k),
            unknown=verdict.both.unknown,
            by_image=verdict.image is not None,
            by_text=verdict.text is not None,
            text=work.text,
            labels=self._label_table.evidence(work.labels),
        )

    def _by_image(self, work: ReadWork) -> Probabilities | None:
        if work.photo is None:
            return None
        found = np.zeros(len(self.artists))
        found[: self._image_artists] = work.photo.probabilities
        return found

    def _by_text(self, work: ReadWork) -> Probabilities | None:
        """Of the words; where the model knows none of them it says the same of every artist."""
        if work.text is None:
            return None
        said = work.text.reading.probabilities
        if not said:
            return np.full(len(self.artists), 1.0 / len(self.artists))
        found = np.zeros(len(self.artists))
        for artist, probability in said.items():
            found[self._rank[artist]] = probability
        return np.asarray(found / found.sum(), np.float64)

    def _nearness(self, work: ReadWork, gallery: Gallery) -> Nearness:
        if self._references is None:
            return Nearness()
        photo = work.photo.embedding if work.photo is not None else None
        words = work.text.vector if work.text is not None else None
        trained, enrolled = self._references.trained, gallery.prototypes
        return Nearness(
            trained.image_cosines(photo),
            trained.text_cosines(words),
            enrolled.image_cosines(photo) if enrolled is not None else None,
            enrolled.text_cosines(words) if enrolled is not None else None,
        )

    def _candidates(
        self, work: ReadWork, verdict: Verdict, nearness: Nearness, gallery: Gallery, top_k: int
    ) -> tuple[Candidate, ...]:
        both = _row(verdict.both)
        image, text = _row(verdict.image), _row(verdict.text)
        trained = len(self.artists)

        def candidate(index: int) -> Candidate:
            enrolled = index >= trained
            record = gallery.records[index - trained] if enrolled else None
            artist = self.artists[index] if record is None else record.artist
            place = index - trained if enrolled else self._prototype.get(artist)
            near_image = nearness.enrolled_image if enrolled else nearness.trained_image
            near_text = nearness.enrolled_text if enrolled else nearness.trained_text
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


def _row(found: Joint | None) -> NDArray[np.float64]:
    """Trained artists, then enrolled ones; empty where a modality is absent."""
    return np.zeros(0) if found is None else np.concatenate([found.trained, found.enrolled])


def _at(cosines: NDArray[np.float64] | None, place: int | None) -> float | None:
    if cosines is None or place is None or np.isnan(cosines[place]):
        return None
    return float(cosines[place])
