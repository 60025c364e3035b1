"""A training's command as it is recorded in what the training leaves behind."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


def record_command(*words: str, arguments: Sequence[str]) -> str:
    """The command `words` with the arguments as they were typed, folders and files by their names alone.

    Where they lie says nothing to others, and models are given away with their command.
    """
    return shlex.join([*words, *map(_by_name, arguments)])


def _by_name(argument: str) -> str:
    option, equals, value = argument.rpartition("=")
    return option + equals + (Path(value).name if "/" in value else value)
