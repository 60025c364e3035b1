"""The store of few-shot artists: their records, and the gallery that works are compared with.

Readers take a snapshot (`Gallery`), which never changes; one writer at a time keeps the files and then puts a
new snapshot in its place. So an identification sees an artist whole or not at all, and what was answered with
OK is on the disk.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nails.artist.openset import Prototypes
from nails.artist.text_vectors import SparseRows
from services.classify.enrolment import records
from services.classify.enrolment.records import Record, RecordDamaged
from services.kit.concurrency.threads import WorkThreads
from services.kit.errors import FailedPrecondition, NotFound, ResourceExhausted, Unavailable

_LOCK_FILE = ".lock"


@dataclass(frozen=True)
class Gallery:
    """Enrolled artists of one vector space, in the order of their ids. prototypes: None without artists."""

    records: tuple[Record, ...] = ()
    prototypes: Prototypes | None = None

    @classmethod
    def from_records(cls, kept: Mapping[str, Record], space: str) -> Gallery:
        """The gallery of those records whose vectors are of `space`."""
        own = tuple(kept[artist] for artist in sorted(kept) if kept[artist].space == space)
        if not own:
            return cls()
        return cls(
            own,
            Prototypes(
                tuple(record.artist for record in own),
                np.stack([record.image_prototype() for record in own]),
                SparseRows.stack(record.text_prototype() for record in own),
            ),
        )


class EnrolmentStore:
    """Enrolled artists in memory and on the disk."""

    def __init__(self, folder: Path, *, most: int, threads: WorkThreads) -> None:
        """Reads `folder`, which need not exist. most: artists that may be enrolled. threads: for files.

        Raises FailedPrecondition ENROLMENT_DAMAGED for a file that is not an artist, and
        ENROLMENT_UNREADABLE.
        """
        self._folder = folder
        self._most = most
        self._threads = threads
        self._writing = asyncio.Lock()
        self._handle: int | None = None
        self._tasks: set[asyncio.Task[bool]] = set()
        try:
            self._kept: Mapping[str, Record] = records.read_all(folder)
        except RecordDamaged as error:
            raise FailedPrecondition(str(error), reason="ENROLMENT_DAMAGED") from error
        except OSError as error:
            raise FailedPrecondition(f"{folder}: {error}", reason="ENROLMENT_UNREADABLE") from error
        self._galleries: dict[str, Gallery] = {}

    @property
    def kept(self) -> Mapping[str, Record]:
        """Every artist by id, also those of another space; a snapshot."""
        return self._kept

    def gallery(self, space: str) -> Gallery:
        """The gallery that works are compared with. Raises FailedPrecondition FINGERPRINT_MISMATCH.

        An artist that was enrolled with other models cannot be compared; leaving them out in silence would
        name somebody else as the artist of their works.
        """
        stale = sorted(artist for artist, record in self._kept.items() if record.space != space)
        if stale:
            raise FailedPrecondition(
                f"{len(stale)} enrolled artists were enrolled with other models than are served now, "
                f"among them {stale[0]!r}: enrol them again, or remove them.",
                reason="FINGERPRINT_MISMATCH",
                metadata={"stale": str(len(stale)), "expected": space, "actual": self._kept[stale[0]].space},
            )
        found = self._galleries.get(space)
        if found is None:
            found = Gallery.from_records(self._kept, space)
            self._galleries = {space: found}
        return found

    def check_room(self, artist: str) -> None:
        """Raises ResourceExhausted ENROLMENT_FULL where `artist` would be one too many."""
        if artist not in self._kept and len(self._kept) >= self._most:
            raise ResourceExhausted(
                f"{self._most} artists are enrolled, as many as this service takes.",
                reason="ENROLMENT_FULL",
                fields=[("artist_id", f"would be one more than the {self._most} that max_enrolled allows")],
            )

    async def put(self, record: Record) -> bool:
        """Keeps an artist, and returns whether one of that id is replaced. On return, it survives a crash.

        Raises ResourceExhausted ENROLMENT_FULL, Unavailable ENROLMENT_STORE_UNAVAILABLE or ENROLMENT_LOCKED.
        """
        return await self._commit(self._put(record))

    async def remove(self, artist: str) -> None:
        """Forgets an artist. Raises NotFound ARTIST_NOT_ENROLLED, and what `put` raises of the store."""
        await self._commit(self._remove(artist))

    def close(self) -> None:
        """Lets another process write."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    async def _commit(self, work: Coroutine[Any, Any, bool]) -> bool:
        """The result of `work`, which goes on to its end even if the caller leaves: disk and memory agree."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_end)
        return await asyncio.shield(task)

    def _on_end(self, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # of a caller who left: nobody else will ask

    async def _put(self, record: Record) -> bool:
        async with self._writing:
            self.check_room(record.artist)
            replaced = record.artist in self._kept
            kept = {**self._kept, record.artist: record}
            await self._apply(partial(records.write, self._folder, record), kept, record.space)
            return replaced

    async def _remove(self, artist: str) -> bool:
        async with self._writing:
            if artist not in self._kept:
                raise NotFound(
                    f"No artist {artist!r} is enrolled.",
                    reason="ARTIST_NOT_ENROLLED",
                    fields=[("artist_id", "must be an enrolled artist")],
                    resource=("artist", artist),
                )
            kept = {name: record for name, record in self._kept.items() if name != artist}
            space = next(iter(self._galleries), "")
            await self._apply(partial(records.remove, self._folder, artist), kept, space)
            return True

    async def _apply(self, change: Callable[[], None], kept: Mapping[str, Record], space: str) -> None:
        """Changes the disk, then memory."""

        def work() -> Gallery:
            self._hold_folder()
            change()
            return Gallery.from_records(kept, space)

        try:
            gallery = await self._threads.run(work)
        except OSError as error:
            raise Unavailable(
                f"enrolled artists cannot be kept ({type(error).__name__}: {error.strerror})",
                reason="ENROLMENT_STORE_UNAVAILABLE",
                retry_after_s=1.0,
            ) from error
        self._kept, self._galleries = kept, ({space: gallery} if space else {})

    def _hold_folder(self) -> None:
        """Makes this process the folder's only writer; others may read it when they start."""
        if self._handle is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Unavailable(
                f"another process writes to {self._folder}",
                reason="ENROLMENT_LOCKED",
                retry_after_s=5.0,
            ) from None
        records.clear_parts(self._folder)
        self._handle = handle
