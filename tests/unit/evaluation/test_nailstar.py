"""NAIL-STAR's form: what is written is read, and every fault is named by file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.retrieval.nailstar import LISTING, NailStarError, read, scan, write


def line(own: str, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": own,
        "image": f"images/{own}.jpg",
        "split": "test",
        "request": "long almond nails in navy",
        "lang": "en",
        "palette": [[30.0, 10.0, -40.0]],
        "targets": [own],
        "subset": "single",
    }
    return fields | changes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "images" / f"{name}.jpg").write_bytes(b"jpeg")
    (tmp_path.parent / "elsewhere.jpg").write_bytes(b"jpeg")
    return tmp_path


def put(folder: Path, *lines: dict[str, Any] | str) -> None:
    texts = [entry if isinstance(entry, str) else json.dumps(entry) for entry in lines]
    (folder / LISTING).write_text("\n".join(texts) + "\n", encoding="utf-8")


def test_what_is_written_is_read_again_with_its_further_fields(folder: Path) -> None:
    bound = {"family": "f1", "case": "finish", "member": 2}
    more = {"composition": True, "binding": bound, "crop": {"box": [0, 0, 9, 9]}}
    several = line("a", targets=["a", "b"], subset="multi", **more)
    put(folder, several, line("b", lang="ja", request="ネイビーの長いネイル", palette=[]))
    first = read(folder)
    write(folder / LISTING, first)
    assert read(folder) == first
    assert first[0].targets == ("a", "b")
    assert first[0].composition and not first[1].composition
    assert (first[0].family, first[1].family) == ("f1", "")
    assert first[0].more["crop"] == {"box": [0, 0, 9, 9]}
    assert first[1].request == "ネイビーの長いネイル"


def test_hex_colours_become_cielab(folder: Path) -> None:
    put(folder, line("a", palette=["#ffffff", "#ff0000"]))
    white, red = read(folder)[0].palette
    assert white == pytest.approx((100, 0, 0), abs=0.02)
    assert red == pytest.approx((53.24, 80.09, 67.20), abs=0.05)


def test_a_byte_order_mark_and_blank_lines_are_no_faults(folder: Path) -> None:
    (folder / LISTING).write_text("\ufeff" + json.dumps(line("a")) + "\n\n", encoding="utf-8")
    assert [entry.id for entry in read(folder)] == ["a"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": ""}, "id: empty"),
        ({"id": 7}, "id: not a text"),
        ({"image": "../elsewhere.jpg"}, "image: .*outside"),
        ({"image": "/etc/passwd"}, "image: .*outside"),
        ({"image": "images/none.jpg"}, "image: .*does not exist"),
        ({"split": "dev"}, "split: 'dev'"),
        ({"split": ["test"]}, "split: "),
        ({"request": " "}, "request: empty"),
        ({"request": "x" * (1 << 20)}, "request: 1,048,576 characters"),
        ({"request": "\ud800"}, "request: not Unicode"),
        ({"lang": "the english one"}, "lang: "),
        ({"palette": None}, "palette: not a list"),
        ({"palette": [[float("nan"), 0, 0]]}, r"palette\[0\]: COLOUR_NOT_FINITE"),
        ({"palette": [[50, 0, 0], [120, 0, 0]]}, r"palette\[1\]: COLOUR_OUT_OF_GAMUT"),
        ({"palette": [[50, 200, 0]]}, r"palette\[0\]: COLOUR_OUT_OF_GAMUT"),
        ({"palette": [[10**400, 0, 0]]}, r"palette\[0\]: a number"),
        ({"palette": [[50, 0]]}, r"palette\[0\]: neither"),
        ({"palette": [[True, 0, 0]]}, r"palette\[0\]: neither"),
        ({"palette": ["red"]}, r"palette\[0\]: neither"),
        ({"palette": [[50, 0, 0]] * 13}, "palette: PALETTE_TOO_MANY_COLOURS"),
        ({"targets": "a"}, "targets: not a list"),
        ({"targets": ["b", "a"], "subset": "multi"}, "targets: the first"),
        ({"targets": []}, "targets: the first"),
        ({"targets": ["a", "b", "b"], "subset": "multi"}, "targets: an id is there twice"),
        ({"targets": ["a", "z"], "subset": "multi"}, "targets: no entry has the id 'z'"),
        ({"targets": ["a", "c"], "subset": "multi"}, "targets: 'c' is of split val, not test"),
        ({"subset": "multi"}, "subset: multi, but there are 1 targets"),
        ({"composition": "yes"}, "composition: "),
        ({"binding": {"member": 1}}, r"binding\.family: missing"),
    ],
)
def test_a_fault_is_named_by_file_line_and_field(folder: Path, changes: dict[str, Any], field: str) -> None:
    put(folder, line("b"), line("a", **changes), line("c", split="val"))
    with pytest.raises(NailStarError, match=rf"{LISTING}:2: {field}"):
        read(folder)


@pytest.mark.parametrize("name", ["id", "image", "split", "request", "lang", "palette", "targets", "subset"])
def test_a_missing_field_is_a_fault(folder: Path, name: str) -> None:
    fields = line("a")
    del fields[name]
    put(folder, fields)
    with pytest.raises(NailStarError, match=rf"{LISTING}:1: {name}: missing"):
        read(folder)


def test_an_id_that_is_used_twice_names_both_lines(folder: Path) -> None:
    put(folder, line("a"), line("b"), line("a"))
    with pytest.raises(NailStarError, match=rf"{LISTING}:3: id: 'a' is that of line 1"):
        read(folder)


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"id": "a"', "[" * 100_000])
def test_what_is_no_json_object_is_a_fault(folder: Path, text: str) -> None:
    put(folder, text)
    with pytest.raises(NailStarError, match=rf"{LISTING}:1: not "):
        read(folder)


def test_all_faults_are_found_and_the_other_lines_kept(folder: Path) -> None:
    put(folder, line("a", lang="?"), line("b"), line("c", request=""), "x" * (9 << 20), line("c"))
    found = list(scan(folder))
    assert [entry.id for entry in found if not isinstance(entry, NailStarError)] == ["b", "c"]
    faults = [str(entry) for entry in found if isinstance(entry, NailStarError)]
    assert [fault.split(f"{LISTING}:")[1].split(":")[0] for fault in faults] == ["1", "3", "4"]
    assert "longer than 8 MiB" in faults[2]


def test_no_file_and_no_entries_are_faults(folder: Path) -> None:
    with pytest.raises(NailStarError, match="no such file"):
        read(folder)
    (folder / LISTING).write_text("\n")
    with pytest.raises(NailStarError, match="no entries"):
        read(folder)
