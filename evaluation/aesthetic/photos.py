"""Photos that people voted on (paper Q), in either of two forms.

- AVA's own files (see `evaluation.aesthetic.ava`), which bring no split.
- A synthetic folder, made by `lunula data synth --kind aesthetics`: `index.jsonl`, whose records hold split,
  votes, tags and words of the tags, beside AVA.txt and tags.txt with the same votes and tags; they must
  agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from evaluation.aesthetic.ava import LISTING, TAGS, read_ava, scan_rows, tag_names
from evaluation.aesthetic.rated import (
    MAX_TAGS,
    Rated,
    RatedError,
    RatedSet,
    check_votes,
    digest_files,
)
from evaluation.json_lines import FILLED, FileName, Line, parse_line, require_valid, scan_lines

INDEX: Final = "index.jsonl"
_MAX_LINE = 8 << 20  # bytes: records of synthetic photos hold many texts


def read(folder: Path, **ava: Any) -> RatedSet:
    """The photos of a folder: synthetic ones where there is index.jsonl, else AVA's (`ava`: of `read_ava`).

    Raises RatedError for the first fault, OSError for files that cannot be read.
    """
    if (folder / INDEX).is_file():
        if ava:
            raise RatedError(
                f"{folder / INDEX}: synthetic photos have their own split: {', '.join(ava)} is AVA's"
            )
        return read_synthetic(folder)
    return read_ava(folder, **ava)


def read_synthetic(folder: Path) -> RatedSet:
    """The photos of a synthetic folder. Raises RatedError, OSError."""
    path = folder / INDEX
    if not path.is_file():
        raise RatedError(f"{path}: no such file")
    root = folder.resolve()
    words: dict[str, dict[str, str]] = {}
    parse = partial(_parse_record, root=root, words=words)
    photos = require_valid(scan_lines(path, _MAX_LINE, parse, RatedError))
    if not photos:
        raise RatedError(f"{path}: no photos")
    rows = {row.id: row for row in scan_rows(folder / LISTING, tag_names(folder / TAGS))}
    for line, photo in photos:
        row = rows.pop(int(photo.id), None)
        if row is None:
            raise RatedError(f"{path}:{line}: id: {photo.id!r} has no row in {folder / LISTING}")
        if row.votes != photo.votes or row.tags != photo.tags:
            name = "votes" if row.votes != photo.votes else "tags"
            raise RatedError(f"{path}:{line}: {name}: not those of {row.where}")
    for row in rows.values():
        raise RatedError(f"{row.where}: image {row.id} is not in {path}")
    digest = digest_files([path, folder / LISTING, folder / TAGS])
    return RatedSet(tuple(photo for _, photo in photos), words, digest, "drawn", {"split": "of the records"})


class _Aesthetics(Line):
    tags: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_TAGS)]
    words: dict[str, list[Annotated[str, FILLED]]]
    votes: Annotated[list[int], AfterValidator(check_votes)]


class _Record(Line):
    """What is read of a line of index.jsonl."""

    id: Annotated[str, Field(max_length=20, pattern=r"^[0-9]+$")]
    image: FileName
    split: Literal["train", "val", "test"]
    aesthetics: _Aesthetics


def _parse_record(line: bytes, where: str, root: Path, words: dict[str, dict[str, str]]) -> Rated:
    """One line of index.jsonl; the words of its tags are added to `words`."""
    form = parse_line(_Record, line, where, RatedError, root=root, finite=False)
    own = form.aesthetics
    _add_words(own.words, own.tags, f"{where}: aesthetics.words", words)
    return Rated(form.id, root / form.image, tuple(own.tags), tuple(own.votes), form.split)


def _add_words(
    given: Mapping[str, list[str]], tags: list[str], where: str, words: dict[str, dict[str, str]]
) -> None:
    """Adds the words of a record's tags by language; a tag has the same words wherever it stands."""
    for lang, own in given.items():
        if len(own) != len(tags):
            raise RatedError(f"{where}.{lang}: not one text for each tag")
        for tag, text in zip(tags, own, strict=True):
            if words.setdefault(tag, {}).setdefault(lang, text) != text:
                raise RatedError(f"{where}.{lang}: {tag} was {words[tag][lang]!r} before")
    for tag in tags:
        if "en" not in words.get(tag, {}):
            raise RatedError(f"{where}: no English words for the tag {tag}")
