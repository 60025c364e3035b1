"""Reading requests: a text file with one a line, or the texts of records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path


def read_requests(path: Path) -> Iterator[str]:
    """The requests of a text file, blank lines left out; or, of a .jsonl, the `texts[*].text` of its records.

    ValueError names file, line and field.
    """
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if path.suffix != ".jsonl":
                if line.strip():
                    yield line.strip()
                continue
            try:
                texts = json.loads(line)["texts"]
                yield from [str(text["text"]) for text in texts if text["text"]]
            except (ValueError, KeyError, TypeError) as error:
                what = f"missing field {error}" if isinstance(error, KeyError) else str(error)
                raise ValueError(f"{path}:{number}: {what}") from error
