"""AVA's own files (Murray, Marchesotti, Perronnin, CVPR 2012) and the two ways to split them.

    AVA.txt   one photo a row, 15 numbers: index, image id, counts of the votes 1 to 10, two tags (0: none),
              challenge
    tags.txt  a number and a name a row: 15 Nature
    images/   ID.jpg, or the photos in the folder itself

AVA.txt says nothing of training and test:

- `paper`: photos with a tag that at least `least` photos have (1,000; rarer tags are left out), shuffled by
  `seed`; the first `test` (1,350) are tested, the next `train` (135,000) train, the next `val` validate. How
  paper Q drew its photos is not published: this is a rule of ours with its numbers.
- `official`: the photos of a list are tested, `val` of the others, drawn by `seed`, validate, the rest train.
  A line of the list is an image id, ID.jpg, or a row as in AVA.txt.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evaluation.aesthetic.rated import MARKS, Rated, RatedError, RatedSet, check_votes, digest_files
from evaluation.json_lines import numbered_lines

LISTING: Final = "AVA.txt"
TAGS: Final = "tags.txt"
PHOTOS: Final = "images"
RULES: Final = ("paper", "official")
LEAST: Final = 1_000
TRAIN: Final = 135_000
TEST: Final = 1_350
COLUMNS: Final = 2 + MARKS + 3
_MAX_LINE = 4096  # bytes


@dataclass(frozen=True)
class Row:
    """One row of AVA.txt. where: file and line."""

    where: str
    id: int
    votes: tuple[int, ...]
    tags: tuple[str, ...]
    challenge: int


def read_ava(
    folder: Path,
    *,
    rule: str = "paper",
    test_list: Path | None = None,
    least: int = LEAST,
    train: int = TRAIN,
    val: int = TEST,
    test: int = TEST,
    seed: int = 7,
    skip_missing: bool = False,
) -> RatedSet:
    """The photos of AVA in `folder`, split by `rule`. skip_missing: photos that are not in the folder are
    left out, and counted in `about`; else the first is a fault.

    Raises RatedError for the first fault, OSError for files that cannot be read.
    """
    if rule not in RULES:
        raise RatedError(f"rule {rule!r} is none of {', '.join(RULES)}")
    if (rule == "official") != (test_list is not None):
        raise RatedError("the official split needs a list of the tested images, the paper's rule has none")
    names = tag_names(folder / TAGS)
    rows = list(scan_rows(folder / LISTING, names))
    there = []
    for row in rows:
        image = photo_path(folder, row.id)
        if image is not None:
            there.append((row, image))
        elif not skip_missing:
            raise RatedError(f"{row.where}: image {row.id}: there is no {folder / PHOTOS / f'{row.id}.jpg'}")
    about: dict[str, object] = {"split": rule, "seed": seed, "missing": len(rows) - len(there)}
    if test_list is None:
        chosen, splits = _paper([row for row, _ in there], least, (test, train, val), seed)
        about |= {"least": least}
    else:
        tested = read_test_list(test_list, {row.id for row in rows})
        chosen, splits = _official([row for row, _ in there], tested, val, seed)
        about |= {"tested": len(tested), "list": digest_files([test_list])}
    images = {row.id: image for row, image in there}
    photos = tuple(
        Rated(str(row.id), images[row.id], row.tags, row.votes, splits[row.id], row.challenge)
        for row in chosen
    )
    used = {tag for photo in photos for tag in photo.tags}
    words = {name: {"en": name} for name in names.values() if name in used}
    return RatedSet(photos, words, digest_files([folder / LISTING, folder / TAGS]), "ava", about)


def tag_names(path: Path) -> dict[int, str]:
    """Names by number of tags.txt, in its order. Raises RatedError."""
    names: dict[int, str] = {}
    for where, text in _lines(path):
        number, _, name = text.partition(" ")
        name = " ".join(name.split())
        if not (number.isascii() and number.isdecimal()) or int(number) == 0 or not name:
            raise RatedError(f"{where}: {text!r:.60} is not a number from 1 and the name of a tag")
        if "," in name:
            raise RatedError(f"{where}: {name!r}: a comma separates tags elsewhere")
        if int(number) in names or name in names.values():
            raise RatedError(f"{where}: {text!r:.60}: an earlier line has this number or this name")
        names[int(number)] = name
    if not names:
        raise RatedError(f"{path}: no tags")
    return names


def scan_rows(path: Path, names: Mapping[int, str]) -> Iterator[Row]:
    """The rows of AVA.txt. Raises RatedError for the first that is not in order."""
    seen: dict[int, str] = {}
    for where, text in _lines(path):
        values = _numbers(text, where)
        image = values[1]
        if image in seen:
            raise RatedError(f"{where}: image {image} is in {seen[image]} too")
        seen[image] = where
        tags = []
        for column, number in enumerate(values[12:14], 1):
            if number and number not in names:
                raise RatedError(f"{where}: tag {column}: {number} is not in {TAGS}")
            if number:
                tags.append(names[number])
        if len(set(tags)) < len(tags):
            raise RatedError(f"{where}: tag 2: {tags[1]} once more")
        try:
            votes = tuple(check_votes(values[2:12]))
        except ValueError as error:
            raise RatedError(f"{where}: votes: {error}") from None
        yield Row(where, image, votes, tuple(tags), values[14])
    if not seen:
        raise RatedError(f"{path}: no photos")


def read_test_list(path: Path, known: set[int]) -> set[int]:
    """The image ids of a list. Raises RatedError for a line that names none of the `known`."""
    found: dict[int, str] = {}
    for where, text in _lines(path):
        fields = text.split()
        name = fields[0].removesuffix(".jpg") if len(fields) == 1 else text
        if len(fields) == COLUMNS:
            image = _numbers(text, where)[1]
        elif name.isascii() and name.isdecimal():
            image = int(name)
        else:
            raise RatedError(f"{where}: {text!r:.60} is no image id and no row of {COLUMNS} numbers")
        if image not in known:
            raise RatedError(f"{where}: image {image} is not in {LISTING}")
        if image in found:
            raise RatedError(f"{where}: image {image} is in {found[image]} too")
        found[image] = where
    if not found:
        raise RatedError(f"{path}: no images")
    return set(found)


def photo_path(folder: Path, image: int) -> Path | None:
    """The file of an image id, None where there is none. Ids of synthetic photos have six digits."""
    for parent in (folder / PHOTOS, folder):
        for name in (f"{image}.jpg", f"{image:06d}.jpg"):
            if (parent / name).is_file():
                return parent / name
    return None


def _paper(
    rows: list[Row], least: int, sizes: tuple[int, int, int], seed: int
) -> tuple[list[Row], dict[int, str]]:
    """(rows of all splits in the file's order, split by id); sizes: of test, train, val."""
    counts = Counter(tag for row in rows for tag in row.tags)
    common = {tag for tag, count in counts.items() if count >= least}
    kept = [
        Row(row.where, row.id, row.votes, tags, row.challenge)
        for row in rows
        if (tags := tuple(tag for tag in row.tags if tag in common))
    ]
    if min(sizes) < 1 or sum(sizes) > len(kept):
        raise RatedError(
            f"{len(kept):,} photos have one of the {len(common)} tags of {least:,} or more photos:"
            f" not enough for test={sizes[0]}, train={sizes[1]}, val={sizes[2]}"
        )
    order = sorted(row.id for row in kept)
    random.Random(seed).shuffle(order)
    splits: dict[int, str] = {}
    start = 0
    for split, size in zip(("test", "train", "val"), sizes, strict=True):
        splits |= dict.fromkeys(order[start : start + size], split)
        start += size
    return [row for row in kept if row.id in splits], splits


def _official(rows: list[Row], tested: set[int], val: int, seed: int) -> tuple[list[Row], dict[int, str]]:
    others = sorted(row.id for row in rows if row.id not in tested)
    if not 0 < val < len(others):
        raise RatedError(f"{len(others):,} photos are not in the list: val={val} of them cannot validate")
    random.Random(seed).shuffle(others)
    splits = dict.fromkeys(tested, "test") | dict.fromkeys(others, "train")
    return rows, splits | dict.fromkeys(others[:val], "val")


def _numbers(text: str, where: str) -> list[int]:
    """The 15 numbers of a row. Raises RatedError."""
    fields = text.split()
    if len(fields) != COLUMNS:
        raise RatedError(f"{where}: {len(fields)} columns, not {COLUMNS}")
    for column, value in enumerate(fields, 1):
        if not (value.isascii() and value.isdecimal() and len(value) < 16):
            raise RatedError(f"{where}: column {column}: {value!r:.40} is no whole number")
    return [int(value) for value in fields]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """(file and line, text) of the lines that are not blank. Raises RatedError."""
    if not path.is_file():
        raise RatedError(f"{path}: no such file")
    for number, line in numbered_lines(path, _MAX_LINE):
        where = f"{path}:{number}"
        if len(line) > _MAX_LINE:
            raise RatedError(f"{where}: longer than {_MAX_LINE} bytes")
        try:
            yield where, line.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise RatedError(f"{where}: not UTF-8") from None
