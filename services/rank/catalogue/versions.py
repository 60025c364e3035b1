"""Catalogue versions behind an alias.

A version `vN` is the collections `NAME_vN` and `NAME_align_vN`, and `NAME_tokens_vN` where it keeps image
tokens; a version that was made without them gets a place for them when designs are next written. The alias
`NAME` points at the live version's first collection, the alias `NAME_previous` at the one that was live
before it. A request resolves a version once and stays on it. What is known about a version is kept in a
property of its first collection, so that there is nothing that could disagree with it: the version exists
when that collection does. What the tokens are is kept with their own collection in the same way.

Every change is one alias, or is harmless when it stops half way: promoting first remembers the live version
and then switches; rolling back first switches and then forgets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from pymilvus import MilvusException

from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, NotFound, Unavailable
from services.rank.catalogue.milvus import (
    ALIAS_NOT_FOUND,
    COLLECTION_NOT_FOUND,
    RETRY_AFTER_S,
    CollectionMissing,
    Milvus,
)
from services.rank.catalogue.schema import Collections, tells_photos
from services.rank.catalogue.store import FACTS, Store
from services.rank.catalogue.token_rows import TokenSpace

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 30.0
_LOOK_S = 2.0
"""Longest look for tokens; a load that takes longer goes on in Milvus, and a later look finds it done."""
_SHARE_OF_TIME = 0.25
"""And it takes at most so much of what is left until the caller's deadline."""
_VERSION_ID = re.compile(r"v[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class Space:
    """What EmbedService's models make: fingerprints and dimensions of the two vectors of a design.

    tokens: image tokens, where they are wanted.
    """

    design_fingerprint: str
    align_fingerprint: str
    design_dimensions: int
    align_dimensions: int
    tokens: TokenSpace | None = None


@dataclass(frozen=True)
class Version:
    """A catalogue version. Its space has tokens if and only if it keeps them."""

    version_id: str
    names: Collections
    space: Space
    create_time_ms: int
    note: str

    @property
    def tokens(self) -> TokenSpace | None:
        """What its image tokens are; None where it keeps none."""
        return self.space.tokens


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
        self._looked_s: dict[str, float] = {}
        self._looking: set[str] = set()

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
        known = self._loaded.get(wanted)
        if known is None:
            return await self._load(await self._describe(wanted, deadline), deadline)
        if self._may_have_tokens_now(known):
            return await self._look_again(known, deadline)
        return known

    async def with_tokens(self, version: Version, tokens: TokenSpace | None, deadline: Deadline) -> Version:
        """The version, with a place for such tokens where it had none.

        A version that keeps tokens of another packing or model stays as it is.
        """
        if version.tokens is not None or tokens is None:
            return version
        async with self._changing:
            version = await self._describe(version.version_id, deadline)
            if version.tokens is None:
                names = self._names(version.version_id, replace(version.space, tokens=tokens))
                await self._store.create_tokens(names, tokens.facts(), deadline)
                version = await self._describe(version.version_id, deadline)
            return await self._load(version, deadline)

    async def _load(self, version: Version, deadline: Deadline) -> Version:
        await self._store.load(version.names, deadline)
        present = self._loaded.get(version.version_id)
        if present is not None and present.tokens is not None and version.tokens is None:
            return present  # a place for tokens was made after the version was looked at
        self._loaded[version.version_id] = version
        self._looked_s[version.version_id] = self._clock_s()
        return version

    def _may_have_tokens_now(self, known: Version) -> bool:
        """Another process may have given the version a place for tokens, and nobody is looking already."""
        if known.tokens is not None or known.version_id in self._looking:
            return False
        return self._clock_s() - self._looked_s[known.version_id] > _LOOK_AGAIN_S

    async def _look_again(self, known: Version, deadline: Deadline) -> Version:
        """The version with its tokens, where another process made a place for them; else as it is known.

        Never fails and takes little of the time: what is known is good enough for whoever waits.
        """
        version_id = known.version_id
        # Before looking, so that others go on with what is known meanwhile, and after a failure too.
        self._looked_s[version_id] = self._clock_s()
        self._looking.add(version_id)
        try:
            limit = deadline.within(min(_LOOK_S, _SHARE_OF_TIME * deadline.remaining()))
            version = await self._describe(version_id, limit)
            if version.tokens is not None:
                await self._store.load(version.names, limit)
                # Only in place of what was known: a later look may have been quicker.
                if self._loaded.get(version_id) is known:
                    self._loaded[version_id] = version
        except Exception as error:
            log.warning("whether version %s has tokens now is not known: %s", version_id, error)
        finally:
            self._looking.discard(version_id)
        return self._loaded.get(version_id, known)

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
            if live and await self._store.count(version.names.design, "", deadline) == 0:
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
            used |= await self._store.photos_in_use(version.names.design, photos, deadline)
        return used

    def forget(self, version: Version) -> None:
        """Look at the version again, and load it, when it is next resolved.

        For whoever finds a collection of it gone or not loaded. Where it was looked at since it was resolved,
        this does nothing, so that many who find the same make one more look and not many.
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
        version_id = f"v{max(numbers, default=0) + 1}"
        names = self._names(version_id, space)
        create_time_ms = int(self._now_s() * 1000)
        facts = json.dumps(
            {
                "design_fingerprint": space.design_fingerprint,
                "align_fingerprint": space.align_fingerprint,
                "design_dimensions": space.design_dimensions,
                "align_dimensions": space.align_dimensions,
                "create_time_ms": create_time_ms,
                "note": note,
            }
        )
        token_facts = space.tokens.facts() if space.tokens is not None else ""
        await self._store.create(names, facts, deadline, token_facts=token_facts)
        return Version(version_id, names, space, create_time_ms, note)

    async def _describe(self, version_id: str, deadline: Deadline) -> Version:
        if not _VERSION_ID.fullmatch(version_id):
            raise _no_version(version_id)

        def described(client: Any, collection: str, timeout: float) -> Any:
            try:
                return client.describe_collection(collection, timeout=timeout)
            except MilvusException as error:
                if error.code == COLLECTION_NOT_FOUND:
                    return None
                raise

        def work(client: Any, timeout: float) -> tuple[str | None, str | None]:
            design = described(client, f"{self._name}_{version_id}", timeout)
            tokens = described(client, f"{self._name}_tokens_{version_id}", timeout)
            if tokens is not None and not tells_photos(tokens):
                tokens = None
            return (
                str(design["properties"][FACTS]) if design is not None else None,
                str(tokens["properties"][FACTS]) if tokens is not None else None,
            )

        stored, tokens = await self._milvus.call(work, deadline=deadline)
        if stored is None:
            raise _no_version(version_id)
        facts = json.loads(stored)
        space = Space(
            design_fingerprint=facts["design_fingerprint"],
            align_fingerprint=facts["align_fingerprint"],
            design_dimensions=facts["design_dimensions"],
            align_dimensions=facts["align_dimensions"],
            tokens=TokenSpace.of(tokens) if tokens is not None else None,
        )
        return Version(
            version_id, self._names(version_id, space), space, facts["create_time_ms"], facts["note"]
        )

    async def _ids(self, deadline: Deadline, *, with_halves: bool = False) -> list[str]:
        """Ids by age. with_halves: also of versions whose creation was interrupted."""
        names = await self._milvus.call(
            lambda client, timeout: list(client.list_collections(timeout=timeout)), deadline=deadline
        )
        pattern = re.compile(
            rf"{re.escape(self._name)}{'(?:_align|_tokens)?' if with_halves else ''}_(v[1-9][0-9]*)"
        )
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

    def _names(self, version_id: str, space: Space) -> Collections:
        return Collections(
            design=f"{self._name}_{version_id}",
            align=f"{self._name}_align_{version_id}",
            design_dimensions=space.design_dimensions,
            align_dimensions=space.align_dimensions,
            tokens=f"{self._name}_tokens_{version_id}" if space.tokens is not None else "",
        )


def _no_version(version_id: str) -> NotFound:
    return NotFound(
        f"There is no catalogue version {version_id[:64]!r}.",
        reason="VERSION_NOT_FOUND",
        fields=[("version_id", "must be one of ListCatalogueVersions")],
        resource=("catalogue_version", version_id[:64]),
    )
