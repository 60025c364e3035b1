"""Folds and predictions are read as they were written, and every fault is named by file and field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.artist.folds import FILE, Folds, PredictionsError, read_folds, write_folds
from evaluation.artist.predictions import PROBABILITIES, SCORES, Predictions, open_run, write, write_about
from tests.artist_predictions import drawn_folds

FOLDS = drawn_folds(artists=3, each=10)


def drawn(folds: Folds = FOLDS, outer: int = 0, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    ones = np.ones(len(folds.artists))
    each = rng.dirichlet(ones, (folds.inner, len(folds.tested(outer)))).astype(np.float32)
    return Predictions(
        artists=folds.artists,
        test_ids=tuple(work.id for work in folds.tested(outer)),
        test=each.mean(axis=0),
        test_each=each,
        oof_ids=tuple(work.id for work in folds.trained(outer)),
        oof=rng.dirichlet(ones, len(folds.trained(outer))).astype(np.float32),
    )


def test_folds_are_read_as_they_were_written(tmp_path: Path) -> None:
    works = (replace(FOLDS.works[0], labels=None, image=False, artist="ネイルのミラ"), *FOLDS.works[1:])
    folds = replace(FOLDS, works=works)
    write_folds(tmp_path, folds)
    assert read_folds(tmp_path) == folds
    assert folds.artists == tuple(sorted({work.artist for work in works}))


def test_an_outer_fold_trains_on_what_it_does_not_test() -> None:
    tested, trained = FOLDS.tested(2), FOLDS.trained(2)
    assert {work.id for work in tested}.isdisjoint(work.id for work in trained)
    assert len(tested) + len(trained) == len(FOLDS.works)
    assert set(FOLDS.inner_folds(2).tolist()) == set(range(5))
    assert [FOLDS.artists[place] for place in FOLDS.truth(tested)] == [work.artist for work in tested]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"artist": ""}, r"works\['w00-000'\]: id and artist must not be empty"),
        ({"artist": 3}, r"works\['w00-000'\]\.artist: not a text"),
        ({"outer": 5}, r"outer is 5, not in 0 … 4"),
        ({"outer": True}, "outer: not a whole number"),
        ({"outer": None}, "outer: not a whole number"),
        ({"inner": [0, 1]}, "inner has 2 entries, not 5"),
        ({"inner": [None] * 5}, "must be null in outer fold"),
        ({"inner": 4}, "inner: not a list"),
        ({"characters": -1}, "characters is negative"),
        ({"image": "yes"}, "image: not true or false"),
        ({"labels": {"book": 1.5}}, r"labels\['book'\] is 1.5"),
        ({"labels": {"book": float("nan")}}, r"labels\['book'\] is nan"),
        ({"labels": {"book": "much"}}, r"labels\.book: not a number"),
        ({"colour": "red"}, "colour: unknown field"),
    ],
)
def test_a_fault_in_the_folds_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    write_folds(tmp_path, FOLDS)
    path = tmp_path / FILE
    stored = json.loads(path.read_text())
    stored["works"]["w00-000"] |= change
    path.write_text(json.dumps(stored))
    with pytest.raises(PredictionsError, match=message) as caught:
        read_folds(tmp_path)
    assert str(path) in str(caught.value)


def test_folds_that_are_no_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match="lunula train artist folds"):
        read_folds(tmp_path)
    for text, message in (
        ("{", "Expecting"),
        ("[]", "not a JSON object"),
        ('{"works": {}}', "seed: missing"),
    ):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(PredictionsError, match=message):
            read_folds(tmp_path)
    with pytest.raises(PredictionsError, match="twice"):
        replace(FOLDS, works=FOLDS.works + FOLDS.works[:1])
    with pytest.raises(PredictionsError, match="none is tested in outer fold 4"):
        replace(FOLDS, works=tuple(work for work in FOLDS.works if work.outer != 4))


def test_predictions_come_back_in_the_order_of_the_folds(tmp_path: Path) -> None:
    write_folds(tmp_path, FOLDS)
    table = drawn()
    turned = replace(
        table,
        test_ids=table.test_ids[::-1],
        test=table.test[::-1],
        test_each=table.test_each[:, ::-1],
        oof_ids=table.oof_ids[::-1],
        oof=table.oof[::-1],
    )
    write(tmp_path, "image", 0, turned, FOLDS, kind=PROBABILITIES)
    write_about(tmp_path, "image", kind=PROBABILITIES, what="drawn", seed=7)
    run = open_run(tmp_path)
    found = run.read("image", 0)
    assert run.models == ["image"]
    assert (run.about("image").what, run.about("image").more) == ("drawn", {"seed": 7})
    assert (found.test_ids, found.oof_ids) == (table.test_ids, table.oof_ids)
    assert found.test == pytest.approx(table.test, abs=1e-6)
    assert found.test_each == pytest.approx(table.test_each, abs=1e-6)
    assert found.oof == pytest.approx(table.oof, abs=1e-6)
    assert found.oof.sum(axis=1) == pytest.approx(np.ones(len(found.oof)), abs=1e-6)


def test_a_fusion_may_do_without_what_is_out_of_fold_and_a_row_may_be_empty(tmp_path: Path) -> None:
    write_folds(tmp_path, FOLDS)
    table = replace(drawn(), test_each=None, oof=None, oof_ids=())
    table.test[3] = 0
    write(tmp_path, "linear-0.5", 0, table, FOLDS, kind=PROBABILITIES)
    write_about(tmp_path, "linear-0.5", kind=PROBABILITIES, what="mean")
    found = open_run(tmp_path).read("linear-0.5", 0)
    assert found.oof is None
    assert found.test_each is None
    assert not found.test[3].any()


def test_scores_need_not_sum_to_one(tmp_path: Path) -> None:
    write_folds(tmp_path, FOLDS)
    table = replace(drawn(), test=-3 * drawn().test, test_each=None)
    write(tmp_path, "knn_image", 0, table, FOLDS, kind=SCORES)
    with pytest.raises(PredictionsError, match="negative probability"):
        write(tmp_path, "knn_image", 0, table, FOLDS, kind=PROBABILITIES)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("test", lambda a: a[:-1], r"test: float32 \[\d+, 3\], not float"),
        ("test", lambda a: a[:, :2], "test: float32"),
        ("test", lambda a: np.where(a == a.max(), np.nan, a), r"test: row \d+ is not finite"),
        ("test", lambda a: np.where(a == a.max(), np.inf, a), r"test: row \d+ is not finite"),
        ("test", lambda a: a * 0.9, r"test: row 0 sums to 0.9000, neither to 1 nor to 0"),
        ("test", lambda a: a - 0.5, "test: row 0 has a negative probability"),
        ("test", lambda a: a.astype(int), "test: int64"),
        ("test_each", lambda a: a[:3], "test_each: float32"),
        ("test_each", lambda a: a[:, :, ::-1], "not the mean of test_each"),
        ("oof", lambda a: a[1:], "oof: float32"),
        ("oof", None, "one without the other"),
        ("test", None, "test: missing"),
        ("artists", None, "artists: missing"),
        ("artists", lambda a: a[::-1], "artists: not the 3 artists of the folds, sorted"),
        ("artists", lambda a: np.arange(len(a)), "artists: int64"),
        ("test_ids", lambda a: np.roll(a, 1)[[0, 0, *range(2, len(a))]], "test_ids: an id is there twice"),
        ("test_ids", lambda a: np.where(a == a[0], "w99-999", a), "1 works are missing, such as"),
        ("oof_ids", lambda a: np.where(a == a[0], "w99-999", a), "oof_ids: 1 works are missing"),
    ],
)
def test_a_fault_in_predictions_is_named(tmp_path: Path, name: str, spoil: Any, message: str) -> None:
    write_folds(tmp_path, FOLDS)
    write(tmp_path, "image", 1, drawn(outer=1), FOLDS, kind=PROBABILITIES)
    write_about(tmp_path, "image", kind=PROBABILITIES, what="drawn")
    path = tmp_path / "predictions" / "image" / "outer-1.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    if spoil is None:
        del arrays[name]
    else:
        arrays[name] = spoil(arrays[name])
    np.savez(path, **arrays)
    with pytest.raises(PredictionsError, match=message) as caught:
        open_run(tmp_path).read("image", 1)
    assert str(path) in str(caught.value)


def test_works_of_another_fold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match=r"outer-1\.npz: test_ids: \d+ works are missing"):
        write(tmp_path, "image", 1, drawn(outer=0), FOLDS, kind=PROBABILITIES)
    with pytest.raises(PredictionsError, match="not in 0 … 4"):
        write(tmp_path, "image", 7, drawn(), FOLDS, kind=PROBABILITIES)


def test_a_missing_outer_fold_and_a_broken_file_are_named(tmp_path: Path) -> None:
    write_folds(tmp_path, FOLDS)
    write_about(tmp_path, "image", kind=PROBABILITIES, what="drawn")
    run = open_run(tmp_path)
    with pytest.raises(PredictionsError, match=r"outer-3\.npz: outer fold 3 of image is missing"):
        run.read("image", 3)
    (tmp_path / "predictions" / "image" / "outer-3.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(PredictionsError, match=r"outer-3\.npz"):
        run.read("image", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "about.json"), ("[]", "not a JSON object"), ('{"kind": "guesses"}', "kind: 'guesses'")],
)
def test_an_about_that_says_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_folds(tmp_path, FOLDS)
    write_about(tmp_path, "image", kind=PROBABILITIES, what="drawn")
    (tmp_path / "predictions" / "image" / "about.json").write_text(text)
    with pytest.raises(PredictionsError, match=message):
        open_run(tmp_path).about("image")
    with pytest.raises(PredictionsError, match="kind is 'guesses'"):
        write_about(tmp_path, "image", kind="guesses", what="drawn")
