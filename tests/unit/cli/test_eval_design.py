"""`lunula eval design`, `eval errors`, `data nailstar` and `train design`, from the command line."""

from __future__ import annotations

import base64
import html
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from nails.photo.codec import encode_jpeg

COUNT = 40


def lunula(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty test photos, two of them very wide and very high, and two rows of two runs each."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "images").mkdir()
    lines = []
    for n in range(COUNT):
        size = {0: (40, 400), 1: (400, 40)}.get(n, (60, 80))
        photo = np.full((*size, 3), (6 * n, 90, 250 - 6 * n), np.uint8)
        (folder / "images" / f"{n}.jpg").write_bytes(encode_jpeg(photo, quality=90))
        targets = [f"p{n}", f"p{n + 1}"] if n % 2 == 0 else [f"p{n}"]
        line: dict[str, Any] = {
            "id": f"p{n}",
            "image": f"images/{n}.jpg",
            "split": "test",
            "request": f"<b>\"navy\" & 'gold'</b> {n}" if n < 4 else f"紺色 {n}",
            "lang": "en" if n < 20 else "ja",
            "palette": ["#102030", "#ffd700"],
            "targets": targets,
            "subset": "multi" if len(targets) > 1 else "single",
            "composition": n % 4 == 0,
        }
        if n < 8:
            line["binding"] = {"family": f"f{n // 4}", "case": "part", "member": n % 4}
        lines.append(json.dumps(line) + "\n")
    (folder / "nailstar.jsonl").write_text("".join(lines))
    for row, noise in (("cvfim", 3.0), ("ours", 0.5)):
        for seed in (1, 2):
            write_run(folder / "runs" / row / f"seed-{seed}", row, seed, noise)
    return folder


def write_run(folder: Path, row: str, seed: int, noise: float) -> None:
    rng = np.random.default_rng([seed, len(row)])
    designs = rng.normal(size=(COUNT, 16))
    queries = designs + noise * rng.normal(size=designs.shape)
    designs, queries = (np.float32(v / np.linalg.norm(v, axis=1, keepdims=True)) for v in (designs, queries))
    folder.mkdir(parents=True)
    ids = [f"p{n}" for n in range(COUNT)]
    np.savez(folder / "test.npz", query_ids=ids, queries=queries, design_ids=ids, designs=designs)
    about = {"row": row, "title": f"the row {row}", "seed": seed, "data": {"digest": "d"}}
    (folder / "run.json").write_text(json.dumps(about))


def test_the_tables_show_every_row_and_subset(bench: Path) -> None:
    ended = lunula("eval", "design", "--data", bench, "--runs", bench / "runs", "--samples", "100")
    assert ended.exit_code == 0, ended.output
    subsets = ["several targets (20", "one target (20", "Composition", "Requests in ja", "family hit@1"]
    for text in [*subsets, "the row cvfim", "hit@1", "cov@10", "better"]:
        assert text in ended.output, text
    assert "OTHER DATA" not in ended.output


def test_the_papers_figures_are_labelled_as_other_data(bench: Path) -> None:
    ended = lunula("eval", "design", "--data", bench, "--runs", bench / "runs", "--paper", "--metric", "hit")
    after = ended.output.split("OTHER DATA", 1)[1]
    assert "57.40" in after and "86.18" in after
    assert "cov@" not in ended.output


def test_json_has_means_deviations_and_steps(bench: Path) -> None:
    ended = lunula(
        "eval", "design", "--data", bench, "--runs", bench / "runs", "--json", "--pool", "subset",
        "--against", "ours", "--samples", "100",
    )  # fmt: skip
    facts = json.loads(ended.stdout[ended.stdout.index("{\n") :])
    assert (facts["split"], facts["pool"]) == ("test", "subset")
    assert facts["subsets"]["both"] == COUNT
    cvfim, ours = (row["figures"]["both"]["MRR"] for row in facts["rows"])
    assert ours["mean"] > cvfim["mean"] and cvfim["deviation"] > 0
    assert {(step["row"], step["against"]) for step in facts["steps"]} == {("cvfim", "ours")}
    assert next(s["difference"]["mean"] for s in facts["steps"] if s["subset"] == "both") < 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "dev"], "--split dev: not one of train, val, test"),
        (["--pool", "half"], "--pool half: not one of all, subset"),
        (["--metric", "hit,map"], "--metric map: not one of hit, cov"),
        (["--against", "none"], "no row 'none'; there are cvfim, ours"),
        (["--split", "val"], "no ROW/seed-N/val.npz"),
        (["--page", "x.html", "--page-row", "none"], "--page-row none: there is no such row"),
    ],
)
def test_invalid_options_are_reported(bench: Path, options: list[str], message: str) -> None:
    ended = lunula("eval", "design", "--data", bench, "--runs", bench / "runs", "--samples", "100", *options)
    assert ended.exit_code == 2
    assert message in " ".join(ended.output.split())


def records_on(page: str) -> list[dict[str, Any]]:
    return [json.loads(html.unescape(found)) for found in re.findall(r'data-record="([^"]*)"', page)]


def test_the_page_shows_whole_photos_and_asks_for_a_category(bench: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    ended = lunula(
        "eval", "design", "--data", bench, "--runs", bench / "runs", "--samples", "100",
        "--page", page, "--page-row", "cvfim", "--page-count", "6",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    text = page.read_text(encoding="utf-8")
    records = records_on(text)
    assert 1 <= len(records) <= 6
    assert all(record["rank"] > 10 and len(record["found"]) == 5 for record in records)
    assert text.count("<select>") == len(records)
    assert text.count('<option value="colour"') == len(records)
    assert "rgb(16, 32, 48)" in text
    assert re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,)', text) == []
    assert "://" not in text
    assert "object-fit: contain" in text
    shapes = set()
    for encoded in re.findall(r"base64,([^\"]+)", text):
        shapes.add(
            cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR).shape[:2]
        )
    assert all(min(abs(w / h - ratio) for ratio in (0.1, 10, 80 / 60)) < 0.15 for h, w in shapes)


def test_requests_are_escaped_on_the_page(bench: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "ours" / "seed-1", "ours", 1, 40.0)
    page = tmp_path / "page.html"
    lunula("eval", "design", "--data", bench, "--runs", tmp_path / "runs", "--samples", "100", "--page", page)
    text = page.read_text(encoding="utf-8")
    asked = {record["request"] for record in records_on(text)}
    assert any(request.startswith("<b>") for request in asked)
    assert "<b>" not in text
    assert "&lt;b&gt;&#34;navy&#34; &amp; &#39;gold&#39;" in text


def test_what_a_page_saves_is_counted(bench: Path, tmp_path: Path) -> None:
    page, saved = tmp_path / "page.html", tmp_path / "saved.jsonl"
    lunula(
        "eval", "design", "--data", bench, "--runs", bench / "runs", "--samples", "100",
        "--page", page, "--page-row", "cvfim",
    )  # fmt: skip
    records = records_on(page.read_text(encoding="utf-8"))
    lines = [json.dumps(record | {"category": "pattern", "note": ""}) for record in records]
    saved.write_text("\n".join(lines), encoding="utf-8")
    facts = json.loads(lunula("eval", "errors", saved, "--json").stdout)
    assert facts["annotations"] == facts["categories"]["pattern"] == len(records)
    assert len(facts["categories"]) == 10
    assert "shape_or_place" in lunula("eval", "errors", saved).output
    saved.write_text(lines[0].replace("pattern", "hue"))
    ended = lunula("eval", "errors", saved)
    assert ended.exit_code == 2
    assert "saved.jsonl:1: category" in "".join(ended.output.split("\n"))
    assert lunula("eval", "errors", tmp_path / "none.jsonl").exit_code == 1


def test_check_counts_what_is_in_order(bench: Path) -> None:
    ended = lunula("data", "nailstar", "check", bench)
    assert ended.exit_code == 0
    assert "Every line is valid" in ended.output
    assert ended.output.count("│ test") == 2


def test_check_names_every_fault_and_ends_with_two(tmp_path: Path) -> None:
    (tmp_path / "nailstar.jsonl").write_text("{\n" * 25)
    ended = lunula("data", "nailstar", "check", tmp_path)
    assert ended.exit_code == 2
    assert "nailstar.jsonl:1: not JSON" in ended.output and "nailstar.jsonl:20: not JSON" in ended.output
    assert "6 further faults" in ended.output


@pytest.mark.parametrize(
    ("command", "module", "passed_on"),
    [
        (
            ["data", "nailstar", "from-synth", "D", "--out", "n.jsonl"],
            "training.synth.nailstar",
            ["D", "--out", "n.jsonl"],
        ),
        (["data", "nailstar", "from-synth", "--help"], "training.synth.nailstar", ["--help"]),
        (["train", "design", "rows", "--seeds", "1-5"], "training.design.rows", ["rows", "--seeds", "1-5"]),
        (["train", "design", "--help"], "training.design.rows", ["--help"]),
    ],
)
def test_a_command_reaches_its_program_and_ends_with_its_code(
    monkeypatch: pytest.MonkeyPatch, command: list[str], module: str, passed_on: list[str]
) -> None:
    started: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        started.append(words)
        assert not check
        return subprocess.CompletedProcess(words, 3)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert lunula(*command).exit_code == 3
    assert started == [[sys.executable, "-m", module, *passed_on]]


def test_without_torch_the_training_environment_beside_this_one_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else object())
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    ended = lunula("train", "design", "rows")
    assert ended.exit_code == 1
    assert "make train-env" in " ".join(ended.output.split())
    python = tmp_path / ".venv-train" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    started: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        started.append(words)
        assert not check
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    assert lunula("train", "design", "rows").exit_code == 0
    assert started == [[str(python), "-m", "training.design.rows", "rows"]]
