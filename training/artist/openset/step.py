"""The step `openset`: unknown artists are noticed, and new artists are known from ten works.

A fifth of the artists are shown to no model and are what is reported on; another fifth, shown to no model
either, is what everything is fitted and chosen on. Options: works=10, how many a new artist brings;
words=morphemes|words, how the text model divides texts.

- Which works are by an unknown artist? Scores of what is served alone and together, AUROC on works of
  artists that no model was trained on against test works of the others. `combined` is what ClassifyService
  computes.
- New artists: their accuracy with prototypes of ten works, against that of models that were trained anew with
  these ten works among all others, repeated to the median artist's number of works so that they are not
  given up for those of others. The share of it that prototypes reach is the figure.

Writes RUN/openset.json:

    {"seed": 7, "command": …, "data": sha256 of the listing, "seconds": …,
     "artists": {"known": 120, "validation": 40, "test": 40}, "works": {"known": …, "validation": …, "test":
     …}, "space": {"chosen": "together", "validation accuracy": {"embedding": .4, …}},
     "auroc": {"validation": {"combined": .95, …}, "test": {"combined": .94, "image probability": .81, …}},
     "chosen": "combined",
     "at one half": {"unknown artists called unknown": .9, "known works called unknown": .1},
     "enrolment": {"works": 10, "image"|"text"|"both": {"enrolled": .7, "trained": .8, "share": .875,
                   "known before": .9, "known after": .89, "ece": .02}},
     "parameters": {"unknown_both": "…", "enrolled_both": "…", …}}

Accuracies are shares; `ece` is of the distribution without the unknown, since no work there is by
somebody unknown. `parameters` are those of the served model: `export` takes them from here.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import numpy as np

from evaluation.artist.metrics import auroc, calibration_error
from nails.artist.openset import BOTH, IMAGE, MODES, Coefficients, OpenSet
from nails.artist.text_vectors import compute_rarities, vectorise
from training.artist.job import ArtistJob
from training.artist.nested import open_nest
from training.artist.openset.fitting import UNKNOWN, distribution, fit_enrolled, fit_unknown, unknown_logits
from training.artist.openset.models import SPACES, Floats, Material, Rows, read_material
from training.artist.openset.trial import Known, Parts, Trial, first_works, models, split

logger = logging.getLogger(__name__)
FILE = "openset.json"
WORKS = 10
_TRAINED = -2


def run(job: ArtistJob) -> None:
    """Writes RUN/openset.json; passes over it when it is there. Raises StepError."""
    path = job.out / FILE
    if path.exists():
        return
    started = time.monotonic()
    nest = open_nest(job)
    material = read_material(job, nest)
    found = evaluate(material, seed=job.seed, works=job.openset.works)
    about: dict[str, Any] = {"seed": job.seed, "command": job.command, "data": nest.digest}
    found = about | {"seconds": round(time.monotonic() - started, 1)} | found
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
    logger.info("%s: AUROC %.4f", path, found["auroc"]["test"]["combined"])


def evaluate(material: Material, *, seed: int, works: int = WORKS) -> dict[str, Any]:
    """Everything of openset.json but who made it and how long it took."""
    nest, truth = material.nest, material.nest.truth
    parts = split(nest, seed=seed)
    logger.info("models of %d known artists, %d works", len(parts.known), len(parts.train))
    known = models(material, parts.known, parts.train, parts.validation_known, seed)
    added, few_shot = (first_works(nest, group, works, seed) for group in (parts.validation, parts.test))
    space, spaces = choose_space(known, parts, truth, added)
    rarity = compute_rarities(material.texts[row] for row in parts.train)
    texts = tuple(vectorise(text, rarity) for text in material.texts)
    trial = Trial(parts, known, truth, known.images[space], texts)
    openset = OpenSet({mode: fit(trial, added, mode) for mode in MODES})
    logger.info("models of %d artists more, with %d works each", len(parts.test), works)
    everybody = np.sort(np.concatenate([parts.known, parts.test]))
    train = np.concatenate([parts.train, np.tile(few_shot, balance(parts, truth, works))])
    anew = models(material, everybody, train, parts.validation_known, seed)
    tried = measure_scores(trial, openset, parts.validation_known, parts.validation_unknown)
    reported = measure_scores(trial, openset, parts.test_known, parts.test_unknown)
    return {
        "artists": {"known": len(parts.known), "validation": len(parts.validation), "test": len(parts.test)},
        "works": {
            "known": len(parts.train),
            "validation": [len(parts.validation_known), len(parts.validation_unknown)],
            "test": [len(parts.test_known), len(parts.test_unknown)],
        },
        "space": {"chosen": space, "validation accuracy": spaces},
        "auroc": {"validation": tried["auroc"], "test": reported["auroc"]},
        "chosen": "combined",
        "at one half": reported["half"],
        "enrolment": {"works": works}
        | {mode: enrolled(trial, anew, few_shot, openset, mode) for mode in MODES},
        "parameters": openset.to_parameters(),
    }


def balance(parts: Parts, truth: Rows, works: int) -> int:
    """How often new works are shown in training, so that new artists weigh as much as the median known one.

    Without it a model gives artists of ten works up for those of hundreds: too easy to beat.
    """
    median = float(np.median(np.bincount(truth[parts.train])[parts.known]))
    return max(1, round(median / works))


def choose_space(known: Known, parts: Parts, truth: Rows, added: Rows) -> tuple[str, dict[str, float]]:
    """The space where most works of validation artists are nearest to their own prototype by the photo."""
    artists = np.concatenate([parts.known, parts.validation])
    rows = np.concatenate([parts.train, added])
    found = {}
    for name, images in known.images.items():
        tried = parts.validation_unknown[images[parts.validation_unknown].any(axis=1)]
        if not len(tried):
            return SPACES[0], {}
        centres = np.stack([images[rows[truth[rows] == artist]].sum(axis=0) for artist in artists])
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
        nearest = artists[(images[tried] @ centres.T).argmax(axis=1)]
        found[name] = round(float((nearest == truth[tried]).mean()), 4)
    return max(found, key=lambda name: found[name]), found


def fit(trial: Trial, added: Rows, mode: str) -> Coefficients:
    """The numbers of a mode, on works of validation, where one half of the unknown artists is enrolled."""
    parts, truth = trial.parts, trial.truth
    rows = np.concatenate([parts.validation_known, parts.validation_unknown])
    unknown_works = np.arange(len(rows)) >= len(parts.validation_known)
    few_shot = parts.validation[::2]
    features = trial.features(mode, rows, few_shot, added)
    unknown = fit_unknown(features, unknown_works, mode)
    place = np.full(truth.max() + 1, UNKNOWN)
    place[few_shot] = np.arange(len(few_shot))
    labels = np.where(unknown_works, place[truth[rows]], _TRAINED)
    column = np.where(unknown_works, 0, np.searchsorted(parts.known, truth[rows]))
    right = trial.known.table(mode)[rows][np.arange(len(rows)), column]
    return Coefficients(unknown, fit_enrolled(features, right, labels, unknown, mode))


def measure_scores(trial: Trial, openset: OpenSet, ours: Rows, others: Rows) -> dict[str, dict[str, float]]:
    """AUROC of every score for unknown artists, and what the served one calls unknown at one half."""
    rows = np.concatenate([ours, others])
    found: dict[str, Floats] = {}
    for mode in MODES:
        table = np.maximum(trial.known.table(mode)[rows], 1e-12)
        features = trial.features(mode, rows)
        found[f"{mode} probability"] = -table.max(axis=1)
        found[f"{mode} entropy"] = -(table * np.log(table)).sum(axis=1)
        found[f"{mode} combined"] = unknown_logits(features, openset.modes[mode].unknown)
        if mode != BOTH:
            found[f"{mode} prototype"] = -(features.near_image if mode == IMAGE else features.near_text)
    logits = trial.known.logits[rows]
    top = logits.max(axis=1, keepdims=True)
    found["image energy"] = -(np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0])
    found["combined"] = found.pop(f"{BOTH} combined")
    half = found["combined"] > 0
    return {
        "auroc": {
            name: round(auroc(score[len(ours) :], score[: len(ours)]), 4) for name, score in found.items()
        },
        "half": {
            "unknown artists called unknown": round(float(half[len(ours) :].mean()), 4),
            "known works called unknown": round(float(half[: len(ours)].mean()), 4),
        },
    }


def enrolled(trial: Trial, anew: Known, few_shot: Rows, openset: OpenSet, mode: str) -> dict[str, float]:
    """Accuracies of new artists and of known ones in a mode, all new artists enrolled at once."""
    parts, truth = trial.parts, trial.truth
    rows = np.concatenate([parts.test_known, parts.test_unknown])
    unknown_works = np.arange(len(rows)) >= len(parts.test_known)
    fused = trial.known.table(mode)[rows]
    features = trial.features(mode, rows, parts.test, few_shot)
    table = distribution(fused, features, openset.modes[mode])[:, :-1]
    table /= table.sum(axis=1, keepdims=True)  # none of these works is by somebody unknown
    artists = np.concatenate([parts.known, parts.test])
    order = np.argsort(artists)
    right = artists[table.argmax(axis=1)] == truth[rows]
    again = artists[order][anew.table(mode)[rows].argmax(axis=1)] == truth[rows]
    before = parts.known[fused.argmax(axis=1)] == truth[rows]
    mine, trained = float(right[unknown_works].mean()), float(again[unknown_works].mean())
    return {
        "enrolled": round(mine, 4),
        "trained": round(trained, 4),
        "share": round(mine / trained, 4) if trained else 0.0,
        "known before": round(float(before[~unknown_works].mean()), 4),
        "known after": round(float(right[~unknown_works].mean()), 4),
        "ece": round(calibration_error(table[:, order], np.searchsorted(artists[order], truth[rows])), 4),
    }
