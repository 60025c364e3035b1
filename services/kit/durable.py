"""Files that survive a crash: written beside, flushed to the disk, renamed, and the names flushed too."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(place: Path, data: bytes | memoryview, part: Path) -> None:
    """Puts `data` at `place`, by way of `part`, which must lie in the same file system.

    Under `place` there is never a part of a file; when this returns, the file is there after a crash. Makes
    the folder of `place` and flushes its name too. Raises OSError; then `part` is gone.
    """
    fresh = not place.parent.exists()
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(place.parent)
    if fresh:
        sync_folder(place.parent.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable: what was written, renamed or deleted there. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
