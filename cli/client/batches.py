"""Photos in calls that fit into a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from cli.errors import RequestError
from services.kit.client.channel import MAX_MESSAGE_BYTES

MOST_BYTES = 64 * 2**20
"""Of the photos of one call, well below what a message may have."""


def batches(paths: Sequence[Path], most: int) -> Iterator[list[Path]]:
    """The paths in their order, at most `most` and MOST_BYTES of files in each; a single one always goes.

    Raises RequestError for a file that is not there.
    """
    batch: list[Path] = []
    total = 0
    for path in paths:
        size = file_size(path)
        if batch and (len(batch) == most or total + size > MOST_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(path)
        total += size
    if batch:
        yield batch


def file_size(path: Path) -> int:
    """Bytes of a file. Raises RequestError."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error


def read_photo_bytes(path: Path) -> bytes:
    """What is in a file. Raises RequestError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from error


def check_fits(what: str, total: int) -> None:
    """Something that must be in one call. total: its bytes. Raises RequestError with sum and limit."""
    if total > MAX_MESSAGE_BYTES:
        raise RequestError(
            f"{what} have {total / 2**20:.1f} MiB together and must go in one call, which takes "
            f"{MAX_MESSAGE_BYTES / 2**20:.0f} MiB; send fewer of them (--works) or smaller photos"
        )
