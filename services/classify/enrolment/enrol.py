"""From the works of an artist to the record that is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nails.artist.text_vectors import EMPTY, SparseRows
from services.classify.enrolment.records import Record
from services.classify.features.extractor import WorkFeatures
from services.classify.features.references import References
from services.kit.errors import AlreadyExists, FailedPrecondition


def check_enrollable(
    artist: str, trained: Sequence[str] | frozenset[str], references: References | None
) -> References:
    """The references that few-shot artists need; checks that `artist` may be enrolled.

    Raises FailedPrecondition ENROLMENT_UNAVAILABLE for a model without prototypes, AlreadyExists
    ARTIST_TRAINED.
    """
    if references is None:
        raise FailedPrecondition(
            "The artist model has no prototypes.npz: artists cannot be added to it.",
            reason="ENROLMENT_UNAVAILABLE",
        )
    if artist in trained:
        raise AlreadyExists(
            f"The models were trained on works of {artist!r}; an enrolled artist needs another id.",
            reason="ARTIST_TRAINED",
            fields=[("artist_id", "must not be an artist that the models were trained on")],
            resource=("artist", artist),
        )
    return references


def build_record(
    artist: str, works: Sequence[WorkFeatures], work_ids: Sequence[str], *, space: str, dim: int, now_ms: int
) -> Record:
    """The record of an artist.

    space: fingerprint of the vectors. dim: numbers of an image embedding. now_ms: Unix time. Works without an
    id are called "1", "2", ... by their place.
    """
    image = np.zeros((len(works), dim), np.float16)
    for index, work in enumerate(works):
        if work.photo is not None:
            image[index] = work.photo.embedding
    return Record(
        artist=artist,
        space=space,
        enrolled_ms=now_ms,
        work_ids=tuple(name or str(place) for place, name in enumerate(work_ids, start=1)),
        image=image,
        text=SparseRows.stack(work.text.vector if work.text is not None else EMPTY for work in works),
    )
