"""A design on its way in: checked, stored, cropped, embedded, written, and only then acknowledged.

Invariants. An acknowledged design survives a crash: its photo was flushed to the blob store before its rows
were written, and the answer is given after Milvus took the rows. Sending a design again changes nothing: its
row is found by id, and where text, photo and models are the same no model runs. A design that lacks a row in
a companion collection of its version is made again, and then has it. A stream holds the version as it was at
its first message, maybe without a companion that was built since. Two writers of one design take turns, in
the order in which they came.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from nails.colour.palette import MAX_COLOURS
from services.intake.texts import MAX_TEXT
from services.kit.concurrency.coalesce import Coalescer
from services.kit.concurrency.locks import KeyedLocks
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, LunulaError, Unavailable
from services.kit.models import ModelVersion
from services.kit.retry import Backoff, retry
from services.kit.telemetry.timings import stage
from services.rank.catalogue.companions import COMPANIONS, embed_options
from services.rank.catalogue.rows import DesignText, IndexedDesign
from services.rank.catalogue.store import Store
from services.rank.catalogue.version import Space, Version
from services.rank.catalogue.versions import Catalogue
from services.rank.clients.crop import CropClient
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from services.rank.photos.store import PhotoFile, PhotoInput, Photos
from services.rank.upstream import CroppedPhoto, EmbeddedDesign, check_fingerprint

log = logging.getLogger(__name__)


class IndexOutcome(Enum):
    """What became of a design that was taken; it is durable."""

    INDEXED = "indexed"
    UNCHANGED = "unchanged"


class _Lookup(NamedTuple):
    version: Version
    design_id: str


class _Stored(NamedTuple):
    """A stored design. row: of the first collection.

    complete: whether every companion that the version keeps has its row for the design as it is now.
    """

    row: Mapping[str, Any]
    complete: bool


class _Write(NamedTuple):
    version: Version
    design: IndexedDesign


@dataclass(frozen=True)
class IngestLimits:
    """at_once: designs worked on, over all streams.

    write_rows: designs in one write. call_s: longest call of Milvus. backoff: while Milvus or another service
    is unavailable.
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
        catalogue: Catalogue,
        store: Store,
        crop: CropClient,
        embed: EmbedClient,
        photos: Photos,
        extra_options: Callable[[], Awaitable[Mapping[str, Any]]],
        limits: IngestLimits,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """extra_options: of `EmbedClient.embed_design`, for companions that rerankers read. now_s: for index
        times."""
        self._catalogue = catalogue
        self._store = store
        self._crop = crop
        self._embed = embed
        self._photos = photos
        self._extra_options = extra_options
        self._limits = limits
        self._now_s = now_s
        self._locks = KeyedLocks()
        self._slots = asyncio.Semaphore(limits.at_once)
        self._lookups: Coalescer[_Lookup, _Stored | None] = Coalescer(
            self._look_up, max_items=limits.write_rows, group=lambda item: item.version.collections
        )
        self._writes: Coalescer[_Write, None] = Coalescer(
            self._write, max_items=limits.write_rows, group=lambda item: item.version.collections
        )

    @property
    def models(self) -> list[ModelVersion]:
        """The models that took part in the latest answers about designs, by their names."""
        seen = self._crop.models | self._embed.models
        return [seen[name] for name in sorted(seen)]

    async def current_space(self, deadline: Deadline) -> Space:
        """What a version made now would hold. Raises as EmbedClient does."""
        options = await self._extra_options()
        return await self._embed.space(Budget(deadline, self._limits.backoff), fresh=True, **options)

    async def open_version(self, version_id: str, expected_fingerprint: str, deadline: Deadline) -> Version:
        """The version that a stream writes to; "" is the live one, or a first one that is made.

        Companions that it lacks are built. Raises FailedPrecondition FINGERPRINT_MISMATCH where its vectors
        would not fit, NotFound VERSION_NOT_FOUND.
        """
        catalogue = self._catalogue
        version = await catalogue.resolve(version_id, deadline)
        if version is None:
            version = await catalogue.live_or_first(lambda: self.current_space(deadline), deadline)
        if expected_fingerprint:
            _check_expected(version, expected_fingerprint)
        try:
            space = await self.current_space(deadline)
        except Unavailable:
            return version  # each design reports the failure itself; the service may have recovered by then
        check_fingerprint(space.fingerprint, version.space.fingerprint)
        return await catalogue.with_companions(version, space, deadline)

    async def index(
        self, version: Version, text: DesignText, photo: PhotoInput, deadline: Deadline
    ) -> IndexOutcome:
        """What became of the design, when it is durable. Raises LunulaError; then nothing was written."""
        # The lock first, so that a design that is sent twice is written in the order of sending.
        async with self._locks.hold([f"{version.version_id}/{text.design_id}"]), self._slots:
            file = await self._photos.read(photo, "design.photo", deadline)
            return await self._index(version, text, file, deadline)

    async def delete(
        self, version: Version, design_ids: Sequence[str], deadline: Deadline
    ) -> tuple[list[str], list[str]]:
        """Deletes designs, and photos that no design refers to any more; returns (deleted, missing) ids."""
        async with self._locks.hold(f"{version.version_id}/{design_id}" for design_id in design_ids):
            view = self._store.at(version, deadline)
            rows = await view.read(design_ids, ("design_id", "photo"), strong=True)
            if rows:
                await view.delete(list(rows))
        await self._drop([str(row["photo"]) for row in rows.values()])
        unique = list(dict.fromkeys(design_ids))
        return [name for name in unique if name in rows], [name for name in unique if name not in rows]

    async def _index(
        self, version: Version, text: DesignText, photo: PhotoFile, deadline: Deadline
    ) -> IndexOutcome:
        fingerprint = version.space.fingerprint
        budget = Budget(deadline, self._limits.backoff)
        space = await self._embed.space(budget)
        check_fingerprint(space.fingerprint, fingerprint)
        with stage("lookup"):
            lookup = _Lookup(version, text.design_id)
            stored = await retry(
                lambda: self._lookups.submit(lookup), backoff=budget.backoff, deadline=deadline
            )
        digest = text.digest(photo.sha256)
        # Stored also when nothing changed, which restores a blob that was lost.
        async with self._photos.kept(photo) as key:
            if stored is not None and _is_current(stored, digest, fingerprint):
                return IndexOutcome.UNCHANGED
            cropped = await self._crop.crop(photo.data, "design.photo", budget)
            made = await self._embed_design(version, text, photo, cropped, budget)
            design = IndexedDesign(
                text=text,
                vector=made.design.values,
                photo=key,
                digest=digest,
                fingerprint=fingerprint,
                palette=cropped.palette[:MAX_COLOURS],
                crop_box=cropped.crop_box,
                index_time_ms=int(self._now_s() * 1000),
                companions={
                    one.companion: COMPANIONS[one.companion].value(made, one)
                    for one in version.space.companions
                },
            )
            with stage("write"):
                write = _Write(version, design)
                await retry(lambda: self._writes.submit(write), backoff=budget.backoff, deadline=deadline)
        if stored is not None and stored.row["photo"] != key:
            await self._drop([str(stored.row["photo"])])
        return IndexOutcome.INDEXED

    async def _embed_design(
        self, version: Version, text: DesignText, photo: PhotoFile, cropped: CroppedPhoto, budget: Budget
    ) -> EmbeddedDesign:
        made = await self._embed.embed_design(
            photo.data,
            budget,
            crop=cropped.crop,
            text=text.prose[:MAX_TEXT],
            context=text.context,
            expected_fingerprint=version.space.fingerprint,
            places={
                "photo": "design.photo",
                "crop": "design.photo",
                "text": "design.description",
                "context": "design.context",
            },
            **embed_options(version.space),
        )
        check_fingerprint(made.design.fingerprint, version.space.fingerprint)
        return made

    async def _drop(self, photos: Sequence[str]) -> None:
        """Drops photos that no design refers to. The request itself is done by now, so this never fails."""
        try:
            await self._photos.drop_unused(photos, self._photos_in_use)
        except LunulaError as error:
            log.warning("photos that may be unused were kept: %s", error)

    async def _photos_in_use(self, photos: list[str]) -> set[str]:
        """Those of the photos that some version refers to."""
        return await self._catalogue.references(photos, Deadline.after(self._limits.call_s))

    async def _look_up(self, lookups: Sequence[_Lookup]) -> list[_Stored | None]:
        # Streams may hold one version with and without a companion; a list is of those that hold the same.
        version, ids = lookups[0].version, [lookup.design_id for lookup in lookups]
        view = self._store.at(version, Deadline.after(self._limits.call_s))
        rows = await view.read(ids, ("design_id", "digest", "fingerprint", "photo"), strong=True)
        complete = set(rows)
        for one in version.space.companions:
            if not COMPANIONS[one.companion].searched and rows:
                digests = {design_id: str(row["digest"]) for design_id, row in rows.items()}
                complete &= set(await view.read_current(one.companion, digests, (), strong=True))
        return [
            _Stored(rows[design_id], design_id in complete) if design_id in rows else None
            for design_id in ids
        ]

    async def _write(self, writes: Sequence[_Write]) -> list[None]:
        view = self._store.at(writes[0].version, Deadline.after(self._limits.call_s))
        await view.upsert([write.design for write in writes])
        return [None] * len(writes)


def _is_current(stored: _Stored, digest: str, fingerprint: str) -> bool:
    """Whether nothing has to be written for a design."""
    return stored.complete and (stored.row["digest"], stored.row["fingerprint"]) == (digest, fingerprint)


def _check_expected(version: Version, expected: str) -> None:
    actual = version.space.fingerprint
    if actual != expected:
        raise FailedPrecondition(
            f"Catalogue version {version.version_id} was made by other models than the ones expected.",
            reason="FINGERPRINT_MISMATCH",
            fields=[("expected_fingerprint", f"the fingerprint of {version.version_id} is {actual}")],
            metadata={"expected": expected, "actual": actual},
        )
