"""Annotated failures: read, checked by line and field, and counted in the paper's ten categories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.retrieval.error_categories import AnnotationError, ErrorCategory, counts, read_annotations


def line(own: str = "a", **changes: Any) -> str:
    fields: dict[str, Any] = {
        "row": "ours",
        "seed": 1,
        "id": own,
        "rank": 12,
        "found": ["b"],
        "category": "colour",
    }
    return json.dumps(fields | changes)


def put(folder: Path, *lines: str) -> Path:
    path = folder / "annotations.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_there_are_ten_categories_each_with_a_meaning() -> None:
    assert len(ErrorCategory) == 10
    assert len({category.label for category in ErrorCategory}) == 10
    assert all(category.meaning.endswith(".") for category in ErrorCategory)


def test_annotations_are_counted_in_the_papers_order(tmp_path: Path) -> None:
    path = put(
        tmp_path, line("a"), line("b", category="theme", note="祭り"), "", line("c"), line("a", seed=2)
    )
    annotations = read_annotations(path)
    assert annotations[1].note == "祭り"
    found = counts(annotations)
    assert list(found) == list(ErrorCategory)
    assert found[ErrorCategory.COLOUR] == 3 and found[ErrorCategory.THEME] == 1
    assert sum(found.values()) == 4


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (line(id=None), "id: not a text"),
        (line(seed="1"), "seed: not a whole number"),
        (line(seed=True), "seed: not a whole number"),
        (line(category="hue"), "category: 'hue' is not one of colour, composite"),
        (line(category=""), "category: '' is not one of"),
        (line(rank=1), "rank: 1 is no failure"),
        (line(found="b"), "found: not a list"),
        (line(note=3), "note: not a text"),
        (line("first"), "id: 'first' of ours, seed 1, is that of line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=rf"annotations.jsonl:2: {message}"):
        read_annotations(put(tmp_path, line("first"), bad))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no annotations"):
        read_annotations(put(tmp_path))
