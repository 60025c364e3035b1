"""`lunula eval aesthetic`: tables, JSON, pages and errors, from predictions that no model made."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.__main__ import app
from tests.made_up_scores import made_up_run, made_up_truth


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_run(tmp_path_factory.mktemp("run"), made_up_truth(60))


def lunula(*words: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(app, ["eval", "aesthetic", *words])
    return ended.exit_code, ended.stdout, "".join(ended.stderr.split())  # lines break anywhere


def test_tables_show_every_variant_and_what_ours_brings(run: Path) -> None:
    code, out, _ = lunula("--runs", str(run), "--samples", "100")
    assert code == 0
    for word in ("regression", "notext", "ours", "SRCC", "bins of 0.25", "near-ties", "better", "wrong tags"):
        assert word in out
    assert "the paper reports" not in out


def test_the_papers_figures_are_marked_as_of_other_photos(run: Path) -> None:
    _, out, _ = lunula("--runs", str(run), "--samples", "100", "--paper")
    assert "OTHER DATA, not to be compared" in out
    assert "0.684" in out


def test_json_says_the_same(run: Path) -> None:
    code, out, _ = lunula("--runs", str(run), "--samples", "100", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["photos"] == 60
    assert {one["against"] for one in found["differences"]} == {"notext", "regression"}
    assert found["rows"][2]["figures"]["SRCC"]["mean"] > found["rows"][0]["figures"]["SRCC"]["mean"]


def test_a_page_comes_with_its_pictures(run: Path, tmp_path: Path) -> None:
    code, _, errors = lunula(
        "--runs", str(run), "--samples", "100", "--page", str(tmp_path / "new" / "a.html")
    )
    assert code == 0
    page = (tmp_path / "new" / "a.html").read_text(encoding="utf-8")
    for name in ("histograms", "distributions", "scatter"):
        data = (tmp_path / "new" / f"a-{name}.png").read_bytes()
        colours = Image.open(io.BytesIO(data)).convert("RGB").getcolors(1 << 24)
        assert colours is not None
        assert len(colours) > 4
        assert f"a-{name}.png" in errors
    assert page.count("data:image/png;base64,") == 3
    assert "made up with noise 0.4" in page


def test_scores_of_a_variant_that_only_ranks_stay_on_the_page(tmp_path: Path) -> None:
    made_up_run(tmp_path, made_up_truth(40), {"regression": 50.0})
    code, out, _ = lunula("--runs", str(tmp_path), "--samples", "100", "--page", str(tmp_path / "a.html"))
    assert code == 0
    assert "ours less" not in out
    assert not (tmp_path / "a-distributions.png").exists()
    picture = Image.open(io.BytesIO((tmp_path / "a-scatter.png").read_bytes()))
    assert max(picture.size) < 1000


def test_a_folder_without_predictions_is_an_error(tmp_path: Path) -> None:
    code, _, errors = lunula("--runs", str(tmp_path))
    assert code == 2
    assert "nopredictions" in errors
