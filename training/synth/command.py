"""How the commands of the generator end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
