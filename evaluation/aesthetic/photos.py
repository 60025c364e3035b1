"""Photos that people voted on (paper Q), in either of two forms.

- AVA's own files (see `evaluation.aesthetic.ava`), which bring no split.
- A folder drawn by `lunula data synth --kind aesthetics`: `index.jsonl`, whose records say split, votes, tags
  and the words of the tags, beside AVA.txt and tags.txt with the same votes and tags. The two must agree.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from evaluation.aesthetic.ava import LISTING, TAGS, read_ava, scan_rows, tag_names
from evaluation.aesthetic.rated import (
    MAX_TAGS,
    SPLITS,
    Rated,
    RatedError,
    RatedSet,
    checked_votes,
    digest_files,
)
from evaluation.json_lines import file_of, object_of, scan_lines, text_of

INDEX: Final = "index.jsonl"
_MAX_LINE = 8 << 20  # bytes: records of drawn photos hold many texts
_NEEDED = ("id", "image", "split", "aesthetics")


def read(folder: Path, **ava: Any) -> RatedSet:
    """The photos of a folder: drawn ones where there is index.jsonl, else AVA's (`ava`: of `read_ava`).

    Raises RatedError for the first fault, OSError for files that cannot be read.
    """
    if (folder / INDEX).is_file():
        if ava:
            raise RatedError(
                f"{folder / INDEX}: drawn photos have their own split: {', '.join(ava)} is AVA's"
            )
        return read_drawn(folder)
    return read_ava(folder, **ava)


def read_drawn(folder: Path) -> RatedSet:
    """The photos of a drawn folder. Raises RatedError, OSError."""
    path = folder / INDEX
    if not path.is_file():
        raise RatedError(f"{path}: no such file")
    root = folder.resolve()
    words: dict[str, dict[str, str]] = {}
    photos: list[Rated] = []
    lines: list[int] = []
    parsed = scan_lines(path, _MAX_LINE, lambda line, where: _record(line, where, root, words), RatedError)
    for found in parsed:
        if isinstance(found, RatedError):
            raise found
        lines.append(found[0])
        photos.append(found[1])
    if not photos:
        raise RatedError(f"{path}: no photos")
    rows = {row.id: row for row in scan_rows(folder / LISTING, tag_names(folder / TAGS))}
    for line, photo in zip(lines, photos, strict=True):
        row = rows.pop(int(photo.id), None)
        if row is None:
            raise RatedError(f"{path}:{line}: id: {photo.id!r} has no row in {folder / LISTING}")
        if row.votes != photo.votes or row.tags != photo.tags:
            name = "votes" if row.votes != photo.votes else "tags"
            raise RatedError(f"{path}:{line}: {name}: not those of {row.where}")
    for row in rows.values():
        raise RatedError(f"{row.where}: image {row.id} is not in {path}")
    digest = digest_files([path, folder / LISTING, folder / TAGS])
    return RatedSet(tuple(photos), words, digest, "drawn", {"split": "of the records"})


def _record(line: bytes, where: str, root: Path, words: dict[str, dict[str, str]]) -> Rated:
    """One line of index.jsonl; `words` learns the words of its tags."""
    fields = object_of(line, where, _NEEDED, RatedError)
    own = fields["aesthetics"]
    if not isinstance(own, dict):
        raise RatedError(f"{where}: aesthetics: not an object")
    for name in ("tags", "words", "votes"):
        if name not in own:
            raise RatedError(f"{where}: aesthetics: {name}: missing")
    tags, votes = own["tags"], own["votes"]
    if not isinstance(tags, list) or len(tags) > MAX_TAGS or not all(isinstance(t, str) and t for t in tags):
        raise RatedError(f"{where}: aesthetics: tags: not a list of at most {MAX_TAGS} names")
    if not isinstance(votes, list):
        raise RatedError(f"{where}: aesthetics: votes: not a list")
    _learn(own["words"], tags, where, words)
    name = text_of(fields, "id", where, 20, RatedError)
    if not (name.isascii() and name.isdecimal()):
        raise RatedError(f"{where}: id: {name!r} is no number")
    if fields["split"] not in SPLITS:
        raise RatedError(f"{where}: split: {fields['split']!r:.40} is none of {', '.join(SPLITS)}")
    image = file_of(text_of(fields, "image", where, 4096, RatedError), "image", where, root, RatedError)
    return Rated(name, image, tuple(tags), checked_votes(votes, f"{where}: aesthetics"), fields["split"])


def _learn(given: Any, tags: list[str], where: str, words: dict[str, dict[str, str]]) -> None:
    """Adds the words of a record's tags by language; a tag has the same words wherever it stands."""
    if not isinstance(given, dict):
        raise RatedError(f"{where}: aesthetics: words: not an object of lists by language")
    for lang, own in given.items():
        if not isinstance(own, list) or len(own) != len(tags):
            raise RatedError(f"{where}: aesthetics: words: {lang}: not one text for each tag")
        for tag, text in zip(tags, own, strict=True):
            if not isinstance(text, str) or not text.strip():
                raise RatedError(f"{where}: aesthetics: words: {lang}: {text!r:.40} is no text")
            if words.setdefault(tag, {}).setdefault(lang, text) != text:
                raise RatedError(f"{where}: aesthetics: words: {lang}: {tag} was {words[tag][lang]!r} before")
    for tag in tags:
        if "en" not in words.get(tag, {}):
            raise RatedError(f"{where}: aesthetics: words: no English words for the tag {tag}")
