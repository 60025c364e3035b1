"""From bytes or a URI to the upright pixels of a photo; each error names its reason and the field's path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.photo.codec import PhotoError, PhotoLimits, decode_photo, read_header
from services.intake.settings import PhotoSettings
from services.intake.uris import UriReader
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import InvalidArgument
from services.kit.telemetry.timings import stage


@dataclass(frozen=True)
class PhotoSource:
    """Where a photo comes from: bytes, or a URI, or (both empty) nowhere.

    field: path of the photo in the request, for example "photos[3]".
    """

    data: bytes
    uri: str
    field: str


@dataclass(frozen=True)
class LoadedPhoto:
    """A decoded photo.

    image: uint8 [h, w, 3] RGB, upright, possibly smaller than the photo.
    size: (width, height) of the upright photo itself.
    """

    image: NDArray[np.uint8]
    size: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the photo per pixel of `image`, in x and y."""
        height, width = self.image.shape[:2]
        return self.size[0] / width, self.size[1] / height


class PhotoIntake:
    """Reads photos within limits, and bounds how many are held at once."""

    def __init__(
        self,
        *,
        limits: PhotoLimits,
        uris: UriReader,
        threads: WorkThreads,
        fetch_threads: WorkThreads,
        max_photos: int,
    ) -> None:
        """threads: decode. fetch_threads: wait for slow hosts, so that decoding does not."""
        self.threads = threads
        self._limits = limits
        self._uris = uris
        self._fetch_threads = fetch_threads
        self._slots = asyncio.Semaphore(max_photos)

    @classmethod
    def from_settings(cls, settings: PhotoSettings) -> PhotoIntake:
        """Starts the threads; `close` ends them."""
        return cls(
            limits=settings.photo_limits(),
            uris=UriReader(settings.allowed_uri_prefixes, settings.max_photo_bytes),
            threads=WorkThreads(settings.photo_threads),
            fetch_threads=WorkThreads(settings.photos_per_call),
            max_photos=settings.max_photos,
        )

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Room for one photo, from decoding to the end of its work; waiting counts as stage "queue"."""
        with stage("queue"):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    def close(self) -> None:
        """Ends the threads."""
        self.threads.close()
        self._fetch_threads.close()

    async def load(
        self,
        source: PhotoSource,
        *,
        max_side: int | None,
        deadline: Deadline,
        enough_side: int | None = None,
    ) -> LoadedPhoto:
        """The photo's pixels, at most `max_side` on the long side when that is given.

        enough_side: any long side between it and `max_side` suffices; the cheapest to decode is taken.

        Raises InvalidArgument with the reason of nails.photo.codec.PhotoError (field path `photos[3].data`)
        or PHOTO_MISSING; PermissionDenied URI_NOT_ALLOWED and the other errors of UriReader;
        DeadlineExceeded.
        """
        data, path = source.data, f"{source.field}.data"
        if source.uri:
            path = f"{source.field}.uri"
            with stage("fetch"):
                data = await self._fetch_threads.run(self._uris.read, source.uri, path, deadline)
        elif not data:
            raise InvalidArgument(
                "no photo was given",
                reason="PHOTO_MISSING",
                fields=[(source.field, "data or uri must be set and not empty")],
            )
        deadline.check("fetching the photo")
        with stage("decode"):
            return await self.threads.run(self._decode, data, path, (enough_side, max_side), deadline)

    def _decode(
        self, data: bytes, path: str, sides: tuple[int | None, int | None], deadline: Deadline
    ) -> LoadedPhoto:
        deadline.check()
        enough_side, max_side = sides
        try:
            header = read_header(data, self._limits)
            image = decode_photo(data, max_side=max_side, enough_side=enough_side, header=header)
        except PhotoError as error:
            raise InvalidArgument(
                error.description, reason=error.reason, fields=[(path, error.description)]
            ) from error
        return LoadedPhoto(image=image, size=header.upright_size)
