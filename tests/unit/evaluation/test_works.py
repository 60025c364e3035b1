"""Works whose artist is known: what the reader takes, and what it says of what it does not take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.artist.works import LISTING, MAX_DESCRIPTION, Work, WorksError, digest, read, scan, write

GOOD: dict[str, Any] = {
    "id": "a1",
    "image": "images/a1.jpg",
    "title": "Milky pink nails",
    "description": "ショートのオーバル",
    "artist": "みらの",
}


def folder_of(tmp_path: Path, *lines: Any) -> Path:
    (tmp_path / "images").mkdir(exist_ok=True)
    for name in ("a1", "a2"):
        (tmp_path / "images" / f"{name}.jpg").write_bytes(b"a photo")
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    (tmp_path / LISTING).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return tmp_path


def test_a_work_is_read_with_everything_it_says(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        GOOD | {"lang": "ja", "labels": {"bottle": 0.5, "book": 1}, "price": 1200, "mask": "images/a2.jpg"},
        GOOD | {"id": "a2", "image": ""},
    )
    first, second = read(folder)
    root = folder.resolve()
    assert first == Work(
        id="a1",
        image=root / "images/a1.jpg",
        title="Milky pink nails",
        description="ショートのオーバル",
        artist="みらの",
        lang="ja",
        labels={"bottle": 0.5, "book": 1.0},
        more={"price": 1200, "mask": root / "images/a2.jpg"},
    )
    assert first.text == "Milky pink nails ショートのオーバル"
    assert second.image is None and second.lang == "" and second.labels == {}


def test_what_is_written_is_read_again_and_has_a_digest_of_its_own(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, GOOD)
    before = digest(folder)
    assert write(folder, [GOOD, GOOD | {"id": "a2"}]) == 2
    assert [work.id for work in read(folder)] == ["a1", "a2"]
    assert digest(folder) != before
    assert not list(folder.glob("*.part"))


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "\ufeff" + json.dumps(GOOD), "", "   ")
    assert len(read(folder)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ""}, "id: empty"),
        ({"id": 7}, "id: not a text"),
        ({"id": "x" * 129}, "id: 129 characters are more than 128"),
        ({"id": "a\nb"}, "id: 'a\\nb' has blanks around it or a control character"),
        ({"artist": "  "}, "artist: empty"),
        ({"artist": " mira"}, "artist: ' mira' has blanks around it"),
        ({"artist": "\ud800"}, "artist: not Unicode text"),
        ({"title": "x" * 1001}, "title: 1,001 characters are more than 1,000"),
        ({"description": "x" * (MAX_DESCRIPTION + 1)}, "description: 10,001 characters"),
        ({"description": "a\x00b"}, "description: not Unicode text"),
        ({"description": None}, "description: not a text"),
        ({"image": "../secret.jpg"}, "image: '../secret.jpg' lies outside the folder"),
        ({"image": "/etc/passwd"}, "image: '/etc/passwd' lies outside the folder"),
        ({"image": "images/none.jpg"}, "image: 'images/none.jpg' does not exist"),
        ({"image": "images"}, "image: 'images' does not exist"),
        ({"image": "x" * 4000}, "image: "),
        ({"image": "", "title": " ", "description": ""}, "image: a work without a photo"),
        ({"lang": "japanese!"}, "lang: 'japanese!' is no language tag"),
        ({"lang": 3}, "lang: not a text"),
        ({"labels": ["book"]}, "labels: not an object"),
        ({"labels": {"book": 1.5}}, "labels.book: 1.5: Input should be less than or equal to 1"),
        ({"labels": {"book": True}}, "labels.book: not a number"),
        ({"labels": {"": 0.5}}, "labels['']: empty"),
        ({"labels": {f"l{i}": 0.5 for i in range(1001)}}, "labels: 1,001 are more than 1,000"),
        ({"mask": "../mask.png"}, "mask: '../mask.png' lies outside the folder"),
    ],
)
def test_a_fault_names_file_line_and_field(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    line = json.dumps(GOOD | change)  # ASCII: a lone surrogate cannot be written otherwise
    folder = folder_of(tmp_path, GOOD | {"id": "a0"}, line)
    with pytest.raises(WorksError) as caught:
        read(folder)
    assert str(caught.value).startswith(f"{folder / LISTING}:2: {message}")


@pytest.mark.parametrize("name", ["id", "image", "title", "description", "artist"])
def test_a_field_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path, {key: value for key, value in GOOD.items() if key != name})
    with pytest.raises(WorksError, match=f":1: {name}: missing"):
        read(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"id": NaN}', "not JSON: NaN is no number"),
        ('{"labels": {"a": Infinity}}', "not JSON: Infinity is no number"),
        ("[" * 200_000, "not JSON"),
        ('{"id": "' + "x" * (1 << 20) + '"}', "longer than 1 MiB"),
    ],
)
def test_hostile_lines_are_faults_and_the_next_line_is_read(tmp_path: Path, line: str, message: str) -> None:
    found = list(scan(folder_of(tmp_path, line, GOOD)))
    assert isinstance(found[0], WorksError) and message in str(found[0])
    assert isinstance(found[1], Work)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "works"
    folder.mkdir()
    (tmp_path / "outside.jpg").write_bytes(b"not yours")
    folder_of(folder, GOOD | {"image": "images/link.jpg"})
    (folder / "images" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(WorksError, match="lies outside the folder"):
        read(folder)


def test_an_id_that_is_there_twice_names_the_other_line(tmp_path: Path) -> None:
    with pytest.raises(WorksError, match=":3: id: 'a1' is that of line 1"):
        read(folder_of(tmp_path, GOOD, GOOD | {"id": "a2"}, GOOD))


def test_no_file_and_an_empty_file_are_faults(tmp_path: Path) -> None:
    with pytest.raises(WorksError, match="no such file"):
        read(tmp_path)
    (tmp_path / LISTING).write_text("\n")
    with pytest.raises(WorksError, match="no works"):
        read(tmp_path)
