"""Commands about a folder with a listing: check every line and count, or write one from a synthetic run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import RenderableType
from rich.markup import escape

from cli.console import console, errors, errors_as_exit_codes
from cli.workbench.programs import PASS_ON, run_module
from evaluation.errors import DataError

_SHOWN = 20  # faults that are printed
_FAULTY = 2
Item = TypeVar("Item")


def register_listing(
    app: typer.Typer,
    name: str,
    *,
    help: str,
    scan: Callable[[Path], Iterable[Item | DataError]],
    summarise: Callable[[list[Item]], RenderableType],
    generator: str,
    generator_help: str,
) -> None:
    """Add `NAME check` and `NAME from-synth` to `app`.

    scan: reads a folder's items and faults. summarise: what is printed of valid items. generator: the module
    that writes a listing for a synthetic run.
    """
    group = typer.Typer(help=help, no_args_is_help=True)

    @group.command("check")
    def check(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with its listing and photos.")],
    ) -> None:
        """Read every line of a folder: print what is wrong by file, line and field, else count."""
        console.print(summarise(require_valid(scan(folder))))

    @group.command("from-synth", context_settings=PASS_ON, help=generator_help)
    def from_synth(context: typer.Context) -> None:
        raise typer.Exit(run_module(generator, *context.args))

    app.add_typer(group, name=name)


def require_valid(items_and_faults: Iterable[Item | DataError]) -> list[Item]:
    """The items of a listing where all lines are valid; else the faults are printed and the command ends."""
    items: list[Item] = []
    faults: list[DataError] = []
    with errors_as_exit_codes():
        for one in items_and_faults:
            if isinstance(one, DataError):
                faults.append(one)
            else:
                items.append(one)
    for fault in faults[:_SHOWN]:
        errors.print(f"[red]error:[/red] {escape(str(fault))}", soft_wrap=True)
    if len(faults) > _SHOWN:
        errors.print(f"{len(faults) - _SHOWN:,} further faults")
    if faults:
        raise typer.Exit(_FAULTY)
    return items
