"""A design on its way in: judged, kept, cropped, embedded, written, and only then acknowledged.

Invariants. An acknowledged design survives a crash: its photo was flushed to the blob store before its rows
were written, and the answer is given after Milvus took the rows. Sending a design again changes nothing: its
row is found by id, and where words, photo and models are the same no model runs. A design without image
tokens of its photo in a version that keeps them is made again, and then has them. A stream holds the version
as it was at its first message, maybe without a place for tokens. Two writers of one design take turns, in
the order in which they came.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lunula.crop.v1 import crop_service_pb2 as crop_pb
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from nails.colour.palette import MAX_COLOURS
from services.intake.texts import MAX_TEXT
from services.kit.concurrency.coalesce import Coalescer
from services.kit.concurrency.locks import KeyedLocks
from services.kit.deadline import Deadline
from services.kit.errors import InvalidArgument, LunulaError
from services.kit.retry import Backoff, retry
from services.kit.telemetry.timings import stage
from services.rank.catalogue.rows import DesignText, IndexedDesign
from services.rank.catalogue.store import Store
from services.rank.catalogue.token_rows import PhotoTokens
from services.rank.catalogue.versions import Version
from services.rank.clients import EmbeddedDesign, Peers, check_fingerprint
from services.rank.photos.store import PhotoFile, Photos
from services.rank.validation import check_design

log = logging.getLogger(__name__)


class _Lookup(NamedTuple):
    version: Version
    design_id: str


class _There(NamedTuple):
    """A design that is there. row: of the first collection.

    tokens: whether those of its present photo are kept, or none are wanted.
    """

    row: Mapping[str, Any]
    tokens: bool


class _Write(NamedTuple):
    version: Version
    design: IndexedDesign


@dataclass(frozen=True)
class IngestLimits:
    """at_once: designs worked on, over all streams.

    write_rows: designs in one write. call_s: longest call of Milvus. backoff: while a part is away.
    """

    at_once: int
    write_rows: int
    call_s: float
    backoff: Backoff


class Ingest:
    """Takes designs into a catalogue version, one at a time, many at once."""

    def __init__(
        self,
        *,
        store: Store,
        peers: Peers,
        photos: Photos,
        photo_users: Callable[[list[str]], Awaitable[set[str]]],
        limits: IngestLimits,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """photo_users: which of these photos some version refers to. now_s: for index times."""
        self._store = store
        self._peers = peers
        self._photos = photos
        self._photo_users = photo_users
        self._limits = limits
        self._now_s = now_s
        self._locks = KeyedLocks()
        self._slots = asyncio.Semaphore(limits.at_once)
        self._lookups: Coalescer[_Lookup, _There | None] = Coalescer(
            self._look_up, max_items=limits.write_rows, group=lambda item: item.version.names
        )
        self._writes: Coalescer[_Write, None] = Coalescer(
            self._write, max_items=limits.write_rows, group=lambda item: item.version.names
        )

    async def index(
        self, version: Version, request: pb.IndexDesignsRequest, deadline: Deadline
    ) -> pb.IndexState.ValueType:
        """INDEXED or UNCHANGED, when the design is durable. Raises LunulaError; then nothing was written."""
        if not request.HasField("design"):
            raise InvalidArgument(
                "no design was given", reason="DESIGN_MISSING", fields=[("design", "must be set")]
            )
        check_design(request.design, "design")
        text = DesignText.of(request.design)
        # The lock first, so that a design that is sent twice is written in the order of sending.
        async with self._locks.hold([f"{version.version_id}/{text.design_id}"]), self._slots:
            photo = await self._photos.read(request.design.photo, "design.photo", deadline)
            return await self._index(version, text, photo, deadline)

    async def delete(
        self, version: Version, design_ids: Sequence[str], deadline: Deadline
    ) -> tuple[list[str], list[str]]:
        """Deletes designs, and photos that no design refers to any more; returns (deleted, missing) ids."""
        async with self._locks.hold(f"{version.version_id}/{design_id}" for design_id in design_ids):
            rows = await self._store.read(
                version.names.design, design_ids, ("design_id", "photo"), deadline, strong=True
            )
            if rows:
                await self._store.delete(version.names, list(rows), deadline)
        await self._drop([str(row["photo"]) for row in rows.values()])
        unique = list(dict.fromkeys(design_ids))
        return [name for name in unique if name in rows], [name for name in unique if name not in rows]

    async def _index(
        self, version: Version, text: DesignText, photo: PhotoFile, deadline: Deadline
    ) -> pb.IndexState.ValueType:
        fingerprint = version.space.design_fingerprint
        space = await self._peers.space(deadline, self._limits.backoff)
        check_fingerprint(space.design_fingerprint, fingerprint)
        with stage("lookup"):
            lookup = _Lookup(version, text.design_id)
            there = await retry(
                lambda: self._lookups.submit(lookup), backoff=self._limits.backoff, deadline=deadline
            )
        digest = text.digest(photo.sha256)
        # Kept again also when nothing changed: that heals a photo that was lost.
        async with self._photos.kept(photo) as key:
            if there is not None and _is_same(there, digest, fingerprint):
                return pb.INDEX_STATE_UNCHANGED
            cropped = await self._peers.crop(photo.data, "design.photo", deadline, self._limits.backoff)
            crop = cropped.result
            vectors = await self._embed(version, text, photo, crop, deadline)
            design = IndexedDesign(
                text=text,
                design=vectors.design.values,
                align=vectors.align.values,
                photo=key,
                digest=digest,
                fingerprint=fingerprint,
                palette=_bounded(crop),
                crop_box=crop.crop_box,
                index_time_ms=int(self._now_s() * 1000),
                tokens=_tokens(vectors, version),
            )
            with stage("write"):
                write = _Write(version, design)
                await retry(
                    lambda: self._writes.submit(write), backoff=self._limits.backoff, deadline=deadline
                )
        if there is not None and there.row["photo"] != key:
            await self._drop([str(there.row["photo"])])
        return pb.INDEX_STATE_INDEXED

    async def _embed(
        self,
        version: Version,
        text: DesignText,
        photo: PhotoFile,
        crop: crop_pb.CropResult,
        deadline: Deadline,
    ) -> EmbeddedDesign:
        made = await self._peers.embed_design(
            embed_pb.DesignInput(
                photo=photo_pb2.Photo(data=photo.data),
                crop=photo_pb2.Photo(data=crop.crop) if crop.crop else None,
                text=text.prose[:MAX_TEXT],
                context=text.context,
            ),
            version.space.design_fingerprint,
            {
                "photo": "design.photo",
                "crop": "design.photo",
                "text": "design.description",
                "context": "design.context",
            },
            deadline,
            self._limits.backoff,
            packing=version.tokens.packing if version.tokens is not None else None,
        )
        check_fingerprint(made.design.fingerprint, version.space.design_fingerprint)
        check_fingerprint(made.align.fingerprint, version.space.align_fingerprint)
        return made

    async def _drop(self, photos: Sequence[str]) -> None:
        """Drops photos that no design refers to. What was asked for is done by now, so this never fails."""
        try:
            await self._photos.drop_unused(photos, self._photo_users)
        except LunulaError as error:
            log.warning("photos that may be unused were kept: %s", error)

    async def _look_up(self, lookups: Sequence[_Lookup]) -> list[_There | None]:
        # Streams may know one version with and without tokens; a list is of those that know the same.
        names, ids = lookups[0].version.names, [lookup.design_id for lookup in lookups]
        deadline = Deadline.after(self._limits.call_s)
        rows = await self._store.read(
            names.design, ids, ("design_id", "digest", "fingerprint", "photo"), deadline, strong=True
        )
        kept: Mapping[str, Any] = rows
        if names.tokens and rows:
            kept = await self._store.read(names.tokens, rows, ("design_id", "digest"), deadline, strong=True)

        def there(design_id: str) -> _There | None:
            row, tokens = rows.get(design_id), kept.get(design_id)
            if row is None:
                return None
            return _There(row, tokens is not None and tokens["digest"] == row["digest"])

        return [there(design_id) for design_id in ids]

    async def _write(self, writes: Sequence[_Write]) -> list[None]:
        designs = [write.design for write in writes]
        await self._store.upsert(writes[0].version.names, designs, Deadline.after(self._limits.call_s))
        return [None] * len(writes)


def _is_same(there: _There, digest: str, fingerprint: str) -> bool:
    """Whether nothing has to be written for a design."""
    return there.tokens and (there.row["digest"], there.row["fingerprint"]) == (digest, fingerprint)


def _tokens(made: EmbeddedDesign, version: Version) -> str:
    """What the version keeps of a design's image tokens; "" where it keeps none or those of another kind."""
    if version.tokens is None or made.token_space != version.tokens:
        return ""
    assert made.tokens is not None and made.photo_align is not None
    return PhotoTokens(made.tokens.data, tuple(made.photo_align.values)).text(version.tokens)


def _bounded(crop: crop_pb.CropResult) -> Any:
    """The palette of the nails, no longer than the contract allows."""
    palette = type(crop.palette)()
    palette.colours.extend(crop.palette.colours[:MAX_COLOURS])
    return palette
