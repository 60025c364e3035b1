"""Reading the index of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def numbered_records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record and where it stands (file and line), in the order of `folder`/index.jsonl.

    Raises ValueError for a line that is no JSON object and for an index without any, OSError.
    """
    path = folder / "index.jsonl"
    number = 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: not JSON: {error}") from None
            if not isinstance(record, dict):
                raise ValueError(f"{path}:{number}: not a JSON object")
            yield f"{path}:{number}", record
    if not number:
        raise ValueError(f"{path}: no photos")
