"""`make clean` removes what can be built again; data goes only when a person says so."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BUILT = [
    ".venv/bin/python",
    ".venv-train/bin/python",
    "lunula/type/v1/photo_pb2.py",
    "dist/lunula.whl",
    "reports/demo/index.html",
    "triton_models/text_encode/1/model.onnx",
    ".lunula/triton/stamp",
    ".mypy_cache/3.11/cache.json",
    "nails/__pycache__/fusion.pyc",
]
DATA = [
    ".lunula/state/milvus.db/catalogue",
    ".lunula/state/photos/0a/0a1b.jpg",
    ".lunula/milvus.db/catalogue",
    ".lunula/blobs/0a1b.jpg",
    "runs/design/checkpoint.pt",
    "datasets/seg/images/000000.jpg",
]
SOURCES = ["nails/fusion.py", "triton_models/nail_seg/1/model.onnx", "triton_models/text_encode/model.toml"]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project's Makefile in a folder with something of everything that comes to lie beside it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "make", tmp_path / "make")
    (tmp_path / "protos").mkdir()
    for name in [*BUILT, *DATA, *SOURCES]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("content")
    return tmp_path


def make(folder: Path, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("CONFIRM", "MAKEFLAGS")}
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=environment,
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def missing(folder: Path, names: list[str]) -> list[str]:
    return [name for name in names if not (folder / name).exists()]


def test_clean_removes_what_was_built_and_nothing_else(checkout: Path) -> None:
    result = make(checkout, "clean")
    assert result.returncode == 0, result.stderr
    assert missing(checkout, BUILT) == BUILT
    assert missing(checkout, [*DATA, *SOURCES]) == []


def test_clean_in_a_fresh_checkout_has_nothing_to_do(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "protos").mkdir()
    assert make(tmp_path, "clean").returncode == 0


def test_data_is_never_deleted_where_nobody_can_answer(checkout: Path) -> None:
    result = make(checkout, "clean-data")
    assert result.returncode != 0
    assert "CONFIRM=yes" in result.stderr
    assert missing(checkout, [*BUILT, *DATA, *SOURCES]) == []


@pytest.mark.parametrize("answer", ["no", "y", ""])
def test_data_stays_unless_yes_is_typed(checkout: Path, answer: str) -> None:
    result = _make_in_a_terminal(checkout, answer)
    assert "Nothing was deleted." in result.stdout
    assert missing(checkout, DATA) == []


def test_data_is_deleted_when_yes_is_typed(checkout: Path) -> None:
    _make_in_a_terminal(checkout, "yes")
    assert missing(checkout, DATA) == DATA
    assert missing(checkout, SOURCES) == []


def test_data_is_deleted_when_a_script_confirms(checkout: Path) -> None:
    assert make(checkout, "clean-data", "CONFIRM=yes").returncode == 0
    assert missing(checkout, DATA) == DATA


def _make_in_a_terminal(folder: Path, answer: str) -> subprocess.CompletedProcess[str]:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        return make(folder, "clean-data", stdin=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
