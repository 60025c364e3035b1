"""The files beside the models: labels and the text model."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.classify.features.text_model import FastTextModel
from services.classify.identify.identifier import read_labels
from services.classify.identify.label_evidence import LabelTable
from services.kit.errors import FailedPrecondition


def test_labels_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("artist-002\nartist-001\n\n", "utf-8")
    assert read_labels(tmp_path / "labels.txt") == ("artist-002", "artist-001")


@pytest.mark.parametrize("text", ["", "\n", "artist-001\nartist-001\n"])
def test_labels_that_name_nobody_or_somebody_twice_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.txt").write_text(text, "utf-8")
    with pytest.raises(FailedPrecondition) as caught:
        read_labels(tmp_path / "labels.txt")
    assert caught.value.reason == "MODEL_UNSUITABLE"


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="labels"):
        read_labels(tmp_path / "labels.txt")
    with pytest.raises(FileNotFoundError, match=r"model\.ftz"):
        FastTextModel(tmp_path / "model.ftz")


def test_label_combinations_are_read_and_a_model_without_them_has_none(tmp_path: Path) -> None:
    path = tmp_path / "label_combinations.json"
    assert LabelTable.read(path).evidence({"cup": 1.0}) is not None
    path.write_text('[[["cup", "book"], {"ayame": 2, "botan": 0}]]', "utf-8")
    found = LabelTable.read(path).evidence({"book": 0.3, "cup": 0.2})
    assert found is not None and found.artists == (("ayame", 1.0),) and found.entropy == 0


@pytest.mark.parametrize("text", ["{", "[1]", '[["cup", 3]]', '[[["cup"], {"a": "many"}]]'])
def test_label_combinations_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "label_combinations.json"
    path.write_text(text, "utf-8")
    with pytest.raises(FailedPrecondition, match="label_combinations") as caught:
        LabelTable.read(path)
    assert caught.value.reason == "MODEL_UNSUITABLE"
