"""What the commands answer when there is nothing to talk to, or nothing to understand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from training.synth import write

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "up",
    "demo",
    "doctor",
    "index",
    "search",
    "crop",
    "identify",
    "aesthetic",
    "artists",
    "models",
    "data",
    "train",
    "eval",
]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "160", "TERM": "dumb"},
        check=False,
    )


def test_help_lists_every_command() -> None:
    text = run("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = run(command, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout


def test_an_unavailable_service_is_a_clear_error() -> None:
    result = run("search", "red nails", "--rank", "127.0.0.1:1")
    assert result.returncode == 1
    assert "UNAVAILABLE" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["search", "x", "--palette", "red"], "not a colour"),
        (["search", "x", "--where", "nonsense"], "not a filter"),
        (["search", "x", "--weights", "luck=1"], "unknown channel"),
        (["index", "no/such/folder"], "no such file or folder"),
        (["crop", "no-such-photo.jpg"], "No such file"),
        (["crop", "a/x.jpg", "b/x.jpg"], "would overwrite"),
        (["eval", "retrieval", "--data", "no/such/folder"], "no such file"),
        (["eval", "segmentation", "--data", "no/such/folder"], "no such folder"),
        (["eval", "segmentation", "--data", "sample"], "no folder masks/"),
        (["eval", "segmentation", "--data", "sample", "--by", "luck"], "cannot group by"),
        (["data", "sheet", "--beside", "no/such/folder"], "no photo in"),
        (["data", "sheet", "--out", "sheet.txt"], "a .png or .jpg file"),
    ],
)
def test_invalid_arguments_are_reported_before_any_call(arguments: list[str], complaint: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_text_like_markup_is_shown_as_it_is() -> None:
    result = run("search", "red [/foo] nails", "--rank", "127.0.0.1:1")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_a_state_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("up", "--state", str(tmp_path / "file" / "state"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_the_model_list_is_whole() -> None:
    result = run("models", "list")
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("nail_seg", "hand_detect", "hand_pose", "image_align", "image_style", "text_encode"):
        assert name in result.stdout
    assert run("models", "show", "nail_seg").returncode == 0
    assert run("models", "show", "nonsense").returncode == 1


def test_the_doctor_finds_a_healthy_installation() -> None:
    result = run("doctor")
    assert result.returncode == 0, result.stdout


def test_segmentation_is_measured_without_a_service_and_shown_on_a_page(tmp_path: Path) -> None:
    data, page = tmp_path / "drawn", tmp_path / "pages" / "seg.html"
    write(data, 3, 11, "segmentation", workers=1, size=256, progress=False)
    result = run("eval", "segmentation", "--data", str(data), "--json", "--by", "tone", "--page", str(page))
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["photos"] == 3 and 0 <= facts["mean_iou"] <= facts["mean_dice"] <= 1
    assert sum(group["photos"] for group in facts["by_tone"]) <= 3
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 3 * 3
    assert "http" not in text
    table = run("eval", "segmentation", "--data", str(data))
    assert "mean IoU" in table.stdout and f"{facts['mean_iou']:.3f}" in table.stdout


def test_labels_without_a_listing_cannot_be_grouped(tmp_path: Path) -> None:
    write(tmp_path, 1, 11, "segmentation", workers=1, size=128, progress=False)
    (tmp_path / "index.jsonl").unlink()
    result = run("eval", "segmentation", "--data", str(tmp_path), "--by", "tone")
    assert result.returncode == 2
    assert "nothing is known to group by" in result.stderr
