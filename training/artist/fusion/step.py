"""The step `fuse` of `lunula train artist`: photo and words brought together, in every way of the ladder.

Everything is fitted and chosen on the out-of-fold predictions of an outer fold's training part; the works
that are tested there have no part in it but to be answered. Options: image=MODEL, text=MODEL (which
predictions are fused), members=logs|mean (how the inner models are brought together for what works on
logarithms).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.artist.folds import Folds, PredictionsError
from evaluation.artist.metrics import accuracy, best_artists, negative_log_likelihood
from evaluation.artist.predictions import (
    FOLDER,
    PROBABILITIES,
    SCORES,
    Predictions,
    RunOfModels,
    open_run,
    write,
)
from nails.artist.fusion import is_missing, log_probabilities, softmax, temper
from nails.artist.ranking import Evidence
from training.artist.fusion.fitting import fit_temperature
from training.artist.fusion.rules import (
    CALIBRATED,
    FIVE_TO_FIVE,
    LADDER,
    RATIOS,
    Rung,
    fitted,
    fixed,
    ladder,
    out_of_fold,
)
from training.artist.job import ArtistJob, FuseOptions
from training.artist.steps import write_about
from training.kit.stepwise import StepError

_NEIGHBOURS = {"image": "knn_image", "text": "knn_text"}


@dataclass(frozen=True)
class Material:
    """An outer fold's evidence: out of fold, and of the tested works by mean and by logarithms."""

    oof: Evidence
    labels: NDArray[np.int64]
    inner: NDArray[np.int64]
    test: Evidence
    test_logs: Evidence


@dataclass(frozen=True)
class Fused:
    """What a fusion says in one outer fold. oof: [m,A] cross-fitted, None where it is not kept."""

    what: str
    test: NDArray[np.float32]
    oof: NDArray[np.float32] | None
    parameters: Mapping[str, Any]


def run(job: ArtistJob) -> None:
    """Writes RUN/predictions/FUSION of every fusion. Raises StepError where predictions are missing."""
    started = time.monotonic()
    try:
        models = open_run(job.out)
        sources = _sources(models, job.fuse)
        stamp = _stamp(models, sources, job.fuse)
        if LADDER in models.models and models.about(LADDER).more.get("made_from") == stamp:
            return
        rungs = ladder(job.seed)
        kept: dict[str, tuple[str, dict[str, Any]]] = {}
        steps = models.folds.outer * (models.folds.inner + 1)
        with tqdm(total=steps, desc="fusing", unit="fit") as bar:
            for outer in range(models.folds.outer):
                material = gather(models, outer, sources, job.fuse.members)
                for name, fused in fuse(material, rungs, bar.update).items():
                    _write(job, models.folds, outer, name, fused)
                    kept.setdefault(name, (fused.what, {}))[1][str(outer)] = dict(fused.parameters)
    except PredictionsError as error:
        raise StepError(str(error)) from error
    for name, (what, parameters) in kept.items():
        folder = job.out / FOLDER / name
        more = {"made_from": stamp, "members": job.fuse.members, "by_outer_fold": parameters}
        write_about(folder, job, PROBABILITIES, what, started, **more)


def fuse(
    material: Material, rungs: Sequence[Rung], on_fit: Callable[[], None] = lambda: None
) -> dict[str, Fused]:
    """Every fusion of one outer fold by name, in the order of the ladder. on_fit: after each fitted part."""
    everything = [*map(fixed, RATIOS), *rungs]
    rules = fitted(everything, material.oof, material.labels)
    on_fit()
    held_out = out_of_fold(rungs, material.oof, material.labels, material.inner, on_fit)
    held_out[FIVE_TO_FIVE] = rules[FIVE_TO_FIVE](material.oof)  # nothing of it is fitted
    found: dict[str, Fused] = {}
    merits: dict[str, tuple[float, float]] = {}
    for rung in everything:
        test = rules[rung.name](material.test_logs if rung.logs else material.test)
        oof = held_out.get(rung.name)
        found[rung.name] = Fused(rung.what, test, oof, rules[rung.name].parameters)
        if oof is None:
            continue
        temperature = fit_temperature(oof, material.labels)
        right, loss = (
            accuracy(material.labels, best_artists(oof)),
            negative_log_likelihood(oof, material.labels),
        )
        merits[rung.name] = right, -loss
        found[rung.name + CALIBRATED] = Fused(
            f"{rung.what}, calibrated",
            np.asarray(temper(test, temperature), np.float32),
            np.asarray(temper(oof, temperature), np.float32),
            {"temperature": temperature, "inner_accuracy": right, "inner_loss": loss},
        )
    best = max(merits, key=lambda name: merits[name])
    found[LADDER] = replace(
        found[best + CALIBRATED],
        what="the rung that is best on the inner folds, calibrated",
        parameters={"chosen": best, **found[best + CALIBRATED].parameters},
    )
    return found


def gather(models: RunOfModels, outer: int, sources: Mapping[str, str], members: str = "logs") -> Material:
    """Reads what is fused in an outer fold. Raises PredictionsError."""
    tables = {role: models.read(model, outer) for role, model in sources.items()}
    for role, table in tables.items():
        if table.oof is None:
            raise PredictionsError(f"{sources[role]}, outer fold {outer}: oof: missing, and fusion needs it")
    folds = models.folds
    trained, tested = folds.trained(outer), folds.tested(outer)
    labels = folds.truth(trained)
    prior = np.bincount(labels, minlength=len(folds.artists)) / len(labels)

    def evidence(part: Mapping[str, NDArray[np.float32]], characters: list[int]) -> Evidence:
        return Evidence(
            image=part["image"],
            text=part["text"],
            prior=prior,
            characters=np.array(characters, np.int64),
            image_neighbours=part.get(_NEIGHBOURS["image"]),
            text_neighbours=part.get(_NEIGHBOURS["text"]),
        )

    means = {role: table.test for role, table in tables.items()}
    logs = means
    if members == "logs":
        logs = {role: in_logs(table) if role in _NEIGHBOURS else table.test for role, table in tables.items()}
    asked = [work.characters for work in tested]
    return Material(
        oof=evidence(
            {role: table.oof for role, table in tables.items() if table.oof is not None},
            [work.characters for work in trained],
        ),
        labels=labels,
        inner=folds.inner_folds(outer),
        test=evidence(means, asked),
        test_logs=evidence(logs, asked),
    )


def in_logs(predictions: Predictions) -> NDArray[np.float32]:
    """The inner models' geometric mean, f32 [n,A]: as sharp as one of them, where their mean is blunter.

    What is fitted on single models' out-of-fold predictions fits it better. The mean where there is nothing
    but that.
    """
    if predictions.test_each is None:
        return predictions.test
    table = softmax(log_probabilities(predictions.test_each).mean(axis=0))
    return np.asarray(np.where(is_missing(predictions.test)[:, None], 0.0, table), np.float32)


def _sources(models: RunOfModels, options: FuseOptions) -> dict[str, str]:
    """By role the models that are fused; neighbours only where they are there."""
    sources = {"image": options.image, "text": options.text}
    for role, model in sources.items():
        if model not in models.models:
            raise StepError(f"{models.folder}: no predictions of {model}, which is to be fused as {role}")
        if models.about(model).kind != PROBABILITIES:
            raise StepError(f"{models.folder}: {model} gives scores, not probabilities")
    for model in _NEIGHBOURS.values():
        if model in models.models and models.about(model).kind == SCORES:
            sources[model] = model
    return sources


def _stamp(models: RunOfModels, sources: Mapping[str, str], options: FuseOptions) -> str:
    """Names what the fusions are made from: if it is the same, so are they."""
    found = hashlib.sha256(repr(sorted(asdict(options).items())).encode())
    for role, model in sorted(sources.items()):
        found.update(role.encode())
        found.update((models.folder / FOLDER / model / "about.json").read_bytes())
    return found.hexdigest()


def _write(job: ArtistJob, folds: Folds, outer: int, name: str, fused: Fused) -> None:
    table = Predictions(
        artists=folds.artists,
        test_ids=tuple(work.id for work in folds.tested(outer)),
        test=fused.test,
        oof_ids=tuple(work.id for work in folds.trained(outer)) if fused.oof is not None else (),
        oof=fused.oof,
    )
    write(job.out, name, outer, table, folds, kind=PROBABILITIES)
