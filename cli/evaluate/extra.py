"""The libraries of the extra `evaluate`, which commands with statistics and figures need."""

from __future__ import annotations

from importlib.util import find_spec

from cli.errors import MissingExtraError

LIBRARIES = ("scipy", "sklearn", "matplotlib")


def require_evaluate_extra() -> None:
    """Raises MissingExtraError where a library is absent: before any work begins, not when it is needed."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"this command needs {', '.join(missing)}, which the extra `evaluate` brings: "
            "pip install 'lunula[evaluate]'"
        )
