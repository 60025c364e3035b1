"""Nested cross-validation: one model trained 25 times, and what it says of works that it did not see.

In every outer fold each of the inner models is trained on the training part without its own inner fold; it
answers for that inner fold (out of fold) and for the works that are tested. Every answer is kept as it comes
under RUN/predictions/MODEL/parts, so an interrupted run loses at most one training; the parts go when their
outer fold is written.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.artist.folds import Folds, PredictionsError, read_folds
from evaluation.artist.predictions import FOLDER, PROBABILITIES, Predictions, write
from evaluation.artist.works import Work, digest, read
from training.artist.job import ArtistJob
from training.artist.steps import write_about
from training.kit.stepwise import StepError, remember

Rows = NDArray[np.int64]
Table = NDArray[np.float32]


@dataclass(frozen=True)
class Task:
    """One of the trainings. train: rows to learn from; own: of the inner fold that the model does not see;
    tested: of the outer fold. seed: of this training alone."""

    outer: int
    inner: int
    train: Rows
    own: Rows
    tested: Rows
    seed: int

    @property
    def queries(self) -> Rows:
        """Rows to answer for, `own` first: [m]."""
        return np.concatenate([self.own, self.tested])


Fit = Callable[[Task], Table]
"""Trains on task.train and answers for task.queries: f32 [m,A]."""


@dataclass(frozen=True)
class Nest:
    """A run's folds with their works in the same order. truth: [N], places in `folds.artists`."""

    folds: Folds
    works: tuple[Work, ...]
    truth: Rows
    digest: str

    def task(self, outer: int, inner: int, seed: int) -> Task:
        """The training of an inner model."""
        part = np.array([work.outer for work in self.folds.works])
        own = np.array([-1 if work.outer == outer else work.inner[outer] for work in self.folds.works])
        return Task(
            outer,
            inner,
            train=np.flatnonzero((part != outer) & (own != inner)),
            own=np.flatnonzero((part != outer) & (own == inner)),
            tested=np.flatnonzero(part == outer),
            seed=int(np.random.SeedSequence([seed, outer, inner]).generate_state(1)[0] >> 1),
        )

    def training(self, outer: int) -> Rows:
        """Rows of an outer fold's training part, in the order of `folds.trained`."""
        return np.flatnonzero(np.array([work.outer for work in self.folds.works]) != outer)


def open_nest(job: ArtistJob) -> Nest:
    """The folds of `job.out` with the works of `job.data`. Raises StepError where they do not fit."""
    try:
        folds = read_folds(job.out)
    except PredictionsError as error:
        raise StepError(str(error)) from None
    works = {work.id: work for work in read(job.data)}
    if set(works) != {work.id for work in folds.works}:
        raise StepError(f"{job.out}: its folds are of other works than {job.data}; use another --out")
    place = {artist: index for index, artist in enumerate(folds.artists)}
    ordered = tuple(works[folded.id] for folded in folds.works)
    if any(work.artist != folded.artist for work, folded in zip(ordered, folds.works, strict=True)):
        raise StepError(f"{job.out}: its folds name other artists than {job.data}; use another --out")
    truth = np.array([place[work.artist] for work in ordered], np.int64)
    return Nest(folds, ordered, truth, digest(job.data))


def cross_validate(
    job: ArtistJob,
    nest: Nest,
    model: str,
    fit: Fit,
    *,
    what: str,
    settings: Mapping[str, Any],
    kind: str = PROBABILITIES,
) -> None:
    """Writes RUN/predictions/`model` for every outer fold, then its about.json; what is there is passed over.

    `settings`: all that the answers depend on beside data and seed. Raises StepError where what is there was
    made with other ones.
    """
    started = time.monotonic()
    folder = job.out / FOLDER / model
    remember(folder, {"data": nest.digest, "seed": job.seed, **settings})
    folds = nest.folds
    with tqdm(total=folds.outer * folds.inner, desc=model, unit="model", mininterval=1) as bar:
        for outer in range(folds.outer):
            parts = folder / "parts" / f"outer-{outer}"
            if (folder / f"outer-{outer}.npz").exists() and not parts.exists():
                bar.update(folds.inner)
                continue
            parts.mkdir(parents=True, exist_ok=True)
            for inner in range(folds.inner):
                _answer(parts / f"inner-{inner}.npy", nest.task(outer, inner, job.seed), fit)
                bar.update()
            write(job.out, model, outer, _gathered(nest, parts, outer, job.seed), folds, kind=kind)
            shutil.rmtree(parts)
    shutil.rmtree(folder / "parts", ignore_errors=True)
    if not (folder / "about.json").exists():
        write_about(folder, job, kind, what, started, settings=dict(settings))


def _answer(path: Path, task: Task, fit: Fit) -> None:
    """Trains one model and keeps its answers."""
    if path.exists():
        return
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        np.save(file, np.asarray(fit(task), np.float32))
    draft.replace(path)


def _gathered(nest: Nest, parts: Path, outer: int, seed: int) -> Predictions:
    """The answers of an outer fold's inner models in the agreed form."""
    folds = nest.folds
    trained = nest.training(outer)
    place = np.full(len(nest.works), -1, np.int64)
    place[trained] = np.arange(len(trained))
    oof = np.zeros((len(trained), len(folds.artists)), np.float32)
    each = []
    for inner in range(folds.inner):
        answers = np.load(parts / f"inner-{inner}.npy", allow_pickle=False)
        own = nest.task(outer, inner, seed).own
        oof[place[own]] = answers[: len(own)]
        each.append(answers[len(own) :])
    test_each = np.stack(each)
    return Predictions(
        artists=folds.artists,
        test_ids=tuple(work.id for work in folds.tested(outer)),
        test=test_each.mean(axis=0),
        test_each=test_each,
        oof_ids=tuple(work.id for work in folds.trained(outer)),
        oof=oof,
    )
