"""Works of synthetic artists in the form that paper A's models are trained on (`evaluation.works`).

    lunula data artists from-synth DIR

Writes DIR/works.jsonl for a run of `lunula data synth --kind artists`: photo, title, description, artist, and
the masks of nails and hands, with which the background alone can be judged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

LISTING: Final = "works.jsonl"
_NEEDED = ("id", "image", "mask", "hands_mask", "artist", "title", "description")


def work_of(record: dict[str, Any]) -> dict[str, Any]:
    """A line of works.jsonl from a record of the run."""
    return {name: record[name] for name in _NEEDED} | {"lang": record["language"]}


def read_index(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of a run of kind artists. Raises ValueError that names file and line."""
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
            for name in (*_NEEDED, "language"):
                if not isinstance(record.get(name), str):
                    raise ValueError(f"{path}:{number}: {name}: missing; this needs kind artists")
            yield record
    if not number:
        raise ValueError(f"{path}: no photos")


def write(folder: Path) -> int:
    """Writes works.jsonl of a run, whole or not at all; returns how many works there are.

    Raises ValueError for an index that cannot be read, OSError for files.
    """
    draft = folder / f"{LISTING}.part"
    count = 0
    with draft.open("w", encoding="utf-8") as file:
        for record in read_index(folder):
            file.write(json.dumps(work_of(record), ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    draft.replace(folder / LISTING)
    return count


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="lunula data artists from-synth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="a run of `lunula data synth --kind artists`"
    )
    args = parser.parse_args(argv)
    try:
        count = write(args.folder)
    except ValueError as error:
        parser.exit(2, f"error: {error}\n")
    except OSError as error:
        sys.exit(f"error: {error.filename or args.folder}: {error.strerror or error}")
    print(f"{args.folder / LISTING}: {count:,} works")


if __name__ == "__main__":
    main()
