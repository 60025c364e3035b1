from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.client.records import Record, derive_design_id, find
from cli.errors import RecordError


def write_listing(folder: Path, *lines: Any) -> Path:
    (folder / "photo.jpg").write_bytes(b"not read here")
    listing = folder / "catalogue.jsonl"
    listing.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return listing


def test_a_folder_of_photos_gives_ids_from_the_file_names(tmp_path: Path) -> None:
    (tmp_path / "summer").mkdir()
    for name in ("b.JPG", "a.png", "summer/red-nails.jpeg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [record.design_id for record in find(tmp_path)] == ["a", "b", "summer-red-nails"]


def test_a_folder_with_a_catalogue_is_read_from_it(tmp_path: Path) -> None:
    write_listing(
        tmp_path,
        {
            "id": "d1",
            "image": "photo.jpg",
            "title": "薄桃",
            "artist": "a1",
            "tags": ["red"],
            "attributes": {"shape": "oval"},
        },
    )
    assert find(tmp_path) == (
        Record(
            design_id="d1",
            photo=tmp_path / "photo.jpg",
            title="薄桃",
            artist_id="a1",
            tags=("red",),
            attributes={"shape": "oval"},
        ),
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not JSON"),
        ([1], "not a JSON object"),
        ({}, "image: missing"),
        ({"image": "gone.jpg"}, "does not exist"),
        ({"image": "photo.jpg", "tags": "red"}, "tags: not a list"),
        ({"image": "photo.jpg", "tags": [1]}, r"tags\[0\]: not a text"),
        ({"image": "photo.jpg", "attributes": ["oval"]}, "attributes: not an object"),
        ({"image": "photo.jpg", "title": 3}, "title: not a text"),
    ],
)
def test_a_bad_line_is_refused_with_its_number_and_field(tmp_path: Path, line: Any, complaint: str) -> None:
    listing = write_listing(tmp_path, {"id": "ok", "image": "photo.jpg"}, line)
    with pytest.raises(RecordError, match=complaint) as caught:
        find(listing)
    assert f"{listing}:2" in str(caught.value)


def test_an_id_that_is_used_twice_is_refused(tmp_path: Path) -> None:
    listing = write_listing(tmp_path, {"id": "x", "image": "photo.jpg"}, {"id": "x", "image": "photo.jpg"})
    with pytest.raises(RecordError, match="'x' is used by"):
        find(listing)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_nothing_to_index_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError):
        find(tmp_path / name)


def test_ids_made_from_paths_hold_only_allowed_characters() -> None:
    made = derive_design_id(Path("été/爪 1.jpg"))
    assert all(character.isascii() and (character.isalnum() or character in "._:-") for character in made)


@pytest.mark.parametrize(
    ("one", "other"),
    [("春.jpg", "夏.jpg"), ("a b.jpg", "a-b.jpg"), ("x" * 300 + "1.jpg", "y" * 300 + "1.jpg")],
)
def test_different_photos_keep_different_ids(one: str, other: str) -> None:
    assert derive_design_id(Path(one)) != derive_design_id(Path(other))
    assert all(1 <= len(derive_design_id(Path(name))) <= 128 for name in (one, other))


def test_line_separators_within_a_text_and_a_byte_order_mark_are_no_line_ends(tmp_path: Path) -> None:
    listing = write_listing(
        tmp_path, json.dumps({"image": "photo.jpg", "title": "a\u2028b"}, ensure_ascii=False)
    )
    listing.write_bytes(b"\xef\xbb\xbf" + listing.read_bytes())
    assert [record.title for record in find(listing)] == ["a\u2028b"]


def test_a_photo_in_the_place_of_a_listing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(RecordError, match="not JSON"):
        find(path)


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    listing = write_listing(tmp_path, {"image": "photo.jpg", "title": "\ud800"})
    with pytest.raises(RecordError, match="title: not Unicode"):
        find(listing)
