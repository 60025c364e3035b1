"""Processes that end when the one that started them does, also when it is killed and can stop nothing."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> bool:
    """Ask the kernel for the signal `number` when the parent of this process dies (Linux only).

    parent: its process id. Returns False where that process has died already, so that the signal would never
    come. One call of libc: may also run between fork and exec.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, number)
        return os.getppid() == parent
    return True
