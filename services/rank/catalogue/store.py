"""The collections of catalogue versions in Milvus: made, made ready, and opened as a `View`.

Invariant: of a version's collections the first is made last, because the version exists when it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.kit.deadline import Deadline
from services.rank.catalogue.companions import COMPANIONS
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.schema import (
    companion_indexes,
    companion_schema,
    design_indexes,
    design_schema,
)
from services.rank.catalogue.version import CompanionSpace, Version
from services.rank.catalogue.view import View

FACTS = "lunula.facts"
"""The collection property that says what a collection holds (Lite drops descriptions)."""


class Store:
    """Access to the collections of all versions."""

    def __init__(self, milvus: Milvus) -> None:
        self._milvus = milvus
        self._unflushed: Counter[str] = Counter()

    def at(self, version: Version, deadline: Deadline) -> View:
        """The rows of one version, for work that ends by the deadline."""
        return View(self._milvus, version, deadline, self._unflushed)

    async def create(self, version: Version, facts: str, deadline: Deadline) -> None:
        """All collections, empty. `load` makes them ready. facts: kept with the first one."""
        can = await self._milvus.capabilities(deadline)
        for space in version.space.companions:
            await self.create_companion(version, space, deadline)
        schema = design_schema(version.space.dimensions, can)
        await self._create(version.collection, schema, {FACTS: facts}, deadline)

    async def create_companion(self, version: Version, space: CompanionSpace, deadline: Deadline) -> None:
        """A companion's collection, empty, in the place of one whose form is of no use."""
        companion = COMPANIONS[space.companion]
        collection = version.companion_collection(space.companion)

        def drop_unusable(client: Any, timeout: float) -> None:
            if client.has_collection(collection, timeout=timeout) and not companion.usable(
                client.describe_collection(collection, timeout=timeout)
            ):
                client.drop_collection(collection, timeout=timeout)

        if not companion.required:
            await self._milvus.call(drop_unusable, deadline=deadline, write=True)
        schema = companion_schema(companion, companion.dimensions(space))
        properties = {} if companion.required else {FACTS: space.dump()}
        await self._create(collection, schema, properties, deadline)

    async def _create(
        self, collection: str, schema: Any, properties: Mapping[str, str], deadline: Deadline
    ) -> None:
        def work(client: Any, timeout: float) -> None:
            client.create_collection(
                collection,
                schema=schema,
                properties=dict(properties),
                consistency_level=self._milvus.consistency,
                timeout=timeout,
            )

        await self._milvus.call(work, deadline=deadline, write=True)

    async def load(self, version: Version, deadline: Deadline) -> None:
        """Make the collections searchable: index and load what is not. Does nothing where all is done."""
        can = await self._milvus.capabilities(deadline)

        def work(client: Any, timeout: float) -> None:
            wanted = {
                version.companion_collection(one.companion): companion_indexes(
                    client, COMPANIONS[one.companion], can
                )
                for one in version.space.companions
            } | {version.collection: design_indexes(client, can)}
            for collection, indexes in wanted.items():
                # Index by index, because a crash may have come between them.
                present = set(client.list_indexes(collection, timeout=timeout))
                for index in indexes:
                    if not present & {index.field_name, index.index_name}:
                        missing = client.prepare_index_params()
                        missing.append(index)
                        client.create_index(collection, missing, timeout=timeout, sync=False)
                # Asked for all before waiting for any: a server takes seconds for each.
                client.load_collection(collection, timeout=timeout, _async=True)
            for collection in wanted:
                client.load_collection(collection, timeout=timeout)

        await self._milvus.call(work, deadline=deadline, write=True)
        # Rows replayed from Milvus's log after a restart are not in our count, so flush always.
        await self.at(version, deadline).flush(least_rows=0)
