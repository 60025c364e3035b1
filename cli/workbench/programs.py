"""Commands that are programs of their own: they belong to training, which the client does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Settings of a command that reads no arguments itself."""
_INTERRUPTED = 130


def run_module(module: str, *args: str, interpreter: Path | None = None) -> int:
    """Run `python -m module args` and return its exit code; by default with this interpreter."""
    python = str(interpreter or sys.executable)
    try:
        return subprocess.run([python, "-m", module, *args], check=False).returncode
    except KeyboardInterrupt:  # the program has reported it itself
        return _INTERRUPTED
