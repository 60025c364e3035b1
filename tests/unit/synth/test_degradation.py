"""A series from bad to good: one set in one scene, cared for more and more."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from training.synth.degradation import LISTING, main, make_series, render_series, write
from training.synth.kinds.aesthetics import TAGS, score_design


def sharpness(image: np.ndarray) -> float:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.5), cv2.CV_64F).var())


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_gets_less_and_the_taste_of_people_better(seed: int) -> None:
    series = make_series(seed, 5)
    scores = [score_design(series.design, craft, series.tags)[1] for craft in series.steps]
    assert scores == sorted(scores)
    assert scores[-1] - scores[0] > 1
    right = series.steps[-1]
    for name in ("mess", "blur", "haze"):
        faults = [asdict(craft)[name] for craft in series.steps]
        assert faults == sorted(faults, reverse=True)
        assert faults[-1] == 0
    wrong = [abs(craft.stops - right.stops) for craft in series.steps]
    assert wrong == sorted(wrong, reverse=True)
    assert right.stops == pytest.approx(np.mean([tag.stops for tag in series.tags]) if series.tags else 0)


def test_all_steps_show_the_same_scene() -> None:
    series = make_series(7, 3)
    samples = list(render_series(series, 128))
    assert len(samples) == 3
    for sample in samples[:-1]:
        np.testing.assert_array_equal(sample.mask, samples[-1].mask)
        np.testing.assert_array_equal(sample.hands, samples[-1].hands)
    assert sharpness(samples[0].image) < sharpness(samples[-1].image)


def test_a_wanted_tag_is_among_those_of_the_set() -> None:
    for seed in range(5):
        assert "natural" in {tag.name for tag in make_series(seed, 2, "natural").tags}
    with pytest.raises(ValueError, match="unknown tag 'nature'"):
        make_series(0, 2, "nature")


def test_folders_hold_the_steps_and_the_listing_says_what_was_done(tmp_path: Path) -> None:
    listing = write(tmp_path / "out", n=2, steps=3, seed=5, size=64, workers=1)
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    assert [(line["id"], line["step"]) for line in lines] == [
        (name, step) for name in ("0000", "0001") for step in (1, 2, 3)
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1", "2", "3", LISTING]
    for line in lines:
        image = cv2.imread(str(tmp_path / "out" / line["image"]))
        assert image is not None
        assert max(image.shape) == 64
        assert set(line["tags"]) <= set(TAGS)


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        write(tmp_path / name, n=2, steps=2, seed=5, size=64, workers=workers)
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "1"], "steps is 1, not in 2 to 20"),
        (["--n", "0"], "n is 0"),
        (["--size", "32"], "size is 32"),
        (["--tag", "nature"], "unknown tag 'nature'"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(ValueError, match="holds something"):
        write(tmp_path, n=1, steps=2, seed=1, size=64, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_passes_on_to_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        started.append(words)
        assert not check
        return subprocess.CompletedProcess(words, 2)

    monkeypatch.setattr(subprocess, "run", run)
    ended = CliRunner().invoke(app, ["data", "degraded", "--n", "3", "--out", "x"])
    expected = [sys.executable, "-m", "training.synth.degradation", "--n", "3", "--out", "x"]
    assert started == [expected]
    assert ended.exit_code == 2
