"""How the commands of the generator read their options and end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import tyro

T = TypeVar("T")


def read_options(options: type[T], program: str, description: str | None, argv: Sequence[str] | None) -> T:
    """The command line (of this process where `argv` is None) as an instance of the dataclass `options`.

    Ends the process with the help (exit code 0) or with what is wrong (2), as argparse does.
    """
    return tyro.cli(
        options, prog=program, description=description, args=argv, config=(tyro.conf.FlagCreatePairsOff,)
    )


@contextmanager
def reported_errors(folder: Path | None = None) -> Iterator[None]:
    """Turn errors into a message and an exit code: 2 for a ValueError, 1 for RuntimeError and OSError.

    `folder`: what an OSError is about that names no file.
    """
    try:
        yield
    except ValueError as error:  # the options ask for what cannot be done
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or folder}: {error.strerror or error}")
