"""Command lines from frozen dataclasses: a flag for each field, with its docstring as help.

A training's configuration is one frozen dataclass; `parse` turns it into a command (tyro). A field that is a
dataclass itself has its name before its flags (`--image.epochs`), or none with `FLAT`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from tyro.conf import Positional, Suppress, UseAppendAction, arg, subcommand
from tyro.constructors import PrimitiveConstructorSpec

Command = TypeVar("Command")
Value = TypeVar("Value")

Folders = Annotated[tuple[Path, ...], UseAppendAction]
"""A flag that may be given several times, one folder each."""

FLAT: Any = arg(name="")
"""Annotation of a field whose own fields are flags without a prefix."""


def parse(command: Any, arguments: Sequence[str] | None = None, *, program: str, about: str | None) -> Any:
    """The command line as an object of the dataclass `command`, or of one of a union of subcommands.

    arguments: those of the process where None. about: the text above the help. Ends the process with 2 and a
    reason where the arguments do not fit.
    """
    return tyro.cli(command, prog=program, args=arguments, description=about)


def single(read: Callable[[str], Value], show: Callable[[Value], str], metavar: str) -> Any:
    """Annotation of a field that is one word on the command line; `read` raises ValueError with what fits."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda _: True,
        str_from_instance=lambda value: [show(value)],
    )


def whole(least: int, most: int = sys.maxsize) -> Any:
    """Annotation of a whole number from `least` to `most`."""
    limits = f"a whole number from {least}" + (f" to {most:,}" if most < sys.maxsize else "")

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise ValueError(f"{text} is not {limits}")
        return int(text)

    return single(read, str, f"{least}.." + (str(most) if most < sys.maxsize else ""))


def names(known: Sequence[str]) -> Any:
    """Annotation of a tuple that is names with commas between, each of `known`; "all" is every one."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(known) if text == "all" else tuple(dict.fromkeys(text.split(",")))
        for name in found:
            if name not in known:
                raise ValueError(f"{name!r} is none of {', '.join(known)}")
        return found

    return single(read, ",".join, "NAME,...")


def number_ranges(text: str) -> tuple[int, ...]:
    """ "1-3,7" as (1, 2, 3, 7). Raises ValueError for anything but numbers from 1."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not (low.isdecimal() and (high.isdecimal() if dash else True) and int(low) > 0):
            raise ValueError(f"{text} is not numbers such as 1-3,7")
        found += range(int(low), int(high or low) + 1)
    return tuple(found)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{text} is not NAME=VALUE")
    return name, value


Numbers = Annotated[
    tuple[int, ...], single(number_ranges, lambda values: ",".join(map(str, values)), "1-3,7")
]
"""Whole numbers as ranges with commas between."""
Pairs = Annotated[
    tuple[Annotated[tuple[str, str], single(_pair, "=".join, "NAME=VALUE")], ...], UseAppendAction
]
"""A flag that may be given several times, NAME=VALUE each."""
Count = Annotated[int, whole(1)]
"""A whole number from 1."""

__all__ = [
    "FLAT",
    "Count",
    "Folders",
    "Numbers",
    "Pairs",
    "Positional",
    "Suppress",
    "arg",
    "names",
    "parse",
    "single",
    "subcommand",
    "whole",
]
