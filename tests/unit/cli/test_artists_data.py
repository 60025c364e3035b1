"""`lunula data artists` and `lunula train artist`: what is counted, what is wrong, what is passed on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.workbench import train


def catalogue(folder: Path, **change: object) -> Path:
    (folder / "a.jpg").write_bytes(b"a photo")
    works = [
        {"id": str(n), "image": "a.jpg" if n % 2 else "", "title": "Nails", "description": "x" * n,
         "artist": "mira" if n < 12 else "[bold]saki"} | (change if n == 3 else {})
        for n in range(16)
    ]  # fmt: skip
    (folder / "works.jsonl").write_text("".join(json.dumps(work) + "\n" for work in works))
    return folder


def test_a_valid_catalogue_is_counted(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["data", "artists", "check", str(catalogue(tmp_path, lang="ja"))])
    assert ended.exit_code == 0
    message = " ".join(ended.output.replace("│", " ").split())
    for words in (
        "works 16",
        "artists 2",
        "4 to 12, 8.0 on average",
        "with a photo 8",
        "without a photo 8",
        "with words 16",
        "not given 15, ja 1",
        "1 artists have fewer than 10 works",
    ):
        assert words in message


def test_faults_are_listed_by_file_line_and_field(tmp_path: Path) -> None:
    folder = catalogue(tmp_path, image="../b.jpg")
    ended = CliRunner().invoke(app, ["data", "artists", "check", str(folder)])
    assert ended.exit_code == 2
    assert f"{folder / 'works.jsonl'}:4: image: '../b.jpg' lies outside the folder" in ended.stderr


def test_a_folder_without_works_is_an_error(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["data", "artists", "check", str(tmp_path)])
    assert ended.exit_code == 2 and "no such file" in ended.stderr


@pytest.mark.parametrize(
    ("command", "module", "passed_on"),
    [
        (
            ["data", "artists", "from-synth", "D", "--words", "5"],
            "training.synth.works",
            ["D", "--words", "5"],
        ),
        (["train", "artist", "folds", "--out", "R"], "training.artist", ["folds", "--out", "R"]),
        (["train", "artist", "--help"], "training.artist", ["--help"]),
    ],
)
def test_a_command_reaches_its_program(
    monkeypatch: pytest.MonkeyPatch, command: list[str], module: str, passed_on: list[str]
) -> None:
    started: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        assert not check
        started.append(words)
        return subprocess.CompletedProcess(words, 2)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(train, "trainer", lambda: Path(sys.executable))
    assert CliRunner().invoke(app, command).exit_code == 2
    assert started == [[sys.executable, "-m", module, *passed_on]]


def test_without_torch_training_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "trainer", lambda: None)
    ended = CliRunner().invoke(app, ["train", "artist", "folds"])
    assert ended.exit_code == 1 and "there is no torch here" in ended.stderr
