"""Folds, features and the base models of paper A through nested cross-validation."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from evaluation.artist.folds import read_folds
from evaluation.artist.predictions import open_run
from evaluation.artist.works import WorksError, read
from tests.training.artist_works import write_works
from training.artist import nested
from training.artist.__main__ import main
from training.artist.baselines.knn_step import nearest
from training.artist.baselines.label_step import combination
from training.artist.fold_step import deal
from training.artist.image.control_step import background_only
from training.artist.job import ArtistJob
from training.artist.nested import Task, cross_validate, open_nest
from training.artist.steps import STEPS
from training.artist.text.words import TfIdf, with_pairs
from training.kit.data import features
from training.kit.networks.backbone import EfficientNetLite0
from training.kit.networks.encoders import Encoders
from training.kit.stepwise import StepError, load_step

pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]
FACTS = [["main", "pattern", "dots"], ["accent", "pattern", "dots"], ["main", "part", "pearl"],
         ["main", "colour", "red"], ["main", "pattern", "plain"]]  # fmt: skip
QUICK = ("--image.epochs", "5", "--text.epochs", "5", "--vgg16.epochs", "5", "--trees.rounds", "3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_works(tmp_path_factory.mktemp("works") / "data")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("encoders") / "encoders.pt"
    model = Encoders(EfficientNetLite0(), len(FACTS))
    torch.save({"state": model.state_dict(), "facts": FACTS}, path)
    return path


@pytest.fixture(scope="module")
def run(data: Path, encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with folds and features."""
    out = tmp_path_factory.mktemp("run")
    steps(("folds", "features"), data, out, "--encoders", str(encoders))
    return out


def steps(names: tuple[str, ...], data: Path, out: Path, *more: str) -> None:
    main([*names, "--data", str(data), "--out", str(out), *QUICK, *more])


def right(out: Path, model: str) -> float:
    """Share of tested works that a model answers rightly; reading checks the form."""
    opened = open_run(out)
    found = []
    for outer in range(opened.folds.outer):
        table = opened.read(model, outer)
        assert table.oof is not None and table.test_each is not None
        found.append(table.test.argmax(axis=1) == opened.folds.truth(opened.folds.tested(outer)))
    return float(np.concatenate(found).mean())


def test_every_step_can_be_loaded() -> None:
    for name in STEPS:
        assert callable(load_step(STEPS, name))


def test_folds_are_stratified_of_one_size_and_fixed_by_the_seed(data: Path) -> None:
    works = read(data)
    folds = deal(works, seed=3)
    assert folds == deal(works, seed=3) != deal(works, seed=4)
    sizes = Counter(work.outer for work in folds.works)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    for artist in folds.artists:
        own = Counter(work.outer for work in folds.works if work.artist == artist)
        assert max(own.values()) - min(own.values()) <= 1 and len(own) == 5
    for outer in range(5):
        inner = Counter(folds.inner_folds(outer).tolist())
        assert max(inner.values()) - min(inner.values()) <= 1


def test_an_artist_with_one_work_is_named(data: Path) -> None:
    works = read(data)
    with pytest.raises(StepError, match=r"artist 'zoe' .* fewer than 2 works"):
        deal([*works, replace(works[0], id="new", artist="zoe")], seed=1)
    with pytest.raises(StepError, match="one artist only"):
        deal([work for work in works if work.artist == works[0].artist], seed=1)


def test_features_hold_every_work_and_zeros_where_there_is_no_photo(run: Path) -> None:
    folder = run / "features" / "compact"
    found = features.load(folder, ("description", "facts"), 48)
    assert found["description"].shape[:2] == (48, 2) and found["facts"].shape == (48, 2, len(FACTS))
    ids = [work.id for work in read_folds(run).works]
    blank = [index for index in range(48) if not found["description"][index].any()]
    assert [ids[index] for index in blank] == ["001"]
    assert np.isfinite(found["description"]).all()


def test_features_go_on_where_they_stopped_and_are_the_same(
    run: Path, data: Path, encoders: Path, tmp_path: Path
) -> None:
    before = features.load(run / "features" / "compact", ("style",), 48)["style"]
    steps(("folds", "features"), data, tmp_path, "--encoders", str(encoders), "--workers", "2")
    assert (features.load(tmp_path / "features" / "compact", ("style",), 48)["style"] == before).all()
    chunk = features.chunk_path(run / "features" / "compact", 0)
    changed = chunk.stat().st_mtime_ns
    steps(("features",), data, run, "--encoders", str(encoders))
    assert chunk.stat().st_mtime_ns == changed


def test_models_of_photos_words_and_neighbours_answer_in_the_agreed_form(run: Path, data: Path) -> None:
    steps(("text", "knn_image", "knn_text", "labels", "majority"), data, run, "--text.lr", "0.5")
    steps(("image",), data, run, "--image.epochs", "60")
    assert right(run, "text") > 0.9  # every artist has a word of her own
    assert right(run, "knn_text") > 0.9
    assert right(run, "image") > 0.5  # and a colour of her own
    assert right(run, "knn_image") >= 0  # the form alone: these encoders are not trained
    assert right(run, "labels") >= 0 and right(run, "majority") >= 0  # the form alone: no such thing is drawn
    opened = open_run(run)
    assert opened.about("image").kind == "probabilities" and "not fine-tuned" in opened.about("image").what
    assert opened.about("knn_image").kind == "scores"
    assert len(list((run / "models" / "image").glob("*.pt"))) == 25
    for model, silent in (("image", "001"), ("text", "002")):  # nothing to go by: a row of zeros
        outer = next(work.outer for work in opened.folds.works if work.id == silent)
        table = opened.read(model, outer)
        assert not table.test[table.test_ids.index(silent)].any()
    about = json.loads((run / "predictions" / "text" / "about.json").read_text("utf-8"))
    assert about["seed"] == 7 and "lunula train artist" in about["command"] and len(about["data"]) == 64
    assert all(work.labels is not None and "plain" not in work.labels for work in opened.folds.works)


def test_labels_that_works_bring_are_used_and_below_a_fifth_unseen(data: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (data / "works.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        number = line["artist"].removeprefix("artist ")
        line |= {"image": "", "title": "t", "labels": {f"thing {number}": 0.9, "other": 0.19}}
        line.pop("mask"), line.pop("hands_mask")
    (tmp_path / "works.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "run"
    steps(("folds", "labels", "majority"), tmp_path, out)
    assert right(out, "labels") == right(out, "majority") == 1
    opened = open_run(out)
    assert "labels of the works" in opened.about("majority").what
    table = opened.read("majority", 0)
    assert table.test.max() < 1  # the prior keeps a say


def test_the_pilots_answer_in_the_agreed_form(run: Path, data: Path) -> None:
    pytest.importorskip("gensim", reason="needs the training environment")
    steps(("text_tfidf", "text_w2v", "text_d2v"), data, run, "--trees.rounds", "40")
    # A quarter by chance. With so few works the L2 term lets trees learn little.
    assert right(run, "text_tfidf") > 0.4
    for model in ("text_w2v", "text_d2v"):
        assert right(run, model) >= 0.1


def test_the_control_sees_no_nail(run: Path, data: Path, encoders: Path) -> None:
    steps(("control",), data, run, "--encoders", str(encoders))
    assert right(run, "control") < 0.6  # grey noise behind all of them
    photo = np.full((50, 60, 3), 200, np.uint8)
    photo[20:30, 20:30] = 10
    hidden = np.zeros((50, 60), bool)
    hidden[20:30, 20:30] = True
    assert (background_only(photo, hidden) == 200).all()
    assert (background_only(photo, np.ones((50, 60), bool)) == 127).all()


def test_an_interrupted_model_goes_on_and_equals_one_that_was_not(data: Path, tmp_path: Path) -> None:
    job = ArtistJob(data=data, out=tmp_path, seed=7)
    load_step(STEPS, "folds")(job)
    nest = open_nest(job)
    asked: list[tuple[int, int]] = []

    def fit(task: Task, stop: tuple[int, int] | None = None) -> nested.Table:
        if (task.outer, task.inner) == stop:
            raise KeyboardInterrupt
        asked.append((task.outer, task.inner))
        table = np.random.default_rng(task.seed).random((len(task.queries), 4)).astype(np.float32)
        return table / table.sum(axis=1, keepdims=True)

    settings = {"a": 1}
    with pytest.raises(KeyboardInterrupt):
        cross_validate(job, nest, "m", lambda task: fit(task, (2, 3)), what="", settings=settings)
    assert not (tmp_path / "predictions" / "m" / "about.json").exists()
    cross_validate(job, nest, "m", fit, what="", settings=settings)
    assert sorted(asked) == [(outer, inner) for outer in range(5) for inner in range(5)]  # none twice
    cross_validate(job, nest, "whole", fit, what="", settings=settings)
    opened = open_run(tmp_path)
    for outer in range(5):
        one, other = opened.read("m", outer), opened.read("whole", outer)
        np.testing.assert_array_equal(one.test, other.test)
        np.testing.assert_array_equal(one.oof, other.oof)
    with pytest.raises(StepError, match="other data, seed or settings"):
        cross_validate(job, nest, "m", fit, what="", settings={"a": 2})


def test_a_model_never_sees_what_it_answers_for(data: Path, tmp_path: Path) -> None:
    job = ArtistJob(data=data, out=tmp_path)
    load_step(STEPS, "folds")(job)
    nest = open_nest(job)
    for outer in range(5):
        owned = []
        for inner in range(5):
            task = nest.task(outer, inner, 7)
            assert not set(task.train) & set(task.queries)
            assert len(task.train) + len(task.queries) == 48
            owned += task.own.tolist()
        assert sorted(owned) == nest.training(outer).tolist()


def test_neighbours_are_the_mean_of_the_five_nearest(data: Path, tmp_path: Path) -> None:
    job = ArtistJob(data=data, out=tmp_path)
    load_step(STEPS, "folds")(job)
    nest = open_nest(job)
    task = nest.task(0, 0, 7)
    vectors = np.random.default_rng(0).normal(size=(48, 8)).astype(np.float32)
    usable = np.arange(48) != task.queries[0]
    scores = nearest(nest, task, usable, lambda asked, known: vectors[asked] @ vectors[known].T)
    for place, row in enumerate(task.queries[1:], start=1):
        for artist in range(4):
            known = [other for other in task.train if nest.truth[other] == artist]
            best = sorted((float(vectors[row] @ vectors[other]) for other in known), reverse=True)[:5]
            assert scores[place, artist] == pytest.approx(np.mean(best), abs=1e-4)
    assert not scores[0].any()


def test_tf_idf_rows_have_length_one_and_unknown_words_say_nothing() -> None:
    texts = [["a", "b", "b"], ["a", "c"], []]
    weigh = TfIdf.learn(texts, top=2)
    assert set(weigh.place) == {"a", "b"}
    table = weigh([*texts, ["z"]]).toarray()
    np.testing.assert_allclose(np.linalg.norm(table, axis=1), [1, 1, 0, 0], atol=1e-6)
    assert table[0, weigh.place["b"]] > 2 * table[0, weigh.place["a"]] / 1.01  # rarer and twice
    assert with_pairs(["a", "b", "c"]) == ["a", "b", "c", "a b", "b c"]


def test_a_combination_of_labels_is_what_was_seen_and_none_is_one() -> None:
    assert combination({"a": 0.2, "b": 0.19}) == frozenset({"a"})
    assert combination({}) == frozenset()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dance",), "'dance' is none of folds, features"),
        ((), "'' is none of folds, features"),
        (("image",), "lunula train artist folds"),
        (("folds", "--folds.outer", "1"), "1 is not a whole number from 2 to 100"),
        (("folds", "--folds.outer"), "--folds.outer"),
        (("folds", "--device", "gpu"), "--device gpu: not a device"),
        (("folds", "--option", "outer=3"), "Unrecognized options"),
        (("fuse", "--fuse.members", "median"), "invalid choice 'median'"),
        (("export", "--export.texts", "six"), "invalid choice 'six'"),
        (("openset", "--openset.works", "65"), "65 is not a whole number from 1 to 64"),
        (("openset", "--openset.words", "letters"), "invalid choice 'letters'"),
        (("folds", "features"), "--encoders FILE"),
        (("folds", "text", "--text.epochs", "x"), "x is not numbers such as 1-3,7"),
        (("folds", "text", "--text.lr", "nan"), "nan is not a rate above 0"),
        (("folds", "vgg16"), "--vgg16.weights FOLDER"),
    ],
)
def test_what_cannot_be_done_says_what_is_missing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--data", str(data), "--out", str(tmp_path)])
    assert ended.value.code == 2
    words = " ".join(capsys.readouterr().err.replace("│", " ").split())  # tyro draws a box and wraps
    assert message in words


def test_a_photo_that_is_none_is_named(data: Path, tmp_path: Path) -> None:
    work = read(data)[0]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no photo")
    with pytest.raises(StepError, match=f"broken.jpg: the photo of work '{work.id}' cannot be read"):
        features.read_photo(replace(work, image=broken))


def test_works_that_are_not_those_of_the_folds_are_refused(run: Path, tmp_path: Path) -> None:
    work = {"id": "001", "image": "", "title": "one alone", "description": "", "artist": "artist 1"}
    (tmp_path / "works.jsonl").write_text(json.dumps(work) + "\n", encoding="utf-8")
    with pytest.raises(StepError, match="folds are of other works"):
        open_nest(ArtistJob(data=tmp_path, out=run))
    with pytest.raises(WorksError):
        open_nest(ArtistJob(data=tmp_path / "nowhere", out=run))
