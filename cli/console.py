"""The console of all commands, and how they end with an error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.errors import MissingExtraError, RequestError, StackError
from evaluation.errors import DataError
from services.kit.errors import LunulaError

T = TypeVar("T")

# What is piped into a file is not cut to the width of a terminal that is not there.
_PIPED_WIDTH = 120
console = Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH)
errors = Console(stderr=True)

# 1: the work failed; 2: what was asked for cannot be read.
_EXIT_FAILED = 1
_EXIT_USAGE = 2


@contextmanager
def errors_as_exit_codes() -> Iterator[None]:
    """Turn errors that a user can correct into a message and an exit code; others show their traceback."""
    try:
        yield
    except LunulaError as error:
        errors.print(f"[red]error:[/red] {escape(error.message)} [dim]\\[{error.reason}][/dim]")
        for path, description in error.fields:
            errors.print(f"  {escape(path)}: {escape(description)}")
        raise typer.Exit(_EXIT_FAILED) from error
    except (StackError, MissingExtraError) as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(_EXIT_FAILED) from error
    except (RequestError, DataError) as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(_EXIT_USAGE) from error
    except OSError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(_EXIT_FAILED) from error
    except UnicodeEncodeError as error:
        errors.print(f"[red]error:[/red] not Unicode text: {escape(str(error))}")
        raise typer.Exit(_EXIT_USAGE) from error


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end with `errors_as_exit_codes`."""
    with errors_as_exit_codes():
        return asyncio.run(work)


def progress() -> Progress:
    """A progress bar with counts and the time that is left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
    )
