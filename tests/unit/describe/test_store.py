"""Answers on disk: found again, whole, by one writer at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.describe.models.answers import Restated
from training.describe.models.question import ItemError
from training.describe.store import (
    Key,
    Store,
    read_answers,
    read_descriptions,
    read_restatements,
    request_digest,
)

FIRST, SECOND = Key("describe", "a" * 64, "model", "1"), Key("describe", "b" * 64, "model", "1")


def test_answers_are_found_again_by_photo_name_and_version(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    with Store(path) as store:
        store.add(FIRST, "赤いネイル\n\ud800", of="a.jpg")
    with Store(path) as store:
        assert store.answer(FIRST) == "赤いネイル\n?"
        assert SECOND not in store
        assert FIRST._replace(by="another") not in store
        assert FIRST._replace(version="2") not in store
        assert FIRST._replace(task="judge") not in store


def test_an_error_is_remembered_until_it_is_to_be_asked_again(tmp_path: Path) -> None:
    with Store(tmp_path / "answers.jsonl") as store:
        store.add(FIRST, ItemError("refused", "no"))
    with Store(tmp_path / "answers.jsonl") as store:
        assert FIRST in store
        assert store.answer(FIRST) is None
        store.forget_errors()
        assert FIRST not in store
        store.add(FIRST, "Red nails.")
    found = read_answers(tmp_path / "answers.jsonl")
    assert (found.answers, found.errors) == ({FIRST: "Red nails."}, {})


def test_a_line_that_a_kill_cut_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Store(path) as store:
        store.add(FIRST, "Red nails.")
        store.add(SECOND, "Blue nails.")
    whole = path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole), 9):
        path.write_bytes(whole[:cut])
        assert list(read_answers(path).answers) == [FIRST]  # a reader leaves the file as it is
        assert path.stat().st_size == cut
        with Store(path) as store:
            assert SECOND not in store
            store.add(SECOND, "Blue nails.")
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"no json", "Expecting value"),
        (b"[]", "list indices"),
        (b'{"task": "describe", "subject": "", "by": "", "answer": ""}', "missing field 'version'"),
        (b'{"task": "describe", "subject": "", "by": "", "version": ""}', "missing field 'answer'"),
        (b'"\xff"', "utf-8"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, line: bytes, words: str) -> None:
    path = tmp_path / "answers.jsonl"
    with Store(path) as store:
        store.add(FIRST, "Red nails.")
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ValueError, match=rf"answers\.jsonl:2: .*{words}"):
        Store(path)


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    with Store(tmp_path / "answers.jsonl"), pytest.raises(RuntimeError, match="another run writes to it"):
        Store(tmp_path / "answers.jsonl")
    with Store(tmp_path / "answers.jsonl") as store:  # let go of
        store.add(FIRST, "Red nails.")


def test_texts_are_read_by_who_uses_them(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    request = request_digest("赤いネイル")
    with Store(path) as store:
        store.add(FIRST, "Red nails.")
        store.add(FIRST._replace(by="another"), "Crimson nails.")
        store.add(Key("parse", request, "model", "1"), {"mdd": ["red nails"], "nnp": ["red", "nails"]})
        store.add(SECOND, ItemError("photo", "broken"))
    assert read_descriptions(path) == {FIRST.subject: "Crimson nails."}
    assert read_descriptions(path, "model") == {FIRST.subject: "Red nails."}
    assert read_restatements(path) == {request: Restated(("red nails",), ("red", "nails"))}
