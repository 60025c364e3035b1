"""The rows of one catalogue version until one deadline: written, searched, read and deleted.

Invariants: a design is acknowledged only after all of its rows were written, that of the first collection
last; vectors are finite, of unit length and of the version's dimensions before they leave us; no request asks
Milvus for more rows than it gives.

`companion` names the companion collection that is meant; "" is the version's first collection.
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
from services.rank.catalogue.companions import COMPANIONS
from services.rank.catalogue.filters import all_of, id_expression, literal
from services.rank.catalogue.milvus import Capabilities, Milvus
from services.rank.catalogue.rows import IndexedDesign, spaced_words
from services.rank.catalogue.version import Version

log = logging.getLogger(__name__)

MAX_ROWS = 16_384
"""A Milvus server gives no more rows than this at once."""
_ID_CHUNK = 1_000
_SAMPLE = 2_048
"""More than the longest page."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """A design that a search returned. raw: cosine or BM25 score, larger is better. row: of the fields."""

    design_id: str
    raw: float
    row: Row = field(default_factory=dict, compare=False)


class View:
    """Rows of one version. Raises what `Milvus.call` raises."""

    def __init__(self, milvus: Milvus, version: Version, deadline: Deadline, unflushed: Counter[str]) -> None:
        """unflushed: rows written and not flushed, by first collection; shared by all views of a store."""
        self.version = version
        self.deadline = deadline
        self._milvus = milvus
        self._unflushed = unflushed

    async def capabilities(self) -> Capabilities:
        """What this Milvus can do."""
        return await self._milvus.capabilities(self.deadline)

    def until(self, deadline: Deadline) -> View:
        """The same rows for work that ends by another deadline."""
        return View(self._milvus, self.version, deadline, self._unflushed)

    async def upsert(self, designs: Sequence[IndexedDesign]) -> None:
        """Write designs, new or changed; durable when this returns. Ids must differ from each other.

        Where the version has a companion that a design keeps nothing in, the companion's row of an earlier
        state goes. Companions that this view does not know of stay as they are: `read_current` tells their
        rows by the digest.
        """
        space = self.version.space
        can = await self.capabilities()
        writes: list[tuple[str, list[dict[str, Any]], list[str]]] = []
        for one in space.companions:
            companion = COMPANIONS[one.companion]
            made = {design.text.design_id: companion.row(design) for design in designs}
            rows = [row for row in made.values() if row is not None]
            if companion.searched:
                for row in rows:
                    check_vector(row["vector"], companion.dimensions(one))
            gone = [design_id for design_id, row in made.items() if row is None]
            writes.append((self.version.companion_collection(one.companion), rows, gone))
        for design in designs:
            check_vector(design.vector, space.dimensions)

        def work(client: Any, timeout: float) -> None:
            for collection, rows, gone in writes:
                if rows:
                    client.upsert(collection, rows, timeout=timeout)
                if gone:
                    client.delete(collection, ids=gone, timeout=timeout)
            rows = [design.row(bm25=can.bm25) for design in designs]
            client.upsert(self.version.collection, rows, timeout=timeout)

        await self._write(work)
        self._unflushed[self.version.collection] += len(designs)
        await self.flush(least_rows=can.flush_rows)

    async def flush(self, *, least_rows: int) -> None:
        """Have indexed what was written, where at least so many rows wait for it.

        For speed only: what `upsert` wrote is durable and is found without it, so it never fails.
        """
        if self._unflushed[self.version.collection] < least_rows:
            return
        self._unflushed[self.version.collection] = 0

        def work(client: Any, timeout: float) -> None:
            for collection in self.version.collections:
                client.flush(collection, timeout=timeout)

        try:
            await self._write(work)
        except LunulaError as error:
            log.warning("flushing %s failed: %s", self.version.collection, error)

    async def delete(self, design_ids: Sequence[str]) -> None:
        """Delete designs by id, from the first collection first; unknown ids do nothing."""
        can = await self.capabilities()
        collections = tuple(reversed(self.version.collections))

        def work(client: Any, timeout: float) -> None:
            for collection in collections:
                client.delete(collection, ids=list(design_ids), timeout=timeout)

        await self._write(work)
        if can.settle_deletes:
            for collection in collections:
                await self._read(collection, design_ids[:1], ("design_id",), strong=True)

    async def read(
        self, design_ids: Iterable[str], fields: Sequence[str], *, companion: str = "", strong: bool = False
    ) -> dict[str, Row]:
        """Rows by id; ids that do not exist are left out. strong: sees every write of every process."""
        return await self._read(self._collection(companion), design_ids, fields, strong=strong)

    async def read_current(
        self, companion: str, digests: Mapping[str, str], fields: Sequence[str], *, strong: bool = False
    ) -> dict[str, Row]:
        """Rows of a companion by id, only those that are of the designs as they are now.

        digests: of the designs, by id. A row may be of an earlier photo, since a writer that does not know of
        the companion leaves it alone.
        """
        wanted = ("design_id", "digest", *fields)
        rows = await self.read(list(digests), wanted, companion=companion, strong=strong)
        return {design_id: row for design_id, row in rows.items() if row["digest"] == digests[design_id]}

    async def nearest(
        self,
        vector: Sequence[float],
        expression: str,
        limit: int,
        *,
        companion: str = "",
        fields: Sequence[str] = (),
    ) -> list[Found]:
        """The designs with the nearest vectors, nearest first, with `fields`; raw is the cosine."""
        can = await self.capabilities()
        check_vector(vector, len(vector))
        parameters = {"metric_type": "COSINE", "params": _with_least_ef(can.search_params, limit)}
        query = [float(x) for x in vector]
        found = await self._search(
            self._collection(companion), "vector", query, parameters, expression, limit, fields
        )
        return [Found(design_id, distance, row) for design_id, distance, row in found]

    async def match_words(
        self, text: str, expression: str, limit: int, *, fields: Sequence[str] = ()
    ) -> list[Found]:
        """The designs whose words match the text best (BM25), best first, with `fields`.

        Only those with a common word.
        """
        can = await self.capabilities()
        query = spaced_words(text)
        if not query:
            return []
        found = await self._search(
            self.version.collection, "words_sparse", query, {"metric_type": "BM25"}, expression, limit, fields
        )
        return [Found(design_id, can.bm25_sign * distance, row) for design_id, distance, row in found]

    async def page(self, expression: str, after: str, limit: int, fields: Sequence[str]) -> list[Row]:
        """The next rows after id `after`, in the order of ids."""
        can = await self.capabilities()
        beyond = f"design_id > {literal(after)}"
        if can.sorted_queries:
            rows = await self._query(self.version.collection, all_of(expression, beyond), fields, limit)
            return sorted(rows, key=_id)[:limit]
        ids = await self._smallest_ids(expression, after, limit)
        found = await self.read(ids, fields) if ids else {}
        return [found[design_id] for design_id in ids if design_id in found]

    async def _smallest_ids(self, expression: str, after: str, limit: int) -> list[str]:
        """The first `limit` ids after `after` in their order, from queries that give any rows.

        Every full answer bounds from above where the wanted ids are: there are `limit` and more below.
        """
        bounds = f"design_id > {literal(after)}"
        while True:
            rows = await self._query(
                self.version.collection, all_of(expression, bounds), ("design_id",), _SAMPLE
            )
            ids = sorted(_id(row) for row in rows)
            if len(ids) < _SAMPLE:
                return ids[:limit]
            bounds = f"design_id > {literal(after)} and design_id <= {literal(ids[limit])}"

    async def count(self, expression: str = "") -> int:
        """How many designs meet the expression ("" is all)."""
        rows = await self._query(self.version.collection, expression, ("count(*)",), None)
        return int(rows[0]["count(*)"]) if rows else 0

    async def photos_in_use(self, photos: Sequence[str]) -> set[str]:
        """Those of the photos (keys of the blob store) that some design refers to."""
        used: set[str] = set()
        for start in range(0, len(photos), _ID_CHUNK):
            wanted = ", ".join(literal(photo) for photo in photos[start : start + _ID_CHUNK])
            rows = await self._query(
                self.version.collection, f"photo in [{wanted}]", ("photo",), MAX_ROWS, strong=True
            )
            used |= {str(row["photo"]) for row in rows}
        return used

    def _collection(self, companion: str) -> str:
        return self.version.companion_collection(companion) if companion else self.version.collection

    async def _read(
        self, collection: str, design_ids: Iterable[str], fields: Sequence[str], *, strong: bool
    ) -> dict[str, Row]:
        ids = list(dict.fromkeys(design_ids))
        rows: dict[str, Row] = {}
        for start in range(0, len(ids), _ID_CHUNK):
            chunk = ids[start : start + _ID_CHUNK]
            for row in await self._query(collection, id_expression(chunk), fields, len(chunk), strong=strong):
                rows[row["design_id"]] = row
        return rows

    async def _write(self, work: Any) -> None:
        await self._milvus.call(work, deadline=self.deadline, write=True)

    async def _query(
        self,
        collection: str,
        expression: str,
        fields: Sequence[str],
        limit: int | None,
        *,
        strong: bool = False,
    ) -> list[Row]:
        consistency = "Strong" if strong else self._milvus.consistency

        def work(client: Any, timeout: float) -> list[Row]:
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

        return await self._milvus.call(work, deadline=self.deadline)

    async def _search(
        self,
        collection: str,
        vector_field: str,
        query: Any,
        parameters: dict[str, Any],
        expression: str,
        limit: int,
        fields: Sequence[str],
    ) -> list[tuple[str, float, Row]]:
        """(id, distance, row) of the best."""

        def work(client: Any, timeout: float) -> list[tuple[str, float, Row]]:
            (hits,) = client.search(
                collection,
                data=[query],
                anns_field=vector_field,
                filter=expression,
                limit=min(limit, MAX_ROWS),
                search_params=parameters,
                output_fields=["design_id", *fields],
                consistency_level=self._milvus.consistency,
                timeout=timeout,
            )
            return [(str(hit["entity"]["design_id"]), float(hit["distance"]), hit["entity"]) for hit in hits]

        return await self._milvus.call(work, deadline=self.deadline)


def check_vector(vector: Sequence[float], dimensions: int) -> None:
    """Raises Internal VECTOR_INVALID: Milvus Lite would take anything, and a server's refusal says little."""
    length = math.sqrt(math.fsum(float(value) ** 2 for value in vector)) if len(vector) == dimensions else 0.0
    if not math.isfinite(length) or abs(length - 1.0) > 1e-2:
        raise Internal("a vector is not of unit length, or not of its space", reason="VECTOR_INVALID")


def _id(row: Row) -> str:
    return str(row["design_id"])


def _with_least_ef(parameters: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """HNSW must look at as many candidates as are asked for, at least."""
    return {name: max(value, limit) if name == "ef" else value for name, value in parameters.items()}
