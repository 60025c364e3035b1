"""Reading a whole listing for a person: what is wrong with it, line by line, or what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import typer
from rich.markup import escape

from cli.console import errors, errors_as_exit_codes
from evaluation.errors import DataError

_SHOWN = 20  # faults that are printed
_FAULTY = 2
Item = TypeVar("Item")


def require_valid(found: Iterable[Item | DataError]) -> list[Item]:
    """The items of a listing, where all are in order; else the faults are printed and the command ends."""
    items: list[Item] = []
    faults = 0
    with errors_as_exit_codes():
        for one in found:
            if isinstance(one, DataError):
                faults += 1
                if faults <= _SHOWN:
                    errors.print(f"[red]error:[/red] {escape(str(one))}", soft_wrap=True)
            else:
                items.append(one)
    if faults:
        if faults > _SHOWN:
            errors.print(f"{faults - _SHOWN:,} further faults")
        raise typer.Exit(_FAULTY)
    return items
