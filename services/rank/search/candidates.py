"""What every channel measures for every design that some channel proposes.

Each channel proposes its best designs; then every proposed design gets the measures that its own proposers
did not take, computed exactly: cosines from the stored vectors, BM25 by a search among just those designs,
palettes from the stored colours. So a hit's terms do not depend on who proposed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nails.colour.palette import PaletteColour
from nails.colour.palette_match import palette_differences
from services.kit.concurrency.together import stop
from services.kit.deadline import Deadline
from services.rank.catalogue.filters import all_of, id_expression, literal
from services.rank.catalogue.rows import LIGHT_FIELDS, colours_of
from services.rank.catalogue.store import Found, Store
from services.rank.catalogue.versions import Version

Raw = dict[str, float | None]


@dataclass(frozen=True)
class Query:
    """What goes to the index; None or empty where the request has no such input.

    design, reference: unit vectors of the spaces "design" and "align". words: searched by BM25.
    exclude: a design that is not to be found (the reference itself).
    """

    design: Sequence[float] | None
    words: str
    palette: Sequence[PaletteColour]
    reference: Sequence[float] | None
    expression: str
    exclude: str = ""


@dataclass(frozen=True)
class Measures:
    """raw: by design id and channel. digests: of the same designs, as they were measured."""

    raw: Mapping[str, Raw]
    digests: Mapping[str, str]


async def measure(
    store: Store, version: Version, query: Query, *, limit: int, deadline: Deadline
) -> Measures:
    """Measures of the proposals of all channels (at most `limit` of each)."""
    names = version.names
    excluded = f"design_id != {literal(query.exclude)}" if query.exclude else ""
    expression = all_of(query.expression, excluded)

    async def design() -> list[Found]:
        if query.design is None:
            return []
        return await store.nearest(
            names.design, query.design, expression, limit, deadline, fields=LIGHT_FIELDS
        )

    async def words() -> list[Found]:
        if not query.words:
            return []
        # Their vectors too, for the cosines of those that the channel `design` does not propose.
        fields = LIGHT_FIELDS if query.design is None else (*LIGHT_FIELDS, "vector")
        return await store.wordwise(names.design, query.words, expression, limit, deadline, fields=fields)

    async def reference() -> list[Found]:
        if query.reference is None:
            return []
        return await store.nearest(names.align, query.reference, expression, limit, deadline)

    by_design, by_words, by_reference = await _all(design(), words(), reference())
    ids = list(dict.fromkeys(found.design_id for found in (*by_design, *by_words, *by_reference)))
    if not ids:
        return Measures({}, {})
    rows = {found.design_id: found.row for found in (*by_design, *by_words)}
    others = [design_id for design_id in ids if design_id not in rows]
    vectors = {found.design_id: found.row for found in by_words}
    # A list that is not full has every design with a common word: the others have none.
    all_words = len(by_words) < limit
    more, designs, scores, references = await _all(
        _rows(store, names.design, others, deadline),
        _cosines(store, names.design, query.design, by_design, vectors, ids, deadline),
        _word_scores(store, names.design, query.words, by_words, () if all_words else ids, deadline),
        _cosines(store, names.align, query.reference, by_reference, {}, ids, deadline),
    )
    rows |= more
    # A row that is only in the second collection is the rest of an interrupted write.
    ids = [design_id for design_id in ids if design_id in rows]
    palettes = _palette_differences(query.palette, [rows[design_id] for design_id in ids])
    raw: dict[str, Raw] = {
        design_id: {
            "design": designs.get(design_id),
            # No common word is a measure too.
            "description": scores.get(design_id, 0.0) if query.words else None,
            "palette": palette,
            "reference": references.get(design_id),
        }
        for design_id, palette in zip(ids, palettes, strict=True)
    }
    return Measures(raw, {design_id: str(rows[design_id]["digest"]) for design_id in ids})


async def _rows(
    store: Store, collection: str, ids: Sequence[str], deadline: Deadline
) -> dict[str, Mapping[str, Any]]:
    return await store.read(collection, ids, ("design_id", *LIGHT_FIELDS), deadline) if ids else {}


async def _cosines(
    store: Store,
    collection: str,
    vector: Sequence[float] | None,
    found: Sequence[Found],
    known: Mapping[str, Mapping[str, Any]],
    ids: Sequence[str],
    deadline: Deadline,
) -> dict[str, float]:
    """Cosines of all `ids` with `vector`: the search's, and computed for those that it did not give.

    known: rows with their vectors that need not be read.
    """
    if vector is None:
        return {}
    cosines = {one.design_id: one.raw for one in found}
    missing = [design_id for design_id in ids if design_id not in cosines]
    unread = [design_id for design_id in missing if design_id not in known]
    rows = await store.read(collection, unread, ("design_id", "vector"), deadline) if unread else {}
    query = np.asarray(vector, np.float64)
    query /= np.linalg.norm(query)
    for design_id in missing:
        row = rows.get(design_id) or known.get(design_id)
        if row is None:
            continue
        stored = np.asarray(row["vector"], np.float64)
        cosines[design_id] = float(stored @ query / np.linalg.norm(stored))
    return cosines


async def _word_scores(
    store: Store,
    collection: str,
    words: str,
    found: Sequence[Found],
    ids: Sequence[str],
    deadline: Deadline,
) -> dict[str, float]:
    if not words:
        return {}
    scores = {one.design_id: one.raw for one in found}
    missing = [design_id for design_id in ids if design_id not in scores]
    if missing:
        rest = await store.wordwise(collection, words, id_expression(missing), len(missing), deadline)
        scores |= {one.design_id: one.raw for one in rest}
    return scores


def _palette_differences(
    wanted: Sequence[PaletteColour], rows: Sequence[Mapping[str, Any]]
) -> Sequence[float | None]:
    """The colour differences of the palettes, huge where a design shows no nails; None without a request."""
    if not wanted:
        return [None] * len(rows)
    differences: list[float] = palette_differences(wanted, [colours_of(row) for row in rows]).tolist()
    return differences


async def _all(*works: Any) -> Any:
    """The results of all; the first error stops the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await stop(tasks)
