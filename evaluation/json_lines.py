"""Reading JSON lines that anybody may have written: lines of bounded length, texts, files of a folder.

Each form has an error of its own; these functions raise the one that they are given, with file, line and
field in its message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from evaluation.errors import DataError


class Named(Protocol):
    """What a line holds."""

    @property
    def id(self) -> str: ...


Item = TypeVar("Item", bound=Named)
Fault = TypeVar("Fault", bound=DataError)


def scan_lines(
    path: Path, most: int, parse: Callable[[bytes, str], Item], error: type[Fault]
) -> Iterator[tuple[int, Item] | Fault]:
    """Every line that is in order, with its number, and every fault, in the file's order.

    parse: of a line and where it stands, raises `error`. A line of more than `most` bytes is a fault, so is
    an id that an earlier line has. Raises OSError where the file cannot be read.
    """
    lines: dict[str, int] = {}
    for number, line in numbered_lines(path, most):
        where = f"{path}:{number}"
        try:
            if len(line) > most:
                raise error(f"{where}: longer than {most >> 20} MiB")
            item = parse(line, where)
            if item.id in lines:
                raise error(f"{where}: id: {item.id!r} is that of line {lines[item.id]}")
        except error as fault:
            yield fault
            continue
        lines[item.id] = number
        yield number, item


def numbered_lines(path: Path, most: int) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, numbered from 1; of one that is longer than `most` bytes only its beginning,
    which is longer too."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(most + 1):
            number += 1
            rest = line
            while len(rest) > most and not rest.endswith(b"\n"):
                rest = file.readline(most + 1)
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield number, line


def object_of(
    line: bytes, where: str, needed: tuple[str, ...], error: type[DataError], *, finite: bool = False
) -> dict[str, Any]:
    """The object of a line, with all `needed` fields. finite: NaN and infinities anywhere are no JSON."""
    try:
        fields = json.loads(line, parse_constant=_no_constant if finite else None)
    except (ValueError, RecursionError) as fault:
        raise error(f"{where}: not JSON: {fault}") from None
    if not isinstance(fields, dict):
        raise error(f"{where}: not a JSON object")
    for name in needed:
        if name not in fields:
            raise error(f"{where}: {name}: missing")
    return fields


def text_of(fields: Mapping[str, Any], name: str, where: str, most: int, error: type[DataError]) -> str:
    """A text of at most `most` characters, which may be empty."""
    value = fields[name]
    if not isinstance(value, str):
        raise error(f"{where}: {name}: not a text")
    if len(value) > most:
        raise error(f"{where}: {name}: {len(value):,} characters are more than {most:,}")
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise error(f"{where}: {name}: not Unicode text")
    return value


def file_of(value: str, name: str, where: str, root: Path, error: type[DataError]) -> Path:
    """The file `value` of the resolved folder `root`; links are followed before it is judged."""
    path = PurePosixPath(value)
    try:
        inside = not path.is_absolute() and (root / path).resolve().is_relative_to(root)
        there = inside and (root / path).is_file()
    except (OSError, RuntimeError) as fault:  # a name that is too long, a loop of links
        raise error(f"{where}: {name}: {value[:80]!r}: {fault}") from None
    if not inside:
        raise error(f"{where}: {name}: {value!r} lies outside the folder")
    if not there:
        raise error(f"{where}: {name}: {value!r} does not exist")
    return root / path


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
