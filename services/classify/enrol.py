"""From works of an artist to what is kept of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nails.artist.text_vectors import EMPTY, SparseRows
from services.classify.reading import ReadWork
from services.classify.records import Record
from services.classify.references import References
from services.kit.errors import AlreadyExists, FailedPrecondition


def check_enrollable(
    artist: str, trained: Sequence[str] | frozenset[str], references: References | None
) -> References:
    """What new artists are measured against.

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


def record_of(
    artist: str, works: Sequence[ReadWork], work_ids: Sequence[str], *, space: str, dim: int, now_ms: int
) -> Record:
    """The artist as kept.

    dim: of the image model's embeddings. Works without a name are named "1", "2", ...
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
        text=SparseRows.of(work.text.vector if work.text is not None else EMPTY for work in works),
    )
