"""Messages of ClassifyService to plain objects and back."""

from __future__ import annotations

from lunula.classify.v1 import classify_service_pb2 as pb
from services.classify.enrolment.listing import ENROLLED, TRAINED, ListedArtist
from services.classify.features.extractor import WorkInput
from services.classify.identify.identifier import Candidate, Identification
from services.classify.validation import check_work
from services.intake.messages import read_photo
from services.kit.errors import InvalidArgument, LunulaError
from services.kit.wire.errors import to_item_error

_ORIGINS = {
    pb.ARTIST_ORIGIN_UNSPECIFIED: "",
    pb.ARTIST_ORIGIN_TRAINED: TRAINED,
    pb.ARTIST_ORIGIN_ENROLLED: ENROLLED,
}


def read_work(work: pb.Work, field: str) -> WorkInput:
    """A work, checked. field: its path in the request. Raises what `check_work` raises."""
    has_photo, labels = work.HasField("photo"), dict(work.labels)
    check_work(
        field,
        work_id=work.work_id,
        title=work.title,
        description=work.description,
        labels=labels,
        has_photo=has_photo,
    )
    return WorkInput(
        field=field,
        photo=read_photo(work.photo, f"{field}.photo") if has_photo else None,
        text="\n".join(part for part in (work.title, work.description) if part.strip()),
        labels=labels,
    )


def read_origin(origin: pb.ArtistOrigin.ValueType) -> str:
    """TRAINED, ENROLLED, or "" for both. Raises InvalidArgument ORIGIN_INVALID."""
    if origin not in _ORIGINS:
        raise InvalidArgument(
            "origin is not one that exists",
            reason="ORIGIN_INVALID",
            fields=[("origin", "must be ARTIST_ORIGIN_TRAINED or ARTIST_ORIGIN_ENROLLED, or be left out")],
        )
    return _ORIGINS[origin]


def identification_item(outcome: Identification | LunulaError) -> pb.IdentifyArtistsItem:
    """The message of a result or an error."""
    if isinstance(outcome, LunulaError):
        return pb.IdentifyArtistsItem(error=to_item_error(outcome))
    modalities = [
        modality
        for modality, used in (
            (pb.MODALITY_IMAGE, outcome.by_image),
            (pb.MODALITY_TEXT, outcome.by_text),
        )
        if used
    ]
    found = pb.Identification(
        candidates=[_candidate(candidate) for candidate in outcome.candidates],
        unknown_probability=outcome.unknown,
        modalities=modalities,
    )
    if outcome.text is not None:
        found.text_evidence.language = outcome.text.language
        found.text_evidence.word_count = outcome.text.prediction.word_count
        found.text_evidence.known_word_count = outcome.text.prediction.known_word_count
    if outcome.labels is not None:
        found.label_evidence.labels[:] = outcome.labels.combination
        found.label_evidence.work_count = outcome.labels.works
        found.label_evidence.entropy = outcome.labels.entropy
        for artist, share in outcome.labels.artists:
            found.label_evidence.artists.add(artist_id=artist, share=share)
    return pb.IdentifyArtistsItem(identification=found)


def artist_message(artist: ListedArtist, space: str) -> pb.Artist:
    """The message of an artist. space: fingerprint of the vectors that the served models make."""
    record = artist.record
    if record is None:
        return pb.Artist(artist_id=artist.artist, origin=pb.ARTIST_ORIGIN_TRAINED)
    message = pb.Artist(
        artist_id=artist.artist,
        origin=pb.ARTIST_ORIGIN_ENROLLED,
        work_count=len(record.work_ids),
        photo_count=record.photos,
        text_count=record.texts,
        stale=record.space != space,
    )
    message.enrol_time.FromMilliseconds(record.enrolled_ms)
    return message


def _candidate(candidate: Candidate) -> pb.ArtistCandidate:
    return pb.ArtistCandidate(
        artist_id=candidate.artist,
        probability=candidate.probability,
        image_probability=candidate.image,
        text_probability=candidate.text,
        origin=pb.ARTIST_ORIGIN_ENROLLED if candidate.enrolled else pb.ARTIST_ORIGIN_TRAINED,
        image_cosine=candidate.image_cosine,
        text_cosine=candidate.text_cosine,
        nearest_works=[
            pb.NearWork(work_id=work.work_id, image_cosine=work.image, text_cosine=work.text)
            for work in candidate.nearest
        ],
    )
