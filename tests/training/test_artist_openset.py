"""Unknown and few-shot artists: the fitting, and the whole step on made-up features of photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")
pytest.importorskip("fasttext", reason="needs the training environment")

from evaluation.artist.metrics import auroc
from evaluation.artist.works import Work
from nails.artist.openset import (
    BOTH,
    IMAGE,
    MODES,
    Coefficients,
    OpenSet,
    PrototypeCosines,
    joint_distribution,
)
from training.artist.fold_step import deal
from training.artist.job import ArtistJob
from training.artist.nested import Nest
from training.artist.openset import step as openset
from training.artist.openset import trial as openset_trial
from training.artist.openset.fitting import (
    OpensetFeatures,
    distribution,
    fit_enrolled,
    fit_unknown,
    unknown_logits,
)
from training.artist.openset.models import Material, space_vectors, unit
from training.artist.openset.trial import first_works, split
from training.kit.stepwise import StepError

pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]
ARTISTS, EACH = 20, 25


def made_up(seed: int = 0) -> Material:
    """Works of 20 artists: a photo is a noisy direction of theirs, a text has two of their five words."""
    rng = np.random.default_rng(seed)
    styles = rng.normal(size=(ARTISTS, 24))
    works, described = [], []
    for number in range(ARTISTS * EACH):
        artist = number % ARTISTS
        own = [f"w{artist}x{word}" for word in rng.permutation(5)[:2]]
        common = [f"common{word}" for word in rng.integers(0, 30, 4)]
        text = " ".join([*own, *common]) if number % 50 else ""
        works.append(
            Work(f"{number:04}", Path("x") if number % 60 else None, text, "", f"artist {artist:02}")
        )
        described.append(styles[artist] + rng.normal(size=(2, 24)) * 0.7)
    works = [
        work if work.image or work.title else Work(work.id, None, "common0", "", work.artist)
        for work in works
    ]
    folds = deal(works, seed=3)
    place = {artist: index for index, artist in enumerate(folds.artists)}
    nest = Nest(folds, tuple(works), np.array([place[work.artist] for work in works]), "digest")
    description = np.array(described, np.float16)
    photo = np.array([work.image is not None for work in works])
    description[~photo] = 0
    return Material(
        nest=nest,
        description=description,
        generic=unit(description[:, 0]),
        photo=photo,
        reader="words",
        lines=tuple(work.text.split() for work in works),
        texts=tuple(work.text for work in works),
    )


@pytest.fixture(scope="module")
def material() -> Material:
    return made_up()


def test_the_groups_of_artists_share_nobody_and_the_parts_no_work(material: Material) -> None:
    parts = split(material.nest, seed=1)
    groups = [set(parts.known), set(parts.validation), set(parts.test)]
    assert [len(group) for group in groups] == [12, 4, 4] and len(set.union(*groups)) == ARTISTS
    assert set(material.nest.truth[parts.train]) == groups[0]
    assert set(material.nest.truth[parts.test_unknown]) == groups[2]
    rows = [
        parts.train,
        parts.validation_known,
        parts.validation_unknown,
        parts.test_known,
        parts.test_unknown,
    ]
    assert len(np.unique(np.concatenate(rows))) == sum(map(len, rows))
    new = first_works(material.nest, parts.test, 10, 1)
    assert (np.bincount(material.nest.truth[new])[parts.test] == 10).all()
    assert not set(new) & set(np.concatenate(rows))


def test_too_few_artists_are_refused() -> None:
    works = [Work(f"{n}", None, "x", "", f"a{n % 4}") for n in range(40)]
    folds = deal(works, seed=0)
    with pytest.raises(StepError, match="10 artists"):
        split(Nest(folds, tuple(works), np.zeros(40, np.int64), ""), seed=0)


def features(count: int, seed: int = 0) -> tuple[OpensetFeatures, np.ndarray]:
    """Of works whose second half is by unknown artists, every other one of them of the few-shot artist 0."""
    rng = np.random.default_rng(seed)
    unknown_works = np.arange(count) >= count // 2
    labels = np.where(unknown_works, np.where(np.arange(count) % 2, 0, -1), -2)
    near = np.where(unknown_works, 0.3, 0.6) + rng.normal(0, 0.1, count)
    enrolled = rng.normal(0.1, 0.1, (count, 3))
    enrolled[labels == 0, 0] += 0.5
    best = np.clip(np.where(unknown_works, 0.4, 0.8) + rng.normal(0, 0.15, count), 0.05, 0.99)
    zeros = np.zeros(count)
    return OpensetFeatures(best, near, zeros, enrolled, np.zeros((count, 3))), labels


def test_features_together_find_unknown_artists_better_than_one_alone() -> None:
    found, labels = features(2000)
    unknown_works = labels > -2
    unknown = fit_unknown(found, unknown_works, IMAGE)
    assert unknown[3] == 0 and min(unknown[1:3]) > 0
    combined = unknown_logits(found, unknown)
    both = auroc(combined[unknown_works], combined[~unknown_works])
    for alone in (-found.best, -found.near_image):
        assert both > auroc(alone[unknown_works], alone[~unknown_works]) > 0.8


def test_the_fitted_distribution_knows_the_enrolled_and_is_the_one_that_is_served() -> None:
    found, labels = features(2000)
    unknown = fit_unknown(found, labels > -2, IMAGE)
    right = found.best
    numbers = Coefficients(unknown, fit_enrolled(found, right, labels, unknown, IMAGE))
    fused = np.stack([found.best, 1 - found.best], axis=1)
    table = distribution(fused, found, numbers)
    np.testing.assert_allclose(table.sum(axis=1), 1)
    answers = table.argmax(axis=1)
    assert (answers[labels == 0] == 2).mean() > 0.8  # behind the two trained ones
    assert (answers[labels == -2] < 2).mean() > 0.8
    for row in np.flatnonzero(found.best > 0.5)[[0, 1, -2, -1]]:
        near = PrototypeCosines(
            trained_image=np.array([found.near_image[row]]), enrolled_image=found.enrolled_image[row]
        )
        one = joint_distribution(fused[row], near, OpenSet(dict.fromkeys(MODES, numbers)), IMAGE)
        expected = [*one.trained, *one.enrolled, one.unknown]
        np.testing.assert_allclose(table[row], expected, rtol=1e-9)


def test_spaces_have_unit_rows_and_zeros_without_a_photo() -> None:
    rng = np.random.default_rng(0)
    generic = unit(rng.normal(size=(5, 6)))
    embedding = unit(rng.normal(size=(5, 4)))
    generic[2], embedding[2] = 0, 0
    for name in ("embedding", "features", "together"):
        found = space_vectors(name, embedding, generic, generic.mean(axis=0))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 0, 1, 1], atol=1e-6)


def test_the_whole_step_finds_unknown_artists_and_learns_few_shot_ones(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openset, "open_nest", lambda _: material.nest)
    monkeypatch.setattr(openset, "read_material", lambda *_: material)
    few = {**openset_trial.WORDS, "dim": 16, "bucket": 2_000, "thread": 12}  # small tables, as for export
    monkeypatch.setattr(openset_trial, "WORDS", few)
    job = ArtistJob(tmp_path, tmp_path, seed=5, command="a test")
    openset.run(job)
    found = json.loads((tmp_path / "openset.json").read_text(encoding="utf-8"))
    assert found["artists"] == {"known": 12, "validation": 4, "test": 4}
    assert found["auroc"]["test"]["combined"] > 0.9
    assert found["enrolment"][BOTH]["enrolled"] > 0.8
    for mode in MODES:
        figures = found["enrolment"][mode]
        # So few works teach a new head little, and nothing of artists with ten: there is no share of nothing.
        expected = figures["enrolled"] / figures["trained"] if figures["trained"] else 0
        assert figures["share"] == pytest.approx(expected, abs=1e-3)
        assert figures["known after"] <= figures["known before"] + 1e-9
    assert set(OpenSet.from_parameters(found["parameters"]).modes) == set(MODES)
    before = (tmp_path / "openset.json").stat().st_mtime_ns
    openset.run(job)  # what is there is passed over
    assert (tmp_path / "openset.json").stat().st_mtime_ns == before
