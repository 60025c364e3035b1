"""A model's recorded command names folders, not where they lie."""

from __future__ import annotations

from training.kit.command import record_command


def test_folders_are_recorded_by_name_and_everything_else_as_typed() -> None:
    typed = ["fuse", "--data", "/a/b/works", "--out", "runs/x", "--option", "models=/c/d", "--seed", "7"]
    recorded = record_command("lunula", "train", "artist", arguments=typed)
    assert recorded == "lunula train artist fuse --data works --out x --option models=d --seed 7"


def test_words_with_spaces_are_quoted() -> None:
    assert record_command("lunula", arguments=["--note", "two words"]) == "lunula --note 'two words'"
