from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.errors import RecordError
from cli.evaluate.retrieval.questions import Question, Result, build_records, read_questions, score


def question(design_id: str, language: str) -> Question:
    return Question(design_id, Path(f"{design_id}.jpg"), language, "text")


def test_questions_are_read_per_language(tmp_path: Path) -> None:
    line = {"image": "images/01.jpg", "requests": {"en": "red", "ja": "赤"}}
    (tmp_path / "requests.jsonl").write_text(json.dumps(line))
    assert read_questions(tmp_path) == [
        Question("images-01", tmp_path / "images/01.jpg", "en", "red"),
        Question("images-01", tmp_path / "images/01.jpg", "ja", "赤"),
    ]


@pytest.mark.parametrize("line", ["{", "[]", '{"image": "x"}', '{"image": "x", "requests": []}'])
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "requests.jsonl").write_text(line)
    with pytest.raises(RecordError, match=r"requests\.jsonl:1"):
        read_questions(tmp_path)


def test_photos_are_indexed_once_and_without_text() -> None:
    records = build_records([question("a", "en"), question("a", "ja"), question("b", "en")])
    assert [record.design_id for record in records] == ["a", "b"]
    assert {record.title + record.description + "".join(record.tags) for record in records} == {""}


def test_scores_are_counted_per_language() -> None:
    results = [
        Result(question("a", "en"), 1, ("a",)),
        Result(question("b", "en"), 6, ("a",)),
        Result(question("a", "ja"), 2, ("b", "a")),
    ]
    english, japanese = score(results)
    assert (english.language, english.requests, english.designs) == ("en", 2, 2)
    assert english.hit == {1: 0.5, 5: 0.5, 10: 1.0}
    assert english.chance[1] == 0.5
    assert japanese.mrr == 0.5
