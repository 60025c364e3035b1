"""Photos of designs: read, checked by their header, kept in the blob store, dropped in the end."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nails.photo.codec import PhotoError, PhotoLimits, read_header
from services.intake.uris import UriReader
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import InvalidArgument
from services.kit.telemetry.timings import stage
from services.rank.photos.blobs import SUFFIXES, BlobStore, blob_key


@dataclass(frozen=True)
class PhotoInput:
    """A photo as a caller sent it: bytes, or a URI, or (both None) nothing."""

    data: bytes | None = None
    uri: str | None = None


@dataclass(frozen=True)
class PhotoFile:
    """A photo whose header was checked. suffix: of file names of its format."""

    data: bytes
    sha256: str
    suffix: str

    @property
    def key(self) -> str:
        """Content-addressed: the same photo of two designs is kept once."""
        return blob_key(self.sha256, self.suffix)


class Photos:
    """Reads photos in, and keeps each as long as a design of any version refers to it."""

    def __init__(
        self, *, blobs: BlobStore, limits: PhotoLimits, uris: UriReader, threads: WorkThreads
    ) -> None:
        self._blobs = blobs
        self._limits = limits
        self._uris = uris
        self._threads = threads
        self._held: Counter[str] = Counter()
        self._dropping: dict[str, asyncio.Event] = {}

    async def read(self, photo: PhotoInput, field: str, deadline: Deadline) -> PhotoFile:
        """The photo's bytes, checked by their header alone.

        Raises InvalidArgument with the reasons of nails.photo.codec.PhotoError or PHOTO_MISSING, and the
        errors of UriReader.
        """
        if photo.uri is not None:
            path = f"{field}.uri"
            with stage("fetch"):
                data = await self._threads.run(self._uris.read, photo.uri, path, deadline)
        elif photo.data is not None:
            path, data = f"{field}.data", photo.data
        else:
            raise InvalidArgument(
                "no photo was given", reason="PHOTO_MISSING", fields=[(field, "data or uri must be set")]
            )
        return await self._threads.run(self._check, data, path)

    def _check(self, data: bytes, path: str) -> PhotoFile:
        try:
            header = read_header(data, self._limits)
        except PhotoError as error:
            raise InvalidArgument(
                error.description, reason=error.reason, fields=[(path, error.description)]
            ) from error
        return PhotoFile(data, hashlib.sha256(data).hexdigest(), SUFFIXES[header.format])

    @asynccontextmanager
    async def kept(self, photo: PhotoFile) -> AsyncIterator[str]:
        """The photo's key; it is durable inside the block, in which a design that refers to it is written."""
        key = photo.key
        self._held[key] += 1
        try:
            while key in self._dropping:
                await self._dropping[key].wait()
            with stage("store"):
                await self._threads.run(self._blobs.put, key, photo.data)
            yield key
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]

    async def get(self, key: str) -> bytes:
        """Raises NotFound BLOB_NOT_FOUND."""
        return await self._threads.run(self._blobs.get, key)

    def uri(self, key: str) -> str:
        """Where the photo can be seen."""
        return self._blobs.uri(key)

    async def drop_unused(
        self, keys: Iterable[str], used: Callable[[list[str]], Awaitable[set[str]]]
    ) -> None:
        """Delete those photos that no design refers to; `used` says which are still referred to."""
        candidates = sorted(set(keys) - set(self._held) - set(self._dropping))
        if not candidates:
            return
        still_used = await used(candidates)
        # No await between the look at who holds a photo and the mark that makes new holders wait.
        doomed = [
            key for key in candidates if key not in still_used | self._held.keys() | self._dropping.keys()
        ]
        for key in doomed:
            self._dropping[key] = asyncio.Event()
        try:
            for key in doomed:
                await self._threads.run(self._blobs.delete, key)
        finally:
            for key in doomed:
                self._dropping.pop(key).set()
