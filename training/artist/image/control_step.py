"""The step `control`: can the artist be told from the background alone?

Nails and hands of every photo are covered (fields `mask` and `hands_mask` of the works), the same frozen
encoders look at what is left, and the same head is trained on it: RUN/predictions/control. It should be
little better than naming the artist with most works.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.artist.works import MASKS, Work
from training.artist.image import feature_step
from training.artist.image.image_step import CONFIG, answer, with_photo
from training.artist.image.training import train_head
from training.artist.job import ArtistJob
from training.artist.nested import Table, Task, cross_validate, open_nest
from training.kit.data import features
from training.kit.data.augment import plain_view
from training.kit.data.features import Photo, Source
from training.kit.export.sessions import SIZE, open_network
from training.kit.stepwise import StepError

NAME = "background"
_MARGIN = 0.02  # of the longer side: shadows and soft edges of the hand are covered too


def run(job: ArtistJob) -> None:
    """Writes RUN/features/background and RUN/predictions/control. Needs --encoders. Raises StepError."""
    nest, compute = open_nest(job), job.compute
    shown = with_photo(nest)
    bare = [work.id for work in nest.works if work.image is not None and not _masks(work)]
    if bare:
        raise StepError(f"work {bare[0]!r} has neither of {' and '.join(MASKS)}: nothing to cover with")
    folder = job.out / feature_step.FOLDER / NAME
    network = feature_step.prepare(job, folder, {"data": nest.digest})
    views = functools.partial(covered_views, size=SIZE)
    source = Source(network, open_network, views, feature_step.OUTPUTS)
    features.extract(folder, nest.works, source, job.workers, NAME)
    described = features.load(folder, ("description",), len(nest.works), "control")["description"]

    def fit(task: Task) -> Table:
        config, train = replace(CONFIG, seed=task.seed), task.train[shown[task.train]]
        head = train_head(described[train], nest.truth[train], len(nest.folds.artists), config, compute)
        return answer(head, described, task.queries, shown)

    what = "control: the background alone, hands and nails covered"
    settings: Mapping[str, Any] = {"epochs": CONFIG.epochs, "hidden": CONFIG.hidden, "margin": _MARGIN}
    cross_validate(job, nest, "control", fit, what=what, settings=settings)


def background_only(photo: Photo, hidden: NDArray[np.bool_]) -> Photo:
    """`photo` u8 [H,W,3] with what is `hidden` [H,W], and a margin, in the mean colour of the rest.

    A photo of which nothing is left becomes grey.
    """
    height, width = photo.shape[:2]
    reach = 2 * round(_MARGIN * max(height, width)) + 1
    wide = cv2.dilate(hidden.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    result = photo.copy()
    result[wide] = photo[~wide].mean(axis=0).round() if not wide.all() else 127
    return result


def covered_views(photo: Photo, work: Work, _row: int, *, size: int) -> list[NDArray[np.float32]]:
    """The serving view of the background alone: f32 [3,size,size]. Raises StepError for a mask that cannot be
    read."""
    hidden = np.zeros(photo.shape[:2], np.bool_)
    for path in _masks(work):
        mask = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        if mask is None:
            raise StepError(f"{path}: the mask of work {work.id!r} cannot be read")
        if mask.shape != hidden.shape:  # photos are read no larger than features.LONGEST
            mask = cv2.resize(mask, hidden.shape[::-1], interpolation=cv2.INTER_NEAREST)
        hidden |= mask > 0
    return [plain_view(background_only(photo, hidden), None, size)]


def _masks(work: Work) -> list[Path]:
    return [work.more[name] for name in MASKS if name in work.more]
