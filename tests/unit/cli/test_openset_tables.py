"""Strangers and new artists as tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.evaluate.artist.open_set import open_set_tables, read_open_set
from evaluation.errors import DataError

ROW = {"enrolled": 0.6, "trained": 0.75, "share": 0.8, "known before": 0.9, "known after": 0.89, "ece": 0.02}
FOUND: dict[str, Any] = {
    "artists": {"known": 12, "validation": 4, "test": 4},
    "auroc": {
        "test": {"image entropy": 0.71, "combined": 0.93},
        "validation": {"image entropy": 0.72, "combined": 0.95},
    },
    "chosen": "combined",
    "at one half": {"unknown artists called unknown": 0.9, "known works called unknown": 0.125},
    "enrolment": {"works": 10, "image": ROW, "text": ROW, "both": ROW},
}


def test_the_best_score_comes_first_and_the_served_one_is_marked() -> None:
    console = Console(width=120)
    with console.capture() as capture:
        for table in open_set_tables(FOUND):
            console.print(table)
    shown = " ".join(capture.get().split())
    assert shown.index("combined (served)") < shown.index("image entropy")
    assert "0.9300" in shown and "0.9500" in shown
    assert "90.0% of unknown artists' works" in shown and "12.5% of the others'" in shown
    assert "10 works" in shown and shown.count("80.0%") == 3


def test_a_run_without_the_step_has_nothing_to_show(tmp_path: Path) -> None:
    assert read_open_set(tmp_path) is None
    (tmp_path / "openset.json").write_text(json.dumps(FOUND))
    assert read_open_set(tmp_path) == FOUND


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", json.dumps({**FOUND, "auroc": {}}), json.dumps({**FOUND, "enrolment": 3})]
)
def test_a_file_of_another_form_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "openset.json").write_text(content)
    with pytest.raises(DataError, match=r"openset\.json"):
        read_open_set(tmp_path)
