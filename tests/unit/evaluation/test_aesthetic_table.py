"""The table of aesthetic scores from predictions whose quality is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.aesthetic.bootstrap import correlation_difference
from evaluation.aesthetic.metrics import pearson, spearman
from evaluation.aesthetic.predictions import AestheticsError, Truth, read, write_about
from evaluation.aesthetic.table import AestheticTable, tabulate
from tests.made_up_scores import made_up_run, made_up_truth, scored


@pytest.fixture(scope="module")
def truth() -> Truth:
    return made_up_truth()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, truth: Truth) -> Path:
    return made_up_run(tmp_path_factory.mktemp("run"), truth)


@pytest.fixture(scope="module")
def table(run: Path) -> AestheticTable:
    return tabulate(*read(run))


def test_what_is_written_is_read_and_in_the_papers_order(run: Path, truth: Truth) -> None:
    found, variants = read(run)
    assert [variant.name for variant in variants] == ["regression", "notext", "ours"]
    assert [[one.run for one in variant.runs] for variant in variants] == [[1, 2, 3]] * 3
    assert found.ids == truth.ids
    assert found.tags == truth.tags
    assert variants[0].runs[0].distribution is None
    expected = scored(truth, "ours", 0.4, 202, 2)
    np.testing.assert_array_equal(variants[2].runs[1].score, expected.score)
    np.testing.assert_array_equal(variants[2].runs[1].wrong_score, expected.wrong_score)


def test_cells_are_mean_and_deviation_over_runs(table: AestheticTable, truth: Truth) -> None:
    row = table.row("ours")
    assert row is not None
    each = [spearman(truth.mos, scored(truth, "ours", 0.4, 200 + number).score) for number in (1, 2, 3)]
    cell = row.cell("SRCC")
    assert cell is not None
    assert cell.mean == pytest.approx(np.mean(each))
    assert cell.deviation == pytest.approx(np.std(each, ddof=1))


def test_less_noise_is_better_in_every_figure(table: AestheticTable) -> None:
    rows = [table.row(name) for name in ("regression", "notext", "ours")]
    for figure, sign in (("MAE", -1), ("LCC", 1), ("SRCC", 1), ("KRCC", 1), ("pairs", 1), ("W1", -1)):
        means = [sign * row.cell(figure).mean for row in rows]  # type: ignore[union-attr]  # all are there
        assert means == sorted(means), figure


def test_a_variant_without_distributions_has_no_distance_of_them(table: AestheticTable) -> None:
    regression, ours = table.row("regression"), table.row("ours")
    assert regression is not None
    assert ours is not None
    assert regression.cell("EMD r=1") is None
    assert ours.cell("EMD r=1") is not None
    assert "EMD r=1" not in table.as_dict([])["rows"][0]["figures"]


def test_wrong_tags_cost_only_variants_that_read_tags(table: AestheticTable) -> None:
    ours, notext = table.row("ours"), table.row("notext")
    assert ours is not None
    assert notext is not None
    assert ours.controls["fall"] == pytest.approx([0.5] * 3, abs=0.1)
    assert (ours.controls["right"] > ours.controls["wrong"]).all()
    assert notext.controls["fall"].tolist() == [0, 0, 0]
    assert notext.controls["right"].tolist() == notext.controls["wrong"].tolist()


def test_ours_is_better_beyond_what_runs_and_photos_differ_by(table: AestheticTable) -> None:
    found = {(one.against, one.figure): one for one in table.differences(samples=300)}
    assert set(found) == {(a, f) for a in ("notext", "regression") for f in ("LCC", "SRCC", "MAE")}
    for (_, figure), one in found.items():
        assert one.verdict == "better"
        assert (one.difference.low > 0) != (figure == "MAE")
        assert one.difference.low < one.difference.mean < one.difference.high


def test_a_single_run_says_nothing_of_the_spread(tmp_path: Path, truth: Truth) -> None:
    table = tabulate(*read(made_up_run(tmp_path, truth, runs=1)))
    assert {one.verdict for one in table.differences(samples=100)} == {"unknown"}
    assert table.rows[0].cell("MAE").deviation is None  # type: ignore[union-attr]  # it has an MAE


def test_everything_is_reported_in_json(table: AestheticTable) -> None:
    found = json.loads(json.dumps(table.as_dict(table.differences(samples=100))))
    assert found["bins"] == {"width": 0.25, "from": 1.0, "to": 10.0, "epsilon": 1e-6}
    assert [row["row"] for row in found["rows"]] == ["regression", "notext", "ours"]
    assert 0 < found["constant MAE"] < 1


def test_photos_without_any_tag_have_no_controls(tmp_path: Path, truth: Truth) -> None:
    bare = Truth(truth.ids, truth.mos, truth.votes, ((),) * len(truth.ids), np.full_like(truth.mos, np.nan))
    table = tabulate(*read(made_up_run(tmp_path, bare, {"ours": 0.4})))
    assert table.similarity is None
    assert table.rows[0].cell("fall") is None
    assert table.rows[0].cell("pairs") is None
    assert table.rows[0].cell("SRCC") is not None


def test_the_bootstrap_is_that_of_drawn_lists() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=80).round(1)  # with ties
    ours, theirs = truth + rng.normal(size=(2, 80)).round(1), truth + rng.normal(size=(3, 80)).round(1)
    for name, measure in (("LCC", pearson), ("SRCC", spearman)):
        found = correlation_difference(name, truth, ours, theirs, samples=100, seed=4)
        weights = np.concatenate(
            [
                generator.multinomial(80, np.full(80, 1 / 80), size=100)
                for generator in [np.random.default_rng(4)]
            ]
        )
        drawn = []
        for counts in weights:
            picks = np.repeat(np.arange(80), counts)
            sides = [np.mean([measure(truth[picks], run[picks]) for run in runs]) for runs in (ours, theirs)]
            drawn.append(sides[0] - sides[1])
        assert found.low == pytest.approx(np.percentile(drawn, 2.5), abs=1e-9)
        assert found.high == pytest.approx(np.percentile(drawn, 97.5), abs=1e-9)


def stored(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("score", np.full(30, np.nan, np.float32), "score: not finite"),
        ("score", np.zeros(29, np.float32), "score: float32"),
        ("votes", np.zeros((30, 10), np.int32), "votes: a photo without votes"),
        ("mos", np.full(30, 5.0, np.float32), "mos: not the mean"),
        ("wrong_score", np.full(30, np.nan, np.float32), "wrong_score: photo .* has a tag but no number"),
        ("distribution", np.full((30, 10), 0.2, np.float32), "distribution: rows that are no shares"),
        ("ids", np.array(["000000"] * 30), "ids: an id is there twice"),
        ("tags", None, "tags: missing"),
    ],
)
def test_a_fault_is_named_by_file_and_field(
    tmp_path: Path, field: str, value: np.ndarray | None, message: str
) -> None:
    made_up_run(tmp_path, made_up_truth(30), {"ours": 0.4}, runs=1)
    path = tmp_path / "predictions" / "ours" / "run-1.npz"
    arrays = stored(path)
    del arrays[field]
    if value is not None:
        arrays[field] = value
    np.savez(path, **arrays)
    with pytest.raises(AestheticsError, match=rf"run-1\.npz: {message}"):
        read(tmp_path)


def test_runs_of_other_photos_do_not_stand_in_one_table(tmp_path: Path) -> None:
    made_up_run(tmp_path, made_up_truth(30), {"ours": 0.4}, runs=1)
    made_up_run(tmp_path, made_up_truth(30, seed=1), {"notext": 0.4}, runs=1)
    with pytest.raises(AestheticsError, match=r"ours/run-1\.npz: (tags|mos): not those of .*notext"):
        read(tmp_path)


def test_a_broken_file_and_an_empty_folder_are_reported(tmp_path: Path) -> None:
    with pytest.raises(AestheticsError, match="no predictions"):
        read(tmp_path)
    write_about(tmp_path, "ours", what="nothing")
    with pytest.raises(AestheticsError, match=r"no run-1\.npz"):
        read(tmp_path)
    (tmp_path / "predictions" / "ours" / "run-1.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(AestheticsError, match=r"run-1\.npz"):
        read(tmp_path)
