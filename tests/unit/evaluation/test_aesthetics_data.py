"""Photos with votes are read from AVA's files and from drawn folders; faults name file, line and field."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.aesthetic.ava import read_ava
from evaluation.aesthetic.photos import read, read_synthetic
from evaluation.aesthetic.rated import RatedError, mean_opinion_scores, standard_errors

NAMES = ("Nature", "Black and White", "Macro")


def row(index: int, image: int, tags: tuple[int, int] = (1, 0), votes: str = "0 1 2 3 4 5 4 3 2 1") -> str:
    return f"{index} {image} {votes} {tags[0]} {tags[1]} 1396\n"


@pytest.fixture
def ava(tmp_path: Path) -> Path:
    """Forty photos: thirty with the first tag, eight of them with the second too, ten with none."""
    rows = [row(i, 900 + i, (1, 2) if i <= 8 else (1, 0) if i <= 30 else (0, 0)) for i in range(1, 41)]
    (tmp_path / "AVA.txt").write_text("".join(rows))
    (tmp_path / "tags.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(NAMES, 1)))
    (tmp_path / "images").mkdir()
    for i in range(1, 41):
        (tmp_path / "images" / f"{900 + i}.jpg").touch()
    return tmp_path


def edit(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines[line - 1] = text if text.endswith("\n") else text + "\n"
    path.write_text("".join(lines))


PAPER: dict[str, Any] = {"least": 10, "train": 20, "val": 4, "test": 6}


def test_the_papers_rule_keeps_common_tags_and_the_sizes(ava: Path) -> None:
    found = read_ava(ava, **PAPER)
    assert Counter(photo.split for photo in found.photos) == {"train": 20, "val": 4, "test": 6}
    assert {photo.tags for photo in found.photos} == {("Nature",)}  # the second tag has only eight photos
    assert found.words == {"Nature": {"en": "Nature"}}
    assert found.about["missing"] == 0


def test_the_papers_rule_is_fixed_by_its_seed(ava: Path) -> None:
    first = [photo.split for photo in read_ava(ava, **PAPER).photos]
    assert first == [photo.split for photo in read_ava(ava, **PAPER).photos]
    assert first != [photo.split for photo in read_ava(ava, **PAPER, seed=8).photos]


def test_too_few_photos_for_the_papers_sizes_are_reported(ava: Path) -> None:
    with pytest.raises(RatedError, match="30 photos have one of the 1 tags of 10 or more photos: not enough"):
        read_ava(ava, **{**PAPER, "train": 25})


@pytest.mark.parametrize("form", ["{id}\n", "{id}.jpg\n", "7 {id} 0 1 2 3 4 5 4 3 2 1 1 0 1396\n"])
def test_the_official_list_is_tested_and_all_others_are_not(ava: Path, form: str) -> None:
    (ava / "test.jpgl").write_text("".join(form.format(id=n) for n in (903, 935, 940)))
    found = read_ava(ava, rule="official", test_list=ava / "test.jpgl", val=5)
    assert [photo.id for photo in found.select("test")] == ["903", "935", "940"]
    assert len(found.select("val")) == 5
    assert len(found.select("train")) == 32
    assert found.photos[0].tags == ("Nature", "Black and White")  # all tags stay, however rare
    assert found.photos[-1].tags == ()
    assert found.photos[0].challenge == 1396


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("123456", r"test\.txt:2: image 123456 is not in AVA\.txt"),
        ("903", r"test\.txt:2: image 903 is in .*test\.txt:1 too"),
        ("nine", r"test\.txt:2: 'nine' is no image id"),
    ],
)
def test_faults_of_a_list(ava: Path, line: str, message: str) -> None:
    (ava / "test.txt").write_text(f"903\n{line}\n")
    with pytest.raises(RatedError, match=message):
        read_ava(ava, rule="official", test_list=ava / "test.txt", val=5)


def test_the_rules_ask_for_what_they_need(ava: Path) -> None:
    with pytest.raises(RatedError, match="official split needs a list"):
        read_ava(ava, rule="official")
    with pytest.raises(RatedError, match="rule 'random' is none of paper, official"):
        read_ava(ava, rule="random")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 903 0 1 2", r"AVA\.txt:3: 5 columns, not 15"),
        ("3 903 0 1 2 3 4 5 4 3 2 x 1 0 9", r"AVA\.txt:3: column 12: 'x' is no whole number"),
        ("3 903 0 1 2 3 4 5 4 3 2 -1 1 0 9", r"AVA\.txt:3: column 12: '-1' is no whole number"),
        ("3 903 0 0 0 0 0 0 0 0 0 0 1 0 9", r"AVA\.txt:3: votes: nobody voted"),
        ("3 901 0 1 2 3 4 5 4 3 2 1 1 0 9", r"AVA\.txt:3: image 901 is in .*AVA\.txt:1 too"),
        ("3 903 0 1 2 3 4 5 4 3 2 1 1 9 9", r"AVA\.txt:3: tag 2: 9 is not in tags\.txt"),
        ("3 903 0 1 2 3 4 5 4 3 2 1 1 1 9", r"AVA\.txt:3: tag 2: Nature once more"),
        ("3 977 0 1 2 3 4 5 4 3 2 1 1 0 9", r"AVA\.txt:3: image 977: there is no .*977\.jpg"),
    ],
)
def test_faults_of_a_row(ava: Path, text: str, message: str) -> None:
    edit(ava / "AVA.txt", 3, text)
    with pytest.raises(RatedError, match=message):
        read_ava(ava, **PAPER)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two Macro", r"tags\.txt:2: 'two Macro' is not a number"),
        ("1 Macro", r"tags\.txt:2: '1 Macro': an earlier line"),
        ("2 Nature", r"tags\.txt:2: '2 Nature': an earlier line"),
        ("2 a, b", r"tags\.txt:2: 'a, b': a comma"),
    ],
)
def test_faults_of_a_tag(ava: Path, text: str, message: str) -> None:
    edit(ava / "tags.txt", 2, text)
    with pytest.raises(RatedError, match=message):
        read_ava(ava, **PAPER)


def test_missing_photos_can_be_left_out_and_are_counted(ava: Path) -> None:
    (ava / "images" / "905.jpg").unlink()
    found = read_ava(ava, **{**PAPER, "val": 3}, skip_missing=True)
    assert found.about["missing"] == 1
    assert "905" not in {photo.id for photo in found.photos}


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RatedError, match=r"tags\.txt: no such file"):
        read(tmp_path)
    with pytest.raises(RatedError, match=r"index\.jsonl: no such file"):
        read_synthetic(tmp_path)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Three records as they are drawn, the last without tags."""
    votes = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1]
    tags: list[tuple[list[str], list[str], list[str]]] = [
        (["cat_eye"], ["cat eye"], ["マグネット"]),
        (["goth", "cat_eye"], ["goth", "cat eye"], ["ゴシック", "マグネット"]),
        ([], [], []),
    ]
    records = []
    (tmp_path / "images").mkdir()
    for number, (names, en, ja) in enumerate(tags):
        own = {"tags": names, "words": {"en": en, "ja": ja}, "votes": votes, "mos": 6.0}
        image = f"images/{number:06d}.jpg"
        (tmp_path / image).touch()
        split = ("train", "val", "test")[number]
        records.append({"id": f"{number:06d}", "image": image, "split": split, "aesthetics": own})
    write(tmp_path, records)
    numbers = ["1 0", "2 1", "0 0"]
    text = " ".join(map(str, votes))
    (tmp_path / "AVA.txt").write_text("".join(f"{n + 1} {n} {text} {numbers[n]} 0\n" for n in range(3)))
    (tmp_path / "tags.txt").write_text("1 cat_eye\n2 goth\n")
    return tmp_path


def write(folder: Path, records: list[dict[str, Any]]) -> None:
    (folder / "index.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def build_records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]


def test_drawn_photos_have_the_splits_of_their_records(drawn: Path) -> None:
    found = read(drawn)
    assert found.source == "drawn"
    assert [(photo.id, photo.split, photo.tags) for photo in found.photos] == [
        ("000000", "train", ("cat_eye",)),
        ("000001", "val", ("goth", "cat_eye")),
        ("000002", "test", ()),
    ]
    assert found.words["cat_eye"] == {"en": "cat eye", "ja": "マグネット"}
    assert found.photos[0].mos == pytest.approx(150 / 25)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("votes", [1] * 9, r"index\.jsonl:2: aesthetics\.votes: 9 counts"),
        ("votes", [1] * 9 + [-1], r"index\.jsonl:2: aesthetics\.votes: -1 is no count of the mark 10"),
        ("votes", [1] * 10, r"index\.jsonl:2: votes: not those of .*AVA\.txt:2"),
        ("tags", ["cat_eye", "goth"], r"index\.jsonl:2: aesthetics\.words\.en: cat_eye was 'cat eye' before"),
        ("tags", ["a", "b", "c"], r"index\.jsonl:2: aesthetics\.tags: 3 are more than 2"),
        ("words", {"ja": ["あ", "マグネット"]}, r"index\.jsonl:2: aesthetics\.words: no English words for"),
        ("words", {"en": ["goth"]}, r"index\.jsonl:2: aesthetics\.words\.en: not one text for each tag"),
    ],
)
def test_faults_of_a_record(drawn: Path, name: str, value: Any, message: str) -> None:
    records = build_records(drawn)
    records[1]["aesthetics"][name] = value
    write(drawn, records)
    with pytest.raises(RatedError, match=message):
        read(drawn)


def test_records_and_rows_are_the_same_photos(drawn: Path) -> None:
    records = build_records(drawn)
    write(drawn, records[:2])
    with pytest.raises(RatedError, match=r"AVA\.txt:3: image 2 is not in .*index\.jsonl"):
        read(drawn)
    write(drawn, records)
    edit(drawn / "AVA.txt", 1, row(1, 77))
    with pytest.raises(RatedError, match=r"index\.jsonl:1: id: '000000' has no row"):
        read(drawn)


def test_drawn_photos_take_no_options_of_ava(drawn: Path) -> None:
    with pytest.raises(RatedError, match="rule is AVA's"):
        read(drawn, rule="official")


def test_mean_and_standard_error_by_hand() -> None:
    votes = np.array([[0, 0, 0, 1, 2, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]])
    assert np.allclose(mean_opinion_scores(votes), [5, 6])
    # Deviations -1, 0, 0, 1: variance 2/3, error sqrt(2/3/4); of one vote nothing is known.
    errors = standard_errors(votes)
    assert errors[0] == pytest.approx((2 / 12) ** 0.5)
    assert np.isnan(errors[1])
