"""The works of an enrolled artist that are most like the one asked about: evidence for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.classify.enrolment.records import Record
from services.classify.features.extractor import WorkFeatures

NEAREST = 3


@dataclass(frozen=True)
class NearWork:
    """A work and its cosines with the one asked about; 0 where one of the two lacks the modality."""

    work_id: str
    image: float
    text: float


def nearest_works(record: Record, work: WorkFeatures, most: int = NEAREST) -> tuple[NearWork, ...]:
    """The most alike by the sum of both cosines, best first; works with nothing in common are left out."""
    count = len(record.work_ids)
    image, text = np.zeros(count), np.zeros(count)
    if work.photo is not None:
        image = np.clip(np.asarray(record.image, np.float32) @ work.photo.embedding, -1.0, 1.0)
    if work.text is not None:
        text = np.asarray(record.text.cosines(work.text.vector), np.float64)
    order = np.argsort(-(image + text), kind="stable")[:most]
    return tuple(
        NearWork(record.work_ids[index], float(image[index]), float(text[index]))
        for index in order
        if image[index] + text[index] > 0
    )
