"""The rows of one catalogue version: written, found, read and deleted in Milvus.

Invariants: a design is acknowledged only after all of its rows were written, the row of the first
collection last; vectors are finite, of unit length and of the version's dimensions before they leave us; no
request asks Milvus for more rows than it gives.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.kit.deadline import Deadline
from services.kit.errors import Internal, LunulaError
from services.rank.catalogue.filters import all_of, id_expression, literal
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.rows import IndexedDesign, spaced_words
from services.rank.catalogue.schema import (
    Collections,
    align_schema,
    design_schema,
    indexes,
    tells_photos,
    token_schema,
)

log = logging.getLogger(__name__)

MAX_ROWS = 16_384
"""A Milvus server gives no more rows than this at once."""
FACTS = "lunula.facts"
"""The collection property that the catalogue keeps its facts in (Lite drops descriptions)."""
_ID_CHUNK = 1_000
_SAMPLE = 2_048
"""More than the longest page."""


@dataclass(frozen=True)
class Found:
    """A design that a channel proposes.

    raw: cosine, or BM25 score; larger is better. row: the fields that were asked for.
    """

    design_id: str
    raw: float
    row: Mapping[str, Any] = field(default_factory=dict, compare=False)


class Store:
    """All access to the rows of catalogue versions."""

    def __init__(self, milvus: Milvus) -> None:
        self._milvus = milvus
        self._unflushed: Counter[str] = Counter()

    async def create(
        self, names: Collections, facts: str, deadline: Deadline, *, token_facts: str = ""
    ) -> None:
        """All collections, empty; the first one, which makes the version, last. `load` makes them ready.

        facts, token_facts: kept with the first and the third collection, in the property FACTS.
        """
        can = await self._milvus.capabilities(deadline)
        if names.tokens:
            await self.create_tokens(names, token_facts, deadline)
        await self._create(
            {
                names.align: (align_schema(names), {}),
                names.design: (design_schema(names, can), {FACTS: facts}),
            },
            deadline,
        )

    async def create_tokens(self, names: Collections, facts: str, deadline: Deadline) -> None:
        """The third collection, empty. facts: kept with it, in the property FACTS.

        One that cannot tell which photo its tokens are of makes way for it.
        """

        def make_way(client: Any, timeout: float) -> None:
            if client.has_collection(names.tokens, timeout=timeout) and not tells_photos(
                client.describe_collection(names.tokens, timeout=timeout)
            ):
                client.drop_collection(names.tokens, timeout=timeout)

        await self._milvus.call(make_way, deadline=deadline, write=True)
        await self._create({names.tokens: (token_schema(), {FACTS: facts})}, deadline)

    async def _create(self, wanted: Mapping[str, tuple[Any, dict[str, str]]], deadline: Deadline) -> None:
        def work(client: Any, timeout: float) -> None:
            for name, (schema, properties) in wanted.items():
                client.create_collection(
                    name,
                    schema=schema,
                    properties=properties,
                    consistency_level=self._milvus.consistency,
                    timeout=timeout,
                )

        await self._milvus.call(work, deadline=deadline, write=True)

    async def load(self, names: Collections, deadline: Deadline) -> None:
        """Make the collections searchable: index and load what is not. Does nothing where all is done."""
        can = await self._milvus.capabilities(deadline)

        def work(client: Any, timeout: float) -> None:
            for name in names.all:
                # Index by index, because a crash may have come between them.
                there = set(client.list_indexes(name, timeout=timeout))
                for index in indexes(client, names, name, can):
                    if not there & {index.field_name, index.index_name}:
                        wanted = client.prepare_index_params()
                        wanted.append(index)
                        client.create_index(name, wanted, timeout=timeout, sync=False)
                # Asked for all before waiting for any: a server takes seconds for each.
                client.load_collection(name, timeout=timeout, _async=True)
            for name in names.all:
                client.load_collection(name, timeout=timeout)

        await self._milvus.call(work, deadline=deadline, write=True)
        # What was read back from the log after a restart may be many rows; nobody counted them.
        await self.flush(names, deadline, least_rows=0)

    async def upsert(self, names: Collections, designs: Sequence[IndexedDesign], deadline: Deadline) -> None:
        """Write designs, new or changed; durable when this returns. Ids must differ from each other.

        Image tokens are written where `names` has a place for them, and there none of an earlier photo stay.
        Where it has none, rows of tokens stay as they are: `read_tokens` knows those by their digest.
        """
        for design in designs:
            check_vector(design.design, names.design_dimensions)
            check_vector(design.align, names.align_dimensions)
        can = await self._milvus.capabilities(deadline)

        with_tokens = [design.token_row() for design in designs if design.tokens]
        without = [design.text.design_id for design in designs if not design.tokens]

        def work(client: Any, timeout: float) -> None:
            if names.tokens and with_tokens:
                client.upsert(names.tokens, with_tokens, timeout=timeout)
            if names.tokens and without:
                client.delete(names.tokens, ids=without, timeout=timeout)
            client.upsert(names.align, [design.align_row() for design in designs], timeout=timeout)
            rows = [design.design_row(bm25=can.bm25) for design in designs]
            client.upsert(names.design, rows, timeout=timeout)

        await self._milvus.call(work, deadline=deadline, write=True)
        self._unflushed[names.design] += len(designs)
        await self.flush(names, deadline, least_rows=can.flush_rows)

    async def flush(self, names: Collections, deadline: Deadline, *, least_rows: int) -> None:
        """Have indexed what was written, where at least so many rows wait for it.

        For speed only: what `upsert` wrote is durable and is found without it, so it never fails.
        """
        if self._unflushed[names.design] < least_rows:
            return
        self._unflushed[names.design] = 0

        def work(client: Any, timeout: float) -> None:
            for name in names.all:
                client.flush(name, timeout=timeout)

        try:
            await self._milvus.call(work, deadline=deadline, write=True)
        except LunulaError as error:
            log.warning("flushing %s failed: %s", names.design, error)

    async def read(
        self,
        collection: str,
        design_ids: Iterable[str],
        fields: Sequence[str],
        deadline: Deadline,
        *,
        strong: bool = False,
    ) -> dict[str, Mapping[str, Any]]:
        """Rows by id; ids that do not exist are left out. strong: sees every write of every process."""
        ids = list(dict.fromkeys(design_ids))
        rows: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(ids), _ID_CHUNK):
            chunk = ids[start : start + _ID_CHUNK]
            for row in await self._query(
                collection, id_expression(chunk), fields, len(chunk), deadline, strong=strong
            ):
                rows[row["design_id"]] = row
        return rows

    async def read_tokens(
        self, names: Collections, digests: Mapping[str, str], deadline: Deadline
    ) -> dict[str, Mapping[str, Any]]:
        """Rows of image tokens by id, with "tokens"; only those that are of the design as it is now.

        digests: of the designs that are wanted, by id. A row of tokens may be of an earlier photo, since a
        writer that knows of no tokens leaves it alone.
        """
        rows = await self.read(names.tokens, list(digests), ("design_id", "digest", "tokens"), deadline)
        return {design_id: row for design_id, row in rows.items() if row["digest"] == digests[design_id]}

    async def nearest(
        self,
        collection: str,
        vector: Sequence[float],
        expression: str,
        limit: int,
        deadline: Deadline,
        *,
        fields: Sequence[str] = (),
    ) -> list[Found]:
        """The designs with the nearest vectors, nearest first, with `fields`; raw is the cosine."""
        can = await self._milvus.capabilities(deadline)
        check_vector(vector, len(vector))
        parameters = {"metric_type": "COSINE", "params": _wide_enough(can.search_params, limit)}
        return await self._search(
            collection,
            [float(x) for x in vector],
            "vector",
            parameters,
            expression,
            limit,
            1.0,
            deadline,
            fields=fields,
        )

    async def wordwise(
        self,
        collection: str,
        text: str,
        expression: str,
        limit: int,
        deadline: Deadline,
        *,
        fields: Sequence[str] = (),
    ) -> list[Found]:
        """The designs whose words fit the text best (BM25), best first, with `fields`.

        Only those with a common word.
        """
        can = await self._milvus.capabilities(deadline)
        query = spaced_words(text)
        if not query:
            return []
        return await self._search(
            collection,
            query,
            "words_sparse",
            {"metric_type": "BM25"},
            expression,
            limit,
            can.bm25_sign,
            deadline,
            fields=fields,
        )

    async def page(
        self,
        collection: str,
        expression: str,
        after: str,
        limit: int,
        fields: Sequence[str],
        deadline: Deadline,
    ) -> list[Mapping[str, Any]]:
        """The next rows after id `after`, in the order of ids."""
        can = await self._milvus.capabilities(deadline)
        beyond = f"design_id > {literal(after)}"
        if can.sorted_queries:
            rows = await self._query(collection, all_of(expression, beyond), fields, limit, deadline)
            return sorted(rows, key=_id)[:limit]
        ids = await self._smallest_ids(collection, expression, after, limit, deadline)
        found = await self.read(collection, ids, fields, deadline) if ids else {}
        return [found[design_id] for design_id in ids if design_id in found]

    async def _smallest_ids(
        self, collection: str, expression: str, after: str, limit: int, deadline: Deadline
    ) -> list[str]:
        """The first `limit` ids after `after` in their order, from queries that give any rows.

        Every full answer bounds from above where the wanted ids are: there are `limit` and more below.
        """
        bounds = f"design_id > {literal(after)}"
        while True:
            rows = await self._query(
                collection, all_of(expression, bounds), ("design_id",), _SAMPLE, deadline
            )
            ids = sorted(_id(row) for row in rows)
            if len(ids) < _SAMPLE:
                return ids[:limit]
            bounds = f"design_id > {literal(after)} and design_id <= {literal(ids[limit])}"

    async def count(self, collection: str, expression: str, deadline: Deadline) -> int:
        """How many designs meet the expression ("" is all)."""
        rows = await self._query(collection, expression, ("count(*)",), None, deadline)
        return int(rows[0]["count(*)"]) if rows else 0

    async def delete(self, names: Collections, design_ids: Sequence[str], deadline: Deadline) -> None:
        """Delete designs by id, from the first collection first; unknown ids do nothing."""
        can = await self._milvus.capabilities(deadline)

        def work(client: Any, timeout: float) -> None:
            for name in reversed(names.all):
                client.delete(name, ids=list(design_ids), timeout=timeout)

        await self._milvus.call(work, deadline=deadline, write=True)
        if can.settle_deletes:
            for name in reversed(names.all):
                await self.read(name, design_ids[:1], ("design_id",), deadline, strong=True)

    async def photos_in_use(self, collection: str, photos: Sequence[str], deadline: Deadline) -> set[str]:
        """Those of the photos (keys of the blob store) that some design refers to."""
        used: set[str] = set()
        for start in range(0, len(photos), _ID_CHUNK):
            wanted = ", ".join(literal(photo) for photo in photos[start : start + _ID_CHUNK])
            rows = await self._query(
                collection, f"photo in [{wanted}]", ("photo",), MAX_ROWS, deadline, strong=True
            )
            used |= {str(row["photo"]) for row in rows}
        return used

    async def _query(
        self,
        collection: str,
        expression: str,
        fields: Sequence[str],
        limit: int | None,
        deadline: Deadline,
        *,
        strong: bool = False,
    ) -> list[Mapping[str, Any]]:
        consistency = "Strong" if strong else self._milvus.consistency

        def work(client: Any, timeout: float) -> list[Mapping[str, Any]]:
            bounds = {} if limit is None else {"limit": min(limit, MAX_ROWS)}
            rows = client.query(
                collection,
                filter=expression,
                output_fields=list(fields),
                consistency_level=consistency,
                timeout=timeout,
                **bounds,
            )
            return list(rows)

        return await self._milvus.call(work, deadline=deadline)

    async def _search(
        self,
        collection: str,
        query: Any,
        field: str,
        parameters: dict[str, Any],
        expression: str,
        limit: int,
        sign: float,
        deadline: Deadline,
        *,
        fields: Sequence[str],
    ) -> list[Found]:
        def work(client: Any, timeout: float) -> list[Found]:
            (hits,) = client.search(
                collection,
                data=[query],
                anns_field=field,
                filter=expression,
                limit=min(limit, MAX_ROWS),
                search_params=parameters,
                output_fields=["design_id", *fields],
                consistency_level=self._milvus.consistency,
                timeout=timeout,
            )
            return [
                Found(str(hit["entity"]["design_id"]), sign * float(hit["distance"]), hit["entity"])
                for hit in hits
            ]

        return await self._milvus.call(work, deadline=deadline)


def check_vector(vector: Sequence[float], dimensions: int) -> None:
    """Raises Internal VECTOR_INVALID: Milvus Lite would take anything, and a server answers unkindly."""
    length = math.sqrt(math.fsum(float(value) ** 2 for value in vector)) if len(vector) == dimensions else 0.0
    if not math.isfinite(length) or abs(length - 1.0) > 1e-2:
        raise Internal("a vector is not of unit length, or not of its space", reason="VECTOR_INVALID")


def _id(row: Mapping[str, Any]) -> str:
    return str(row["design_id"])


def _wide_enough(parameters: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """HNSW must look at as many candidates as are asked for, at least."""
    return {name: max(value, limit) if name == "ef" else value for name, value in parameters.items()}
