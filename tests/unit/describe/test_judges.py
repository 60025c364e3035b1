"""Judges: confidences in [0, 1] of pairs, and from there to the pairs that training uses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.describe.conftest import Serve
from tests.unit.describe.fake_endpoint import Reply, completion
from training.describe.__main__ import main
from training.describe.judges import DigitJudge, ModelJudge, Pair
from training.describe.models.question import ItemError, Question
from training.describe.pairs import PairIndex
from training.describe.photos import Photo
from training.describe.store import Key, Store
from training.kit.data.mined_pairs import Mined

RED = Photo(np.full((32, 32, 3), (200, 20, 20), np.uint8))
BLUE = Photo(np.full((32, 32, 3), (20, 20, 200), np.uint8))
PAIR = Pair("red nails with <|im_end|> pearls", ("red nails", "pearls"), RED, ("red nails",))


class Model:
    """A model whose answers and weights are given."""

    name, batch, parallel = "model", 4, 1

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Question] = []

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[str | ItemError]:
        assert max_tokens > 0
        self.asked += questions
        return [self.answers.pop(0) for _ in questions]

    def digits(self, questions: Sequence[Question]) -> list[NDArray[np.float64] | ItemError]:
        self.asked += questions
        return [self.answers.pop(0) for _ in questions]

    def stop(self) -> None:
        raise AssertionError("nothing to stop")


def test_a_judge_is_shown_the_request_the_photo_and_the_phrases_of_both() -> None:
    model = Model('{"score": 80}')
    assert ModelJudge(model).judge([PAIR]) == [0.8]
    (question,) = model.asked
    assert question.photos == (RED,)
    assert "<request>red nails with pearls</request>" in question.text
    assert "In short: <phrases>red nails; pearls</phrases>" in question.text
    assert "described as: <phrases>red nails</phrases>" in question.text


def test_phrases_that_are_not_known_are_left_open() -> None:
    model = Model('{"score": 80}')
    ModelJudge(model).judge([Pair("red", (), RED)])
    assert model.asked[0].text.count("<phrases>-</phrases>") == 2


def test_a_judge_that_refuses_costs_its_pair_alone() -> None:
    denied = ItemError("denied", "HTTP 400")
    found = ModelJudge(Model("I'm sorry.", '{"score": 0}', denied)).judge([PAIR] * 3)
    assert isinstance(found[0], ItemError)
    assert found[1:] == [0.0, denied]


def test_the_confidence_of_weighed_digits_is_their_expected_value() -> None:
    certain, torn = np.eye(10)[9], np.eye(10)[[0, 9]].mean(axis=0)
    found = DigitJudge(Model(certain, torn, ItemError("photo", "broken"))).judge([PAIR] * 3)
    assert found[:2] == pytest.approx([1.0, 0.5])
    assert isinstance(found[2], ItemError)


def test_two_ways_of_judging_are_kept_apart() -> None:
    assert ModelJudge(Model()).version != DigitJudge(Model()).version


def test_a_pair_is_known_by_everything_that_is_shown() -> None:
    pairs = [
        PAIR,
        Pair("red nails", PAIR.request_nnp, RED, PAIR.photo_nnp),
        Pair(PAIR.request, ("red nails pearls",), RED, PAIR.photo_nnp),
        Pair(PAIR.request, PAIR.request_nnp, BLUE, PAIR.photo_nnp),
        Pair(PAIR.request, PAIR.request_nnp, RED, ()),
        Pair(PAIR.request, ("red nails",), RED, ("pearls", "red nails")),
    ]
    assert len({pair.key for pair in pairs}) == len(pairs)
    assert Pair(PAIR.request, PAIR.request_nnp, Photo(RED.source.copy()), PAIR.photo_nnp).key == PAIR.key  # type: ignore[union-attr]  # PAIR has photos


def write_records(folder: Path) -> list[Path]:
    """Three photos with two texts, none and one; the last of another split."""
    paths = []
    records = []
    for index, (split, texts) in enumerate(
        [
            ("train", [{"text": "red nails", "nnp": ["red"]}, {"text": "gold glitter"}]),
            ("train", []),
            ("test", [{"text": "x"}]),
        ]
    ):
        paths.append(folder / f"{index}.png")
        cv2.imwrite(str(paths[-1]), np.full((20, 20, 3), 40 * index, np.uint8))
        records.append({"id": str(index), "split": split, "image": f"{index}.png", "texts": texts})
    (folder / "index.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return paths


def test_pairs_are_made_of_records_and_descriptions(tmp_path: Path) -> None:
    paths = write_records(tmp_path)
    with Store(tmp_path / "described.jsonl") as store:
        store.add(Key("describe", Photo(paths[1]).sha256, "m", "1"), "Short red nails with pearls.")
    pairs = PairIndex([tmp_path], "train", tmp_path / "described.jsonl")
    first = pairs(0, 1)
    assert (first.request, first.request_nnp) == ("red nails", ("red",))
    assert (first.photo.source, first.photo_nnp) == (paths[1], ("short red nails", "pearls"))
    second = pairs(1, 0)
    assert (second.request_nnp, second.photo_nnp) == (("gold glitter",), ())


def test_a_record_without_its_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text('{"id": "7"}\n')
    with pytest.raises(ValueError, match="record 7: missing field 'image'"):
        PairIndex([tmp_path])


def mined(folder: Path, photos: int = 2) -> Path:
    zeros = np.zeros(2, np.float32)
    Mined(np.array([0, 1], np.int32), np.array([1, 1], np.int32), zeros, zeros, 2, photos).save(
        folder / "mined.npz"
    )
    return folder / "mined.npz"


def test_the_command_judges_mined_pairs_and_keeps_those_that_reach_the_threshold(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(body: dict[str, Any]) -> Reply:
        red = "<request>red nails</request>" in body["messages"][1]["content"][1]["text"]
        return completion(json.dumps({"score": 90 if red else 40}))

    server = serve(judged)
    write_records(tmp_path)
    command = [
        "judge", "--mined", str(mined(tmp_path)), "--data", str(tmp_path), "--split", "train",
        "--by", "endpoint", "--base-url", server.base_url, "--model", "m",
        "--out", str(tmp_path / "judged.jsonl"), "--pairs-out", str(tmp_path / "kept.npz"),
    ]  # fmt: skip
    main(command)
    kept = Mined.load(tmp_path / "kept.npz")
    assert (kept.text.tolist(), kept.photo.tolist()) == ([0], [1])
    assert kept.confidence.tolist() == pytest.approx([0.9])
    assert "1 of 2 pairs have a confidence of 0.7 and more" in capsys.readouterr().out
    main([*command, "--threshold", "0.3"])
    assert len(server.calls) == 2  # nothing is asked twice
    assert Mined.load(tmp_path / "kept.npz").confidence.tolist() == pytest.approx([0.9, 0.4])


def test_a_pair_without_a_confidence_is_not_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve(completion("I cannot judge."), completion('{"score": 100}'))
    write_records(tmp_path)
    main([
        "judge", "--mined", str(mined(tmp_path)), "--data", str(tmp_path), "--split", "train",
        "--threshold", "0",
        "--by", "endpoint", "--base-url", server.base_url, "--model", "m", "--parallel", "1",
        "--out", str(tmp_path / "judged.jsonl"), "--pairs-out", str(tmp_path / "kept.npz"),
    ])  # fmt: skip
    assert Mined.load(tmp_path / "kept.npz").text.tolist() == [1]


def test_pairs_of_other_data_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path)
    with pytest.raises(SystemExit):
        main([
            "judge", "--mined", str(mined(tmp_path, photos=5)), "--data", str(tmp_path), "--split", "train",
            "--by", "endpoint", "--base-url", "http://h/v1", "--model", "m", "--out", str(tmp_path / "o"),
        ])  # fmt: skip
    assert "2 texts and 2 photos in the data, the pairs were mined among 2 and 5" in capsys.readouterr().err
