"""Catalogue versions behind an alias.

A version `vN` is the collection `NAME_vN` and its companions (`catalogue.companions`). The alias `NAME`
points at the live version's first collection, the alias `NAME_previous` at the one that was live before it. A
request resolves a version once and stays on it. What is known about a version is kept in a property of its
first collection, so that there is nothing that could disagree with it: the version exists when that
collection does. What an optional companion holds is kept with its own collection in the same way; one that a
version lacks is built when designs are next written.

Every change is one alias, or is harmless when it stops half way: promoting first remembers the live version
and then switches; rolling back first switches and then forgets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pymilvus import MilvusException

from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, NotFound, Unavailable
from services.rank.catalogue.align import ALIGN, AlignSpace
from services.rank.catalogue.companions import COMPANIONS, OPTIONAL, missing_companions
from services.rank.catalogue.milvus import (
    ALIAS_NOT_FOUND,
    COLLECTION_NOT_FOUND,
    RETRY_AFTER_S,
    CollectionMissing,
    Milvus,
)
from services.rank.catalogue.store import FACTS, Store
from services.rank.catalogue.version import Space, Version

log = logging.getLogger(__name__)

_REFRESH_S = 30.0
"""A version without some companion is looked at again after so long: another process may have built it."""
_REFRESH_TIMEOUT_S = 2.0
"""Longest refresh; a load that takes longer goes on in Milvus, and a later refresh finds it done."""
_REFRESH_SHARE = 0.25
"""And it takes at most so much of what is left until the caller's deadline."""
_VERSION_ID = re.compile(r"v[1-9][0-9]{0,8}")


class Catalogue:
    """Creates, lists and switches versions. One per process; changes of versions take turns."""

    def __init__(
        self,
        milvus: Milvus,
        store: Store,
        name: str,
        *,
        now_s: Callable[[], float] = time.time,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """name: of the alias. now_s: seconds since the epoch, for creation times. clock_s: for intervals."""
        self._milvus = milvus
        self._store = store
        self._name = name
        self._previous = f"{name}_previous"
        self._now_s = now_s
        self._changing = asyncio.Lock()
        self._loaded: dict[str, Version] = {}
        self._clock_s = clock_s
        self._refreshed_s: dict[str, float] = {}
        self._refreshing: set[str] = set()

    async def live_id(self, deadline: Deadline) -> str:
        """Id of the live version; "" when nothing was promoted or indexed yet."""
        return await self._target(self._name, deadline)

    async def resolve(self, version_id: str, deadline: Deadline) -> Version | None:
        """The version with that id, ready to be searched; "" is the live one, None when none is live.

        Raises NotFound VERSION_NOT_FOUND.
        """
        wanted = version_id or await self.live_id(deadline)
        if not wanted:
            return None
        loaded = self._loaded.get(wanted)
        if loaded is None:
            return await self._load(await self._describe(wanted, deadline), deadline)
        if self._needs_refresh(loaded):
            return await self._refresh(loaded, deadline)
        return loaded

    async def with_companions(self, version: Version, wanted: Space, deadline: Deadline) -> Version:
        """The version, with those companions of `wanted` that it lacked.

        A companion that it has of another form or model stays as it is.
        """
        if not missing_companions(version.space, wanted):
            return version
        async with self._changing:
            version = await self._describe(version.version_id, deadline)
            missing = missing_companions(version.space, wanted)
            for space in missing:
                await self._store.create_companion(version, space, deadline)
            if missing:
                version = await self._describe(version.version_id, deadline)
            return await self._load(version, deadline)

    async def _load(self, version: Version, deadline: Deadline) -> Version:
        await self._store.load(version, deadline)
        present = self._loaded.get(version.version_id)
        if present is not None and missing_companions(version.space, present.space):
            return present  # a companion was built after the version was described
        self._loaded[version.version_id] = version
        self._refreshed_s[version.version_id] = self._clock_s()
        return version

    def _needs_refresh(self, loaded: Version) -> bool:
        """Whether another process may have built a companion, and nobody is looking already."""
        present = {one.companion for one in loaded.space.companions}
        if all(companion.name in present for companion in OPTIONAL):
            return False
        if loaded.version_id in self._refreshing:
            return False
        return self._clock_s() - self._refreshed_s[loaded.version_id] > _REFRESH_S

    async def _refresh(self, loaded: Version, deadline: Deadline) -> Version:
        """The version with companions that another process built meanwhile; else as it is.

        Never fails and takes little of the time: what is loaded is good enough for whoever waits.
        """
        version_id = loaded.version_id
        # Before looking, so that others go on with what is loaded meanwhile, and after a failure too.
        self._refreshed_s[version_id] = self._clock_s()
        self._refreshing.add(version_id)
        try:
            limit = deadline.within(min(_REFRESH_TIMEOUT_S, _REFRESH_SHARE * deadline.remaining()))
            version = await self._describe(version_id, limit)
            if missing_companions(loaded.space, version.space):
                await self._store.load(version, limit)
                # Only in place of what was loaded: a later refresh may have been quicker.
                if self._loaded.get(version_id) is loaded:
                    self._loaded[version_id] = version
        except Exception as error:
            log.warning("refreshing version %s failed: %s", version_id, error)
        finally:
            self._refreshing.discard(version_id)
        return self._loaded.get(version_id, loaded)

    async def create(self, space: Space, note: str, deadline: Deadline) -> Version:
        """A new, empty version beside the live one."""
        async with self._changing:
            return await self._create(space, note, deadline)

    async def live_or_first(self, space: Callable[[], Awaitable[Space]], deadline: Deadline) -> Version:
        """The live version; where none is, a first one of the space that `space` awaits, made live."""
        version = await self.resolve("", deadline)
        if version is not None:
            return version
        async with self._changing:
            version = await self.resolve("", deadline)
            if version is None:
                versions = await self._ids(deadline)
                # A first start that was interrupted between the version and its alias is taken up again.
                first = (
                    versions[0] if versions else (await self._create(await space(), "", deadline)).version_id
                )
                await self._point(self._name, first, deadline)
                version = await self.resolve(first, deadline)
        assert version is not None
        return version

    async def versions(self, deadline: Deadline) -> list[Version]:
        """All versions, oldest first."""
        return [await self._describe(version_id, deadline) for version_id in await self._ids(deadline)]

    async def promote(self, version_id: str, deadline: Deadline) -> Version:
        """Make a version live. Raises NotFound VERSION_NOT_FOUND, FailedPrecondition VERSION_EMPTY."""
        async with self._changing:
            version = await self.resolve(version_id, deadline)
            assert version is not None
            live = await self.live_id(deadline)
            if live == version_id:
                return version
            if live and await self._store.at(version, deadline).count() == 0:
                raise FailedPrecondition(
                    f"Version {version_id} has no designs; with it live, every search would find nothing.",
                    reason="VERSION_EMPTY",
                    fields=[("version_id", "must have designs")],
                    resource=("catalogue_version", version_id),
                )
            if live:
                await self._point(self._previous, live, deadline)
            await self._point(self._name, version_id, deadline)
            return version

    async def roll_back(self, deadline: Deadline) -> Version:
        """Make the version live that was so before. Raises FailedPrecondition NO_PREVIOUS_VERSION."""
        async with self._changing:
            previous = await self._target(self._previous, deadline)
            if not previous or previous == await self.live_id(deadline):
                raise FailedPrecondition("No version was live before.", reason="NO_PREVIOUS_VERSION")
            await self._point(self._name, previous, deadline)
            await self._milvus.call(
                lambda client, timeout: client.drop_alias(self._previous, timeout=timeout),
                deadline=deadline,
                write=True,
            )
            version = await self.resolve(previous, deadline)
            assert version is not None
            return version

    async def references(self, photos: list[str], deadline: Deadline) -> set[str]:
        """Those of the photos (keys of the blob store) that a design of some version refers to."""
        used: set[str] = set()
        for version_id in await self._ids(deadline):
            version = await self.resolve(version_id, deadline)
            assert version is not None
            used |= await self._store.at(version, deadline).photos_in_use(photos)
        return used

    def forget(self, version: Version) -> None:
        """Describe and load the version again when it is next resolved.

        For whoever finds a collection of it gone or not loaded. Where it was loaded again since it was
        resolved, this does nothing, so that many who find the same cause one more look and not many.
        """
        if self._loaded.get(version.version_id) is version:
            del self._loaded[version.version_id]

    @asynccontextmanager
    async def using(self, version: Version) -> AsyncIterator[Version]:
        """Work on a version; when its collections turn out to be gone or not loaded, look again next time.

        Raises Unavailable VERSION_NOT_READY in that case.
        """
        try:
            yield version
        except CollectionMissing as error:
            self.forget(version)
            raise Unavailable(
                f"Version {version.version_id} is not loaded, or is gone.",
                reason="VERSION_NOT_READY",
                retry_after_s=RETRY_AFTER_S,
            ) from error

    async def _create(self, space: Space, note: str, deadline: Deadline) -> Version:
        numbers = [int(version_id[1:]) for version_id in await self._ids(deadline, with_halves=True)]
        create_time_ms = int(self._now_s() * 1000)
        version = Version(f"v{max(numbers, default=0) + 1}", self._name, space, create_time_ms, note)
        await self._store.create(version, _dump_facts(version), deadline)
        return version

    async def _describe(self, version_id: str, deadline: Deadline) -> Version:
        if not _VERSION_ID.fullmatch(version_id):
            raise _no_version(version_id)
        version = Version(version_id, self._name, Space("", 0), 0, "")

        def describe(client: Any, collection: str, timeout: float) -> Any:
            try:
                return client.describe_collection(collection, timeout=timeout)
            except MilvusException as error:
                if error.code == COLLECTION_NOT_FOUND:
                    return None
                raise

        def work(client: Any, timeout: float) -> tuple[str | None, dict[str, str]]:
            first = describe(client, version.collection, timeout)
            companions = {}
            for companion in OPTIONAL:
                found = describe(client, version.companion_collection(companion.name), timeout)
                if found is not None and companion.usable(found):
                    companions[companion.name] = str(found["properties"][FACTS])
            return (None if first is None else str(first["properties"][FACTS])), companions

        facts, companions = await self._milvus.call(work, deadline=deadline)
        if facts is None:
            raise _no_version(version_id)
        return _load_facts(version, facts, companions)

    async def _ids(self, deadline: Deadline, *, with_halves: bool = False) -> list[str]:
        """Ids by age. with_halves: also of versions whose creation was interrupted."""
        names = await self._milvus.call(
            lambda client, timeout: list(client.list_collections(timeout=timeout)), deadline=deadline
        )
        halves = f"(?:_{'|_'.join(COMPANIONS)})?"
        pattern = re.compile(rf"{re.escape(self._name)}{halves if with_halves else ''}_(v[1-9][0-9]*)")
        found = {match[1] for name in names if (match := pattern.fullmatch(name))}
        return sorted(found, key=lambda version_id: int(version_id[1:]))

    async def _target(self, alias: str, deadline: Deadline) -> str:
        def work(client: Any, timeout: float) -> str:
            try:
                return str(client.describe_alias(alias, timeout=timeout)["collection_name"])
            except MilvusException as error:
                if error.code in (ALIAS_NOT_FOUND, COLLECTION_NOT_FOUND):
                    return ""
                raise

        collection = await self._milvus.call(work, deadline=deadline)
        return collection.removeprefix(f"{self._name}_") if collection else ""

    async def _point(self, alias: str, version_id: str, deadline: Deadline) -> None:
        present = await self._target(alias, deadline)
        collection = f"{self._name}_{version_id}"

        def work(client: Any, timeout: float) -> None:
            if present:
                client.alter_alias(collection, alias, timeout=timeout)
            else:
                client.create_alias(collection, alias, timeout=timeout)

        await self._milvus.call(work, deadline=deadline, write=True)


def _dump_facts(version: Version) -> str:
    """What is kept with the first collection: the required companion's facts too, since neither is without
    the other."""
    space = version.space
    align = ALIGN.space(space)
    assert align is not None
    return json.dumps(
        {
            "design_fingerprint": space.fingerprint,
            "align_fingerprint": align.fingerprint,
            "design_dimensions": space.dimensions,
            "align_dimensions": align.dimensions,
            "create_time_ms": version.create_time_ms,
            "note": version.note,
        }
    )


def _load_facts(version: Version, stored: str, companions: Mapping[str, str]) -> Version:
    """The version with what `_dump_facts` wrote. companions: facts of the optional ones that it has."""
    facts = json.loads(stored)
    required = {ALIGN.name: AlignSpace(facts["align_fingerprint"], facts["align_dimensions"])}
    optional = {name: COMPANIONS[name].load(text) for name, text in companions.items()}
    spaces = required | optional
    space = Space(
        facts["design_fingerprint"],
        facts["design_dimensions"],
        tuple(spaces[name] for name in COMPANIONS if name in spaces),
    )
    return replace(version, space=space, create_time_ms=facts["create_time_ms"], note=facts["note"])


def _no_version(version_id: str) -> NotFound:
    return NotFound(
        f"There is no catalogue version {version_id[:64]!r}.",
        reason="VERSION_NOT_FOUND",
        fields=[("version_id", "must be one of ListCatalogueVersions")],
        resource=("catalogue_version", version_id[:64]),
    )
