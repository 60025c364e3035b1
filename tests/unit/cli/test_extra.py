"""Commands that need no extra import none of its libraries; those that need it say so at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.evaluate import extra


def test_the_command_line_starts_without_the_libraries_of_the_extra() -> None:
    code = "import sys, cli.__main__; print(sorted({'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        ["artist", "--runs", "RUN"],
        ["aesthetic", "--runs", "RUN"],
        ["aesthetic-sweep", "DIR"],
        ["rerank", "--data", "DIR"],
    ],
)
def test_a_missing_library_is_named_with_its_extra_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "scipy" else object())
    ended = CliRunner().invoke(app, ["eval", *command])
    assert ended.exit_code == 1
    assert "needs scipy" in ended.stderr and "lunula[evaluate]" in ended.stderr
