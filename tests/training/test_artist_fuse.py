"""Fusions on made-up predictions: they beat 5:5, are calibrated, and never see their test data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightgbm", reason="only the training environment has LightGBM")

from evaluation.artist.folds import write_folds
from evaluation.artist.metrics import (
    accuracy,
    accuracy_difference,
    best_artists,
    calibration_error,
    macro_difference,
    negative_log_likelihood,
)
from evaluation.artist.predictions import RunOfModels, open_run
from nails.artist.fusion import Pool, temper
from nails.artist.ranking import Evidence
from tests.artist_predictions import drawn_folds, drawn_run
from training.artist.fusion import step
from training.artist.fusion.fitting import fit_pool, fit_ranker, fit_reach, fit_temperature
from training.artist.fusion.rules import fixed, ladder
from training.artist.fusion.trees import fit_trees
from training.artist.job import ArtistJob, FuseOptions
from training.kit.stepwise import StepError

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def fused(tmp_path_factory: pytest.TempPathFactory) -> RunOfModels:
    folder = tmp_path_factory.mktemp("run")
    run = drawn_run(folder, drawn_folds(artists=12, each=30, wordless=0.1))
    (folder / "works.jsonl").write_text("")
    step.run(ArtistJob(data=folder, out=run, command="lunula train artist fuse"))
    return open_run(run)


def pooled(run: RunOfModels, model: str) -> tuple[np.ndarray, np.ndarray]:
    tables = [run.read(model, outer).test for outer in range(run.folds.outer)]
    truth = [run.folds.truth(run.folds.tested(outer)) for outer in range(run.folds.outer)]
    return np.concatenate(tables), np.concatenate(truth)


@pytest.mark.parametrize("model", ["loglinear", "rerank", "rerank-trees", "ladder"])
def test_the_ladder_beats_five_to_five(fused: RunOfModels, model: str) -> None:
    ours, truth = pooled(fused, model)
    theirs, _ = pooled(fused, "linear-0.5")
    for difference in (accuracy_difference, macro_difference):
        found = difference(truth, best_artists(ours), best_artists(theirs), samples=500)
        assert found.mean > 0
        assert found.p_value < 0.05


def test_calibration_after_fusion_brings_the_error_down(fused: RunOfModels) -> None:
    for model in ("linear-0.5", "tempered"):
        before, truth = pooled(fused, model)
        after, _ = pooled(fused, f"{model}-calibrated")
        assert calibration_error(after, truth) < 0.6 * calibration_error(before, truth)
        assert negative_log_likelihood(after, truth) < negative_log_likelihood(before, truth)
        assert (best_artists(after) == best_artists(before)).all()


def test_the_nine_ratios_are_means_of_both_models(fused: RunOfModels) -> None:
    image, text = fused.read("image", 2).test, fused.read("text", 2).test
    both = text.any(axis=1)
    found = fused.read("linear-0.3", 2).test
    assert found[both] == pytest.approx((0.3 * image + 0.7 * text)[both], abs=1e-5)
    assert found[~both] == pytest.approx(image[~both], abs=1e-5)  # without words the photo speaks alone


def test_every_fusion_says_what_it_is_made_from(fused: RunOfModels) -> None:
    about = fused.about("ladder")
    assert set(about.more["by_outer_fold"]) == {"0", "1", "2", "3", "4"}
    assert all(fold["chosen"] in fused.models for fold in about.more["by_outer_fold"].values())
    assert {"made_from", "command", "seed"} <= set(about.more)


def test_labels_of_tested_works_change_no_prediction(fused: RunOfModels, tmp_path: Path) -> None:
    outer, rungs = 1, ladder(seed=7)
    sources = {name: name for name in ("image", "text", "knn_image", "knn_text")}
    before = step.fuse(step.gather(fused, outer, sources), rungs)
    # The tested works' artists in another order; all else, the predictions too, is as it was.
    folds = fused.folds
    names = [work.artist for work in folds.tested(outer)]
    shuffled = iter(np.random.default_rng(3).permutation(names).tolist())
    works = tuple(
        replace(work, artist=next(shuffled)) if work.outer == outer else work for work in folds.works
    )
    assert [work.artist for work in works] != [work.artist for work in folds.works]
    write_folds(tmp_path, replace(folds, works=works))
    (tmp_path / "predictions").symlink_to(fused.folder / "predictions")
    after = step.fuse(step.gather(open_run(tmp_path), outer, sources), rungs)
    assert before.keys() == after.keys()
    for name in before:
        assert np.array_equal(before[name].test, after[name].test), name


def test_a_second_run_of_the_step_writes_nothing(fused: RunOfModels) -> None:
    path = fused.folder / "predictions" / "ladder" / "outer-0.npz"
    written = path.stat().st_mtime_ns
    step.run(ArtistJob(data=fused.folder, out=fused.folder))
    assert path.stat().st_mtime_ns == written


def test_what_cannot_be_fused_is_said(fused: RunOfModels, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="no predictions of vgg16"):
        step.run(ArtistJob(data=fused.folder, out=fused.folder, fuse=FuseOptions(image="vgg16")))
    with pytest.raises(StepError, match="scores, not probabilities"):
        step.run(ArtistJob(data=fused.folder, out=fused.folder, fuse=FuseOptions(text="knn_text")))
    with pytest.raises(StepError, match=r"folds\.json"):
        step.run(ArtistJob(data=tmp_path, out=tmp_path))


def drawn_truth(table: np.ndarray, seed: int = 0) -> np.ndarray:
    """Labels sampled from the table's probabilities."""
    return (table.cumsum(axis=1) < np.random.default_rng(seed).random((len(table), 1))).sum(axis=1)


def test_the_temperature_that_spoilt_a_model_is_found() -> None:
    table = np.random.default_rng(0).dirichlet(np.full(8, 0.5), 4_000)
    labels = drawn_truth(table)
    assert fit_temperature(temper(table, 1 / 2.5), labels) == pytest.approx(2.5, rel=0.1)
    assert fit_temperature(temper(table, 3.0), labels) == pytest.approx(1 / 3, rel=0.1)


def test_the_powers_of_a_pool_are_found() -> None:
    rng = np.random.default_rng(1)
    image, text = (rng.dirichlet(np.full(8, 0.5), 6_000) for _ in range(2))
    labels = drawn_truth(Pool(0.4, 1.5)(image, text))
    found = fit_pool(image, text, labels)
    assert (found.image_power, found.text_power) == (
        pytest.approx(0.4, rel=0.15),
        pytest.approx(1.5, rel=0.1),
    )


def drawn_evidence(seed: int = 2, count: int = 3_000, artists: int = 14) -> Evidence:
    rng = np.random.default_rng(seed)
    image, text = (rng.dirichlet(np.full(artists, 0.3), count) for _ in range(2))
    near = rng.random((count, artists))
    return Evidence(
        image, text, np.full(artists, 1 / artists), rng.integers(5, 200, count), near, rng.random(near.shape)
    )


def test_a_ranker_finds_out_that_neighbours_tell() -> None:
    known = drawn_evidence()
    assert known.image_neighbours is not None
    tells = Pool(0.7, 0.7)(known.image, known.text) * np.exp(4 * known.image_neighbours)
    labels = drawn_truth(tells / tells.sum(axis=1, keepdims=True))
    pool = fit_pool(known.image, known.text, labels)
    ranker = fit_ranker(known, labels, pool)
    assert ranker.weights["neighbours image"] > 1
    assert abs(ranker.weights["neighbours text"]) < 0.5
    better = negative_log_likelihood(ranker(known), labels)
    assert better < negative_log_likelihood(pool(known.image, known.text), labels) - 0.05


def test_trees_find_what_no_linear_score_can_and_stay_away_where_there_is_nothing() -> None:
    known = drawn_evidence(count=4_000)
    assert known.image_neighbours is not None
    pooled_table = Pool(0.7, 0.7)(known.image, known.text)
    unknown_works = pooled_table * np.exp(6 * (np.abs(known.image_neighbours - 0.5) < 0.15))
    for tells, gains in ((unknown_works, True), (pooled_table, False)):
        labels = drawn_truth(tells / tells.sum(axis=1, keepdims=True))
        ranker = fit_ranker(known, labels, fit_pool(known.image, known.text, labels))
        trees = fit_trees(known, labels, ranker)
        linear, boosted = (accuracy(labels, best_artists(rule(known))) for rule in (ranker, trees))
        assert (boosted > linear + 0.1) == gains


def test_reach_is_how_often_the_artist_is_a_candidate() -> None:
    known = drawn_evidence()
    labels = np.random.default_rng(5).integers(0, 14, 3_000)
    places = np.full((3_000, 10), -1)
    places[:, :5] = np.argsort(-known.image, axis=1)[:, :5]
    pool = Pool(1.0, 1.0)
    bias, slope = fit_reach(known, labels, pool, places)
    assert slope == pytest.approx(0, abs=0.15)  # whoever drew these labels knew nothing of the tables
    assert 1 / (1 + np.exp(-bias)) == pytest.approx(5 / 14, abs=0.08)


def test_a_ratio_is_fixed_whatever_it_is_shown() -> None:
    known = drawn_evidence(count=10)
    rule = fixed(0.2).fit(known, np.zeros(10, int), {})
    assert rule(known) == pytest.approx(0.2 * known.image + 0.8 * known.text, abs=1e-6)
