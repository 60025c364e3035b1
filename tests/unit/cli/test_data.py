"""`lunula data`: passes on to the generator, a program of its own, and ends as it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli.__main__ import app


@pytest.mark.parametrize(
    ("command", "passed_on"),
    [
        (["synth", "--kind", "contexts", "--n", "5"], ["--kind", "contexts", "--n", "5"]),
        (["synth", "--help"], ["--help"]),
        (["sheet", "--kind", "designs", "--out", "x.png"], ["sheet", "--kind", "designs", "--out", "x.png"]),
        (["held-out"], ["held-out"]),
    ],
)
@pytest.mark.parametrize("code", [0, 2])
def test_a_command_reaches_the_generator_and_ends_with_its_code(
    monkeypatch: pytest.MonkeyPatch, command: list[str], passed_on: list[str], code: int
) -> None:
    started: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        started.append(words)
        assert not check
        return subprocess.CompletedProcess(words, code)

    monkeypatch.setattr(subprocess, "run", run)
    ended = CliRunner().invoke(app, ["data", *command])
    assert started == [[sys.executable, "-m", "training.synth", *passed_on]]
    assert ended.exit_code == code


def test_an_interrupted_command_shows_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: list[str], *, check: bool) -> None:
        raise KeyboardInterrupt(check)

    monkeypatch.setattr(subprocess, "run", run)
    ended = CliRunner().invoke(app, ["data", "synth", "--n", "5", "--out", "x"])
    assert ended.exit_code == 130
    assert ended.output == ""
