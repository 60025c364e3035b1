"""Reading the arrays that training writes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import DataError


def read_arrays(path: Path, error: type[DataError]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name. Raises `error` where it cannot be read; pickles are refused."""
    try:
        # Opened here: np.load leaves a file that it cannot read open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as fault:
        raise error(f"{path}: {fault}") from fault
