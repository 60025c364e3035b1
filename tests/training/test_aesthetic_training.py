"""The steps of `lunula train aesthetic` on a small folder: what they learn, leave behind and refuse."""

from __future__ import annotations

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from evaluation.aesthetic.metrics import spearman
from evaluation.aesthetic.predictions import read
from nails.aesthetic.tokens import Packing
from tests.training.rated_photos import write_features, write_rated
from training.aesthetic import features, train_step
from training.aesthetic.__main__ import main
from training.aesthetic.export import fit_percentiles
from training.aesthetic.fitting import VARIANTS, Config, Inputs, answer, fit
from training.aesthetic.job import AestheticJob
from training.aesthetic.material import NONE, Material, read_material
from training.aesthetic.packing_step import repack, smallest
from training.aesthetic.probe_step import fit_ridge
from training.kit.export.model import run_onnx
from training.kit.stepwise import StepError

pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]
QUICK = ["runs=2", "epochs=1", "weight=1", "combine=mean", "retrained=1"]
SERVED = Path("triton_models")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(photos, a run with features)."""
    root = tmp_path_factory.mktemp("aesthetic")
    data = write_rated(root / "data")
    card = tomllib.loads((SERVED / "image_align" / "model.toml").read_text(encoding="utf-8"))
    return data, write_features(data, root / "run", card["model"]["weights_sha256"])


@pytest.fixture(scope="module")
def material(folders: tuple[Path, Path]) -> Material:
    data, out = folders
    return read_material(AestheticJob(data=data, out=out))


def lunula(folders: tuple[Path, Path], *steps: str, options: list[str] = QUICK) -> None:
    data, out = folders
    main([*steps, "--data", str(data), "--out", str(out), *(f"--{option}" for option in options)])


def test_what_depends_on_the_tag_is_learnt_with_tags_alone(material: Material) -> None:
    config = Config(epochs=12, groups=2, rate=2e-3, drop=0.1, grid=2)
    found = {}
    for variant in ("ours", "notext"):
        inputs = Inputs.of(material, variant, material.at(2))
        network = fit(variant, inputs, material.rows("train"), config)
        test = material.rows("test")
        found[variant] = spearman(
            answer(network, inputs, test, material.tags[test]).score, material.mos[test]
        )
        goth, office = material.names.index("goth"), material.names.index("office")
        own = material.tags[test]
        swapped = np.where(own == goth, office, np.where(own == office, goth, own))
        found[variant + " swapped"] = spearman(
            answer(network, inputs, test, swapped).score, material.mos[test]
        )
    assert found["ours"] > 0.7
    assert found["notext"] < 0.5
    assert found["ours swapped"] < 0  # the other tag likes the contrary
    assert found["notext swapped"] == pytest.approx(found["notext"])


def test_the_steps_leave_what_evaluation_and_services_read(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = folders
    models = tmp_path / "models"
    for name in ("image_align", "text_encode"):
        shutil.copytree(SERVED / name, models / name, ignore=shutil.ignore_patterns("*.onnx"))
    lunula(folders, "train", "packing", "export", options=[*QUICK, f"models={models}"])

    truth, variants = read(out)
    assert [variant.name for variant in variants] == list(VARIANTS)
    assert all(len(variant.runs) == 2 for variant in variants)
    by_name = {variant.name: variant.runs[0] for variant in variants}
    tagged = truth.tagged
    assert np.array_equal(by_name["literal"].score[tagged], by_name["literal"].wrong_score[tagged])
    assert np.array_equal(by_name["notext"].score[tagged], by_name["notext"].wrong_score[tagged])
    assert not np.array_equal(by_name["ours"].score[tagged], by_name["ours"].wrong_score[tagged])
    assert by_name["mse"].distribution is None and by_name["ours"].distribution is not None

    table = json.loads((out / "packing.json").read_text())["table"]
    assert [row["bytes"] for row in table if row["bits"] == 8] == [g * g * 322 for g in (7, 4, 3, 2, 1)]
    assert "bytes a photo" in capsys.readouterr().out

    card = tomllib.loads((models / "aesthetic" / "model.toml").read_text(encoding="utf-8"))
    packing = Packing.of(card["parameters"])
    assert packing.grid > 1
    assert float(card["parameters"]["width"]) > 0
    assert (
        card["parameters"]["image_align"]
        == tomllib.loads((models / "image_align" / "model.toml").read_text(encoding="utf-8"))["model"][
            "fingerprint"
        ]
    )
    weights = models / "aesthetic" / "1" / "model.onnx"
    assert weights.stat().st_size < 4e6

    rng = np.random.default_rng(1)
    for count, places in ((1, 1), (7, 2), (3, 8)):  # any number of photos and of tags
        feeds = {
            "tokens": rng.normal(0, 1, (count, packing.tokens, 320)).astype(np.float16),
            "align": rng.normal(0, 0.04, (count, 512)).astype(np.float32),
            "tag": rng.normal(0, 0.04, (count, places, 512)).astype(np.float32),
            "tag_mask": np.ones((count, places), np.float32),
        }
        answers = run_onnx(weights, feeds)
        assert answers["score"].shape == (count, 1) and answers["distribution"].shape == (count, 10)
        assert np.allclose(answers["distribution"].sum(axis=1), 1, atol=1e-5)
        alone = run_onnx(weights, {name: value[:1] for name, value in feeds.items()})
        assert np.allclose(alone["score"], answers["score"][:1], atol=1e-4)


def test_a_run_that_is_there_is_passed_over(folders: tuple[Path, Path]) -> None:
    data, out = folders
    options = ["runs=1", "epochs=1", "weight=1", "combine=mean", "variants=mse,regression"]
    lunula(folders, "train", options=options)
    path = train_step.model_path(out, "mse", 1)
    before = path.stat().st_mtime_ns
    path.with_name("run-2.pt").unlink(missing_ok=True)
    lunula(folders, "train", options=["runs=2", *options[1:]])
    assert path.stat().st_mtime_ns == before
    assert path.with_name("run-2.pt").exists()
    with pytest.raises(SystemExit):  # of other epochs: not to be mixed
        lunula(folders, "train", options=["epochs=2", *options[2:]])
    assert read_material(AestheticJob(data=data, out=out)).photos.source == "drawn"


def test_the_same_seed_gives_the_same_network(material: Material) -> None:
    config = replace(Config(), epochs=1, grid=1)
    inputs = Inputs.of(material, "ours", material.at(1))
    first, second = (fit("ours", inputs, material.rows("train"), config).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_choices_are_made_on_validation_photos(folders: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = folders
    shutil.copytree(out / "features", tmp_path / "features")
    shutil.copy(out / "words.npz", tmp_path)
    options = ["variants=ours", "runs=1", "epochs=1", "grid=1"]
    lunula((data, tmp_path), "train", options=options)
    choice = json.loads((tmp_path / "choice.json").read_text())
    assert list(choice["weight"]) == ["0.1", "0.5", "1", "2", "5"]
    about = json.loads((tmp_path / "predictions" / "ours" / "about.json").read_text())
    best = max(choice["weight"], key=lambda name: choice["weight"][name]["srcc"])
    assert about["settings"]["weight"] == float(best)


def test_features_are_those_of_the_served_model(tmp_path: Path) -> None:
    data = write_rated(tmp_path / "data", count=12)
    job = AestheticJob(data=data, out=tmp_path / "run")
    features.run(job)
    found = read_material(job)
    assert found.tokens.shape == (12, 49, 320) and found.pooled.shape == (12, 1280)
    assert np.allclose(np.linalg.norm(found.align, axis=1), 1, atol=1e-5)
    assert found.words.shape == (2, 3, 512)
    assert np.nanmax(np.abs(found.likeness)) <= 1
    assert np.array_equal(np.isnan(found.likeness), found.tags == NONE)


def test_a_probe_reads_off_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (600, 40))
    rows = [np.arange(0, 400), np.arange(400, 500), np.arange(500, 600)]
    assert fit_ridge(values, values[:, 3] - 2 * values[:, 7], rows) > 0.99
    assert abs(fit_ridge(values, rng.normal(0, 1, 600), rows)) < 0.35


def test_fewest_bytes_within_what_may_be_lost() -> None:
    def row(grid: int, bits: int, size: int, srcc: float) -> dict[str, object]:
        return {"grid": grid, "bits": bits, "bytes": size, "val": {"retrained": [srcc, srcc]}}

    table = [row(7, 16, 31360, 0.60), row(4, 8, 5152, 0.595), row(2, 8, 1288, 0.591), row(1, 8, 322, 0.60)]
    assert smallest(table) == {"grid": 2, "bits": 8, "bytes": 1288}  # a single key hears no question
    table[2] = row(2, 8, 1288, 0.589)
    assert smallest(table) == {"grid": 4, "bits": 8, "bytes": 5152}


def test_tokens_come_back_from_bytes(material: Material) -> None:
    back = repack(material.tokens[:3], Packing(4, 8))
    assert back.shape == (3, 16, 320)
    assert np.abs(back.astype(np.float32) - material.at(4)[:3].astype(np.float32)).max() < 0.03


def test_a_percentile_is_about_the_share_that_scores_lower() -> None:
    scores = np.random.default_rng(0).logistic(5.2, 0.3, 4000).astype(np.float32)
    middle, width = fit_percentiles(scores)
    assert middle == pytest.approx(5.2, abs=0.03) and width == pytest.approx(0.3, abs=0.02)
    with pytest.raises(StepError, match="same score"):
        fit_percentiles(np.full(5, 5.0, np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["variants=ours,theirs"], "'theirs' is none of regression"),
        (["runs=0"], "0 is not a whole number from 1"),
        (["grid=5"], "invalid choice '5'"),
        (["weight=3"], "invalid choice '3'"),
        (["combine=most"], "invalid choice 'most'"),
        (["ava.rule=official"], "rule is AVA's"),
    ],
)
def test_bad_options_are_said(
    folders: tuple[Path, Path], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        lunula(folders, "train", options=options)
    assert ended.value.code == 2
    words = " ".join(capsys.readouterr().err.replace("│", " ").split())  # tyro draws a box and wraps
    assert message in words


def test_missing_features_name_their_step(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        lunula((folders[0], tmp_path), "train")
    assert "do the step features first" in capsys.readouterr().err
