"""Reading JSON that anybody may have written: lines of bounded length, each checked by a pydantic model.

A form is a subclass of `Line`. Every form has an error of its own, a subclass of DataError; the functions
here raise the one that they are given, with file, line and field in its message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from evaluation.errors import DataError

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MAX_PATH = 4096
_WORDS: Final = {
    "missing": "missing",
    "model_type": "not an object",
    "dict_type": "not an object",
    "list_type": "not a list",
    "string_type": "not a text",
    "string_unicode": "not Unicode text",
    "string_too_short": "empty",
    "int_type": "not a whole number",
    "float_type": "not a number",
    "bool_type": "not true or false",
    "extra_forbidden": "unknown field",
}
"""What pydantic's types of errors are called in messages; its own words for all others."""


class Line(BaseModel):
    """One line of a form. Values are of their type without conversion; further fields are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Named(Protocol):
    """An item that a line describes."""

    @property
    def id(self) -> str: ...


Form = TypeVar("Form", bound=Line)
Item = TypeVar("Item", bound=Named)
Fault = TypeVar("Fault", bound=DataError)
Read = TypeVar("Read")


def scan_lines(
    path: Path, most: int, parse: Callable[[bytes, str], Item], error: type[Fault]
) -> Iterator[tuple[int, Item] | Fault]:
    """Every valid line's item with its number, and every fault, in the file's order.

    parse: reads a line, given the file and line for messages; raises `error`. A line of more than `most`
    bytes is a fault, so is an id that an earlier line has. Raises OSError where the file cannot be read.
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


def require_valid(items_and_faults: Iterable[Read | DataError]) -> list[Read]:
    """All items; raises the first fault."""
    items: list[Read] = []
    for one in items_and_faults:
        if isinstance(one, DataError):
            raise one
        items.append(one)
    return items


def read_lines(
    path: Path, most: int, form: type[Form], error: type[DataError], *, finite: bool = True
) -> Iterator[tuple[str, Form]]:
    """The lines of a file as `form`, each with file and line for messages. Raises `error`, OSError."""
    for number, line in numbered_lines(path, most):
        where = f"{path}:{number}"
        if len(line) > most:
            raise error(f"{where}: longer than {most >> 20} MiB")
        yield where, parse_line(form, line, where, error, finite=finite)


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


def write_lines(path: Path, entries: Iterable[Mapping[str, Any]]) -> int:
    """Write entries as lines of JSON, the whole file or nothing, and return how many. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    count = 0
    with draft.open("w", encoding="utf-8") as file:
        for entry in entries:
            file.write(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    draft.replace(path)
    return count


def read_json(path: Path, form: type[Form], error: type[DataError]) -> Form:
    """A file that is one JSON object. Raises `error` with file and field, also where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise error(f"{path}: {fault.strerror}") from fault
    return parse_line(form, data, str(path), error, finite=False)


def parse_line(
    form: type[Form],
    line: bytes,
    where: str,
    error: type[DataError],
    *,
    root: Path | None = None,
    finite: bool = True,
) -> Form:
    """A line as `form`. where: for messages. root: the resolved folder of its files.

    finite: NaN and infinities are no JSON, wherever they stand. Raises `error` for the first fault.
    """
    try:
        fields = json.loads(line, parse_constant=_refuse_constant if finite else None)
    except (ValueError, RecursionError) as fault:
        raise error(f"{where}: not JSON: {fault}") from None
    if not isinstance(fields, dict):
        raise error(f"{where}: not a JSON object")
    try:
        return form.model_validate(fields, context={"root": root})
    except ValidationError as invalid:
        raise error(f"{where}: {_describe(invalid)}") from None


def _describe(invalid: ValidationError) -> str:
    """The first fault: its field, what is wrong, and the value where that is short."""
    fault = invalid.errors(include_url=False)[0]
    field = ""
    for part in fault["loc"]:
        if isinstance(part, str) and part.isidentifier():
            field += f".{part}" if field else part
        elif part != "[key]":
            field += f"[{part!r}]"
    kind, limits = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        reason = str(limits["error"])
    elif kind in ("string_too_long", "too_long"):
        what = " characters" if isinstance(fault["input"], str) else ""
        reason = f"{len(fault['input']):,}{what} are more than {limits['max_length']:,}"
    else:
        reason = _WORDS.get(kind) or f"{fault['input']!r:.40}: {fault['msg']}"
    return f"{field}: {reason}" if field else reason


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _check_unicode(value: str) -> str:
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("not Unicode text")
    return value


def _check_filled(value: str) -> str:
    if not value.strip():
        raise ValueError("empty")
    return value


def _check_language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError(f"{value!r} is no language tag such as en or ja")
    return value


def _check_file(value: str, info: ValidationInfo) -> str:
    """`value` is a file of the folder `root`, which is resolved; links are followed before it is checked."""
    root: Path = (info.context or {})["root"]
    path = PurePosixPath(value)
    try:
        inside = not path.is_absolute() and (root / path).resolve().is_relative_to(root)
        exists = inside and (root / path).is_file()
    except (OSError, RuntimeError, ValueError) as fault:  # a name that is too long, a loop of links
        raise ValueError(f"{value[:80]!r}: {fault}") from None
    if not inside:
        raise ValueError(f"{value!r} lies outside the folder")
    if not exists:
        raise ValueError(f"{value!r} does not exist")
    return value


UNICODE: Final = AfterValidator(_check_unicode)
"""A text that can be stored and sent: no NUL, no half of a character."""
Text = Annotated[str, UNICODE]
FILLED: Final = AfterValidator(_check_filled)
"""A text that is not blank."""
LanguageTag = Annotated[str, Field(max_length=35), AfterValidator(_check_language)]
"""A BCP 47 tag such as en, ja, pt-BR."""
OptionalLanguageTag = Annotated[
    str, Field(max_length=35), AfterValidator(lambda value: _check_language(value) if value else value)
]
"""As LanguageTag, or "" for none."""
FileName = Annotated[str, Field(max_length=_MAX_PATH), UNICODE, AfterValidator(_check_file)]
"""The relative path of a file that exists inside the folder that `parse_line` was given."""
OptionalFileName = Annotated[
    str,
    Field(max_length=_MAX_PATH),
    UNICODE,
    AfterValidator(lambda value, info: _check_file(value, info) if value else value),
]
"""As FileName, or "" for none."""
