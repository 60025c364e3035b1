"""The steps `labels` and `majority`: whose work it is by the things in the photo (SSD labels in paper A).

A label is as sure as its most confident sighting, 0 below 0.2. Where the works bring an object detector's
labels, these are used; where they bring none, the patterns and parts that the frozen compact encoders see on
the nails stand in for objects, and folds.json keeps them for the entropy of label combinations. `majority` is
the baseline: the artist who most often has a work's very combination of labels.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from evaluation.artist.folds import Folds, write_folds
from training.artist.baselines.trees import PARAMETERS, ask_trees, fit_trees
from training.artist.image import feature_step
from training.artist.job import ArtistJob
from training.artist.nested import Nest, Table, Task, cross_validate, open_nest
from training.kit.data import features

THRESHOLD: Final = 0.2  # paper A: below it a label was not seen
SEEN: Final = ("pattern", "part")
"""Kinds of facts that are things on the nails. Colour and finish are qualities of all of them."""
OWN, STAND_IN = "labels of the works", "patterns and parts that the compact encoders see (no object detector)"


def run(job: ArtistJob) -> None:
    """Writes RUN/predictions/labels."""
    rounds = job.trees.rounds
    nest, source = open_labelled(job)
    labels = [folded.labels or {} for folded in nest.folds.works]
    names = sorted({name for own in labels for name in own})
    inputs = np.zeros((len(labels), max(1, len(names))), np.float32)
    place = {name: column for column, name in enumerate(names)}
    for row, own in enumerate(labels):
        for name, confidence in own.items():
            inputs[row, place[name]] = confidence if confidence >= THRESHOLD else 0

    def fit(task: Task) -> Table:
        artists = len(nest.folds.artists)
        booster = fit_trees(inputs[task.train], nest.truth[task.train], artists, task.seed, rounds)
        return ask_trees(booster, inputs[task.queries])

    settings = {**PARAMETERS, "rounds": rounds, "labels": source}
    cross_validate(job, nest, "labels", fit, what=f"LightGBM on {source}", settings=settings)


def majority(job: ArtistJob) -> None:
    """Writes RUN/predictions/majority."""
    nest, source = open_labelled(job)
    combinations = [combination(folded.labels or {}) for folded in nest.folds.works]

    def fit(task: Task) -> Table:
        artists = len(nest.folds.artists)
        prior = np.bincount(nest.truth[task.train], minlength=artists) / len(task.train)
        counts: dict[frozenset[str], Table] = defaultdict(lambda: np.zeros(artists, np.float32))
        for row in task.train:
            counts[combinations[row]][nest.truth[row]] += 1
        # ties, and combinations that were never seen, go by how many works an artist has
        rows = [counts[combinations[row]] + prior for row in task.queries]
        return np.array([row / row.sum() for row in rows], np.float32)

    what = f"the artist who most often has this combination of labels ({source})"
    cross_validate(job, nest, "majority", fit, what=what, settings={"labels": source})


def combination(labels: Mapping[str, float]) -> frozenset[str]:
    """The labels that were seen; none is a combination too."""
    return frozenset(name for name, confidence in labels.items() if confidence >= THRESHOLD)


def open_labelled(job: ArtistJob) -> tuple[Nest, str]:
    """The folds with labels, and whose labels these are; folds without any get the encoders'."""
    nest = open_nest(job)
    if any(work.labels for work in nest.works):
        return nest, OWN
    if all(folded.labels is None for folded in nest.folds.works):
        folds = _with_facts(job, nest)
        write_folds(job.out, folds)
        nest = replace(nest, folds=folds)
    return nest, STAND_IN


def _with_facts(job: ArtistJob, nest: Nest) -> Folds:
    """Folds whose labels are the facts of SEEN, each as sure as on the nail where it is surest."""
    folder = job.out / feature_step.FOLDER / feature_step.NAME
    facts = features.load(folder, ("facts",), len(nest.works))["facts"][:, 0].astype(np.float32)
    names = [tuple(fact) for fact in json.loads((folder / "facts.json").read_text(encoding="utf-8"))]
    columns: dict[str, list[int]] = defaultdict(list)
    for column, (_, kind, value) in enumerate(names):
        if kind in SEEN and value != "plain":
            columns[value].append(column)
    works = []
    for row, folded in enumerate(nest.folds.works):
        sure = {name: round(float(facts[row, own].max()), 3) for name, own in sorted(columns.items())}
        seen = {name: min(value, 1.0) for name, value in sure.items() if value >= THRESHOLD}
        works.append(replace(folded, labels=seen))
    return replace(nest.folds, works=tuple(works))
