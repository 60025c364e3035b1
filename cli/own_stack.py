"""A stack with an empty catalogue, for a command that measures and leaves nothing behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.console import errors
from cli.models import DEFAULT_REPOSITORY
from cli.ports import Addresses, free_addresses
from cli.stack import Stack, StackOptions

EmptyRank = Annotated[
    str,
    typer.Option(
        "--rank",
        help="RankService with an empty catalogue; by default a stack of its own is started and stopped.",
        metavar="HOST:PORT",
    ),
]
"""The option of commands that fill a catalogue to measure on it."""


@contextmanager
def own_stack(*, triton: bool = False) -> Iterator[Addresses]:
    """Starts the services on free ports, and removes them and what they stored at the end."""
    with tempfile.TemporaryDirectory(prefix="lunula-eval-") as state:
        options = StackOptions(Path(state), DEFAULT_REPOSITORY, free_addresses(), triton=triton)
        with Stack(options, report=lambda line: errors.print(f"[dim]{line}[/dim]")):
            yield options.addresses
