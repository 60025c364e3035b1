"""Paper A's tables from drawn predictions, and what `lunula eval artist` prints and writes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.__main__ import app
from cli.evaluate.artist.plots import seriated
from evaluation.artist.folds import PredictionsError, write_folds
from evaluation.artist.label_entropy import combination
from evaluation.artist.metrics import accuracy, best_artists, macro_f1
from evaluation.artist.predictions import (
    PROBABILITIES,
    Predictions,
    RunOfModels,
    open_run,
    write,
    write_about,
)
from evaluation.artist.published import MODELS, SLICES, TRANSITIONS
from evaluation.artist.table import FIVE_TO_FIVE, LADDER, MAJORITY, RATIOS, ArtistTable, tabulate
from nails.artist.fusion import Pool, linear_pool, temper
from tests.artist_predictions import drawn_folds, drawn_run

# All that is fitted here is by hand: the pool undoes what the drawn models boast.
POOL = Pool(1 / 1.6, 1 / 0.7)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunOfModels:
    folder = tmp_path_factory.mktemp("run")
    folds = drawn_folds(artists=8, each=25, seed=4)
    made = open_run(drawn_run(folder, folds))
    for outer in range(5):
        image, text = made.read("image", outer), made.read("text", outer)
        fusions = {name: linear_pool(image.test, text.test, float(name[-3:])) for name in RATIOS}
        fusions["loglinear"] = POOL(image.test, text.test)
        fusions["loglinear-calibrated"] = fusions[LADDER] = temper(fusions["loglinear"], 0.9)
        for name, table in fusions.items():
            predictions = Predictions(folds.artists, image.test_ids, np.asarray(table, np.float32))
            write(folder, name, outer, predictions, folds, kind=PROBABILITIES)
            write_about(folder, name, kind=PROBABILITIES, what=f"drawn {name}", by_outer_fold={})
    return made


@pytest.fixture(scope="module")
def table(run: RunOfModels) -> ArtistTable:
    return tabulate(run)


def test_every_work_is_counted_once(run: RunOfModels, table: ArtistTable) -> None:
    assert sorted(table.ids) == sorted(work.id for work in run.folds.works)
    artist_of = {work.id: work.artist for work in run.folds.works}
    assert [table.artists[place] for place in table.truth] == [artist_of[name] for name in table.ids]


def test_pooled_and_averaged_figures_are_those_of_the_tables(run: RunOfModels, table: ArtistTable) -> None:
    row = table.row("image")
    assert row is not None
    truths = [run.folds.truth(run.folds.tested(outer)) for outer in range(5)]
    parts = [run.read("image", outer) for outer in range(5)]
    answers = [best_artists(part.test) for part in parts]
    assert row.pooled.accuracy == accuracy(np.concatenate(truths), np.concatenate(answers))
    assert row.pooled.micro == pytest.approx(row.pooled.accuracy)
    macros = [macro_f1(*pair) for pair in zip(truths, answers, strict=True)]
    assert row.folds.macro == pytest.approx(np.mean(macros))
    single = [
        accuracy(truth, best_artists(each))
        for truth, part in zip(truths, parts, strict=True)
        if part.test_each is not None
        for each in part.test_each
    ]
    assert len(single) == 25
    assert row.singles is not None
    assert row.singles.accuracy == pytest.approx(np.mean(single))
    assert row.singles.accuracy < row.pooled.accuracy  # five are better than one


def test_rows_stand_where_they_belong(table: ArtistTable) -> None:
    assert [row.name for row in table.singles] == ["image", "text", "labels", "knn_image", "knn_text"]
    assert [row.name for row in table.ratios] == list(RATIOS)
    assert [row.name for row in table.rungs] == [FIVE_TO_FIVE, "loglinear", LADDER]
    assert table.calibrated(table.rungs[1]) is table.row("loglinear-calibrated")
    assert table.calibrated(table.rungs[-1]) is table.rungs[-1]


def test_scores_have_no_calibration_error(table: ArtistTable) -> None:
    for name, known in (("knn_image", False), ("image", True)):
        row = table.row(name)
        assert row is not None
        assert (row.calibration_error is not None) == (row.loss is not None) == known


def test_no_ratio_loses_a_work_that_both_get_right(table: ArtistTable) -> None:
    for name in (*RATIOS, "loglinear"):
        found = table.transitions(name)
        assert found is not None
        assert found.both_right > 20
        assert found.both_right_lost == 0


def test_a_transition_table_adds_up_to_the_accuracies(table: ArtistTable) -> None:
    found = table.transitions(FIVE_TO_FIVE)
    assert found is not None
    for name in ("image", "text"):
        row, step = table.row(name), found.step(name)
        assert row is not None
        assert (step["T → T"] + step["T → F"]) / found.works == pytest.approx(row.pooled.accuracy)
    assert table.transitions("rerank") is None


def test_the_pool_is_found_to_be_better_than_five_to_five(table: ArtistTable) -> None:
    gains = {gain.name: gain for gain in table.gains(samples=400)}
    assert set(gains) == {"loglinear", LADDER}
    for gain in gains.values():
        assert gain.accuracy.low > 0
        assert gain.macro.low > 0


def test_slices_keep_what_is_strictly_below_and_the_majority_knows_the_training_part_only(
    run: RunOfModels, table: ArtistTable
) -> None:
    slices = table.slices(run)
    assert [item.threshold for item in slices] == [None, 5, 4, 3, 2, 1]
    assert slices[0].works == len(table.truth)
    assert all(after.works <= before.works for before, after in pairwise(slices))
    narrow = slices[-2]  # eight artists by four labels: below ln 8, above 1
    assert 0 < narrow.works < len(table.truth)
    assert narrow.fewest <= narrow.works / narrow.artists <= narrow.most
    expected = 0
    for outer in range(5):
        counts: dict[frozenset[str], dict[str, int]] = {}
        for work in run.folds.trained(outer):
            own = counts.setdefault(combination(work.labels or {}), {})
            own[work.artist] = own.get(work.artist, 0) + 1
        for work in run.folds.tested(outer):
            own = counts.get(combination(work.labels or {}), {})
            expected += bool(own) and min(own, key=lambda name: (-own[name], name)) == work.artist
    assert slices[0].figures[MAJORITY].accuracy == pytest.approx(expected / len(table.truth), abs=0.01)


def test_confusions_are_counted(table: ArtistTable) -> None:
    row = table.row("image")
    assert row is not None
    pairs = table.confused("image", most=1000)
    assert sum(count for *_, count in pairs) == np.sum(row.answers != table.truth)
    assert [count for *_, count in pairs] == sorted((count for *_, count in pairs), reverse=True)
    assert all(artist != other for artist, other, _ in pairs)


def test_artists_that_are_confused_stand_side_by_side() -> None:
    order = np.random.default_rng(0).permutation(12)
    shares = np.eye(12)
    for pair in range(6):  # 0 with 1, 2 with 3, …, under a shuffled numbering
        a, b = order[2 * pair], order[2 * pair + 1]
        shares[a, b] = shares[b, a] = 0.5
    places = np.argsort(seriated(shares))
    assert all(abs(places[order[2 * p]] - places[order[2 * p + 1]]) == 1 for p in range(6))


def test_the_papers_figures_agree_with_its_own_counts() -> None:
    works = 109_685
    for modality, counts in TRANSITIONS.items():
        assert sum(counts.values()) == works
        before = (counts["T → T"] + counts["T → F"]) / works
        assert before == pytest.approx(MODELS[modality][0], abs=7e-4)  # .7965 beside .7959
        assert (counts["T → T"] + counts["F → T"]) / works == pytest.approx(MODELS["5:5"][0], abs=5e-4)
    assert list(SLICES) == [5, 4, 3, 2, 1]


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["eval", "artist", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_every_table(run: RunOfModels) -> None:
    code, out, _ = invoke("--runs", str(run.folder), "--slices", "entropy", "--paper", "--samples", "100")
    assert code == 0
    for title in (
        "Single models",
        "Means of both",
        "The ladder",
        "before and after fusion",
        "entropy",
        "OTHER",
    ):
        assert title in out
    assert "photo : words" in out
    assert "0.9299" in out


def test_the_command_prints_json(run: RunOfModels) -> None:
    code, out, _ = invoke("--runs", str(run.folder), "--slices", "entropy", "--json", "--samples", "100")
    assert code == 0
    facts = json.loads(out)
    assert facts["works"] == len(run.folds.works)
    assert {row["row"] for row in facts["rows"]} == set(run.models)
    assert {item["name"] for item in facts["against 5:5"]} == {"loglinear", LADDER}
    assert facts["transitions"][FIVE_TO_FIVE]["both right lost"] == 0
    assert len(facts["slices"]) == 6


def test_the_command_writes_a_page_and_two_pictures(run: RunOfModels, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "artists.html"
    code, _, _ = invoke("--runs", str(run.folder), "--page", str(page), "--samples", "100")
    assert code == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 2
    assert "artist 03" in text
    for name in ("artists-reliability.png", "artists-confusion.png"):
        with Image.open(page.with_name(name)) as picture:
            assert np.asarray(picture).std() > 10  # something is drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--outer", "4"), "has 5 outer and 5 inner folds"),
        (("--slices", "colour"), "not one of entropy"),
        (("--log-base", "1"), "must be above 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run: RunOfModels, arguments: tuple[str, ...], message: str
) -> None:
    code, _, errors = invoke("--runs", str(run.folder), *arguments)
    assert code == 2
    assert message in " ".join(errors.split())


def test_fusions_of_different_predictions_are_pointed_out(run: RunOfModels) -> None:
    about = run.folder / "predictions" / LADDER / "about.json"
    before = about.read_text()
    about.write_text(json.dumps({**json.loads(before), "made_from": "other predictions"}))
    code, _, errors = invoke("--runs", str(run.folder), "--samples", "100")
    about.write_text(before)
    assert code == 0
    assert "made from different predictions" in " ".join(errors.split())
    _, _, errors = invoke("--runs", str(run.folder), "--samples", "100")
    assert "warning" not in errors


def test_runs_without_predictions_and_without_labels_are_refused(run: RunOfModels, tmp_path: Path) -> None:
    write_folds(tmp_path, run.folds)
    code, _, errors = invoke("--runs", str(tmp_path))
    assert code == 2
    assert "no predictions" in " ".join(errors.split())
    plain = replace(run.folds, works=tuple(replace(work, labels=None) for work in run.folds.works))
    write_folds(tmp_path, plain)
    (tmp_path / "predictions").symlink_to(run.folder / "predictions")
    bare = open_run(tmp_path)
    with pytest.raises(PredictionsError, match="no work has labels"):
        tabulate(bare).slices(bare)
