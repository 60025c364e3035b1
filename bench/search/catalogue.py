"""Fills a catalogue at the storage layer, and asks its index alone: what it finds, and how fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.callers import Taken, in_thread, take_turns
from bench.search.synthetic import ARTISTS, Cloud, Matrix, make_designs, name_artist
from services.kit.deadline import Deadline
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.store import Store
from services.rank.catalogue.version import Space, Version
from services.rank.catalogue.versions import Catalogue

DEPTH = 10
_WRITE_ROWS = 500
_SEED = 17
_NEVER = Deadline.never()


@dataclass(frozen=True)
class Filled:
    """A catalogue and what it holds. vectors: unit [n, D], of the design with that number."""

    version: Version
    vectors: Matrix


@dataclass(frozen=True)
class IndexFigures:
    """Of the index alone. recall: share of the exact first ten that are among its first ten."""

    filtered: bool
    recall: float
    search: Taken
    exact: Taken


def filter_expression(number: int) -> str:
    """A filter that keeps one artist of a hundred."""
    return f'artist_id in ["{name_artist(number)}"]'


async def fill(
    milvus: Milvus,
    name: str,
    space: Space,
    clouds: tuple[Cloud, Cloud],
    count: int,
    on_written: Callable[[int], None],
) -> Filled:
    """The catalogue `name` with so many designs; goes on where an earlier run stopped."""
    store = Store(milvus)

    async def read_space() -> Space:
        return space

    version = await Catalogue(milvus, store, name).live_or_first(read_space, _NEVER)
    vectors, aligns = clouds[0].sample(count, _SEED), clouds[1].sample(count, _SEED + 1)
    view = store.at(version, _NEVER)
    there = await view.count() // _WRITE_ROWS * _WRITE_ROWS
    on_written(there)
    rows = make_designs(vectors, aligns, space, seed=_SEED, start=there)
    while batch := list(islice(rows, _WRITE_ROWS)):
        await view.upsert(batch)
        on_written(len(batch))
    await view.flush(least_rows=0)
    await _wait_until_indexed(milvus, version)
    return Filled(version, vectors)


async def _wait_until_indexed(milvus: Milvus, version: Version) -> None:
    """A server indexes what was flushed in its own time."""
    if milvus.embedded:
        return

    def pending(client: Any, timeout: float) -> int:
        answers = [client.describe_index(one, "vector", timeout=timeout) for one in version.collections]
        return sum(int(answer["pending_index_rows"]) for answer in answers)

    while await milvus.call(pending, deadline=_NEVER):  # noqa: ASYNC110  the server tells nobody
        await asyncio.sleep(0.5)


async def measure_index(
    milvus: Milvus,
    filled: Filled,
    queries: Matrix,
    *,
    limit: int,
    filtered: bool,
    in_flight: int,
    processes: Sequence[int],
) -> IndexFigures:
    """pymilvus and NumPy in turns, each asked for the `limit` nearest of every query [q, D]."""
    view = Store(milvus).at(filled.version, _NEVER)
    can = await view.capabilities()
    artists = np.arange(len(filled.vectors)) % ARTISTS
    parameters: dict[str, Any] = {"metric_type": "COSINE", "params": {**can.search_params}}
    if "ef" in can.search_params:
        parameters["params"]["ef"] = max(can.search_params["ef"], limit)
    client = await milvus.call(lambda client, _: client, deadline=_NEVER)

    def search(number: int) -> Any:
        return client.search(
            filled.version.collection,
            data=[queries[number].tolist()],
            anns_field="vector",
            filter=filter_expression(number) if filtered else "",
            limit=limit,
            search_params=parameters,
            output_fields=["design_id"],
        )

    def exact(number: int) -> Any:
        kept = artists == number % ARTISTS if filtered else None
        return exact_nearest(filled.vectors, queries[number], kept, limit)

    taken = await take_turns(
        {
            "search": (in_thread(search), range(len(queries))),
            "exact": (in_thread(exact), range(len(queries))),
        },
        in_flight,
        processes=processes,
    )
    right = 0
    for number, query in enumerate(queries):
        condition = filter_expression(number) if filtered else ""
        found = await view.nearest(query.tolist(), condition, limit)
        wanted = {f"d{row:07}" for row in exact(number)[:DEPTH]}
        right += len(wanted & {one.design_id for one in found[:DEPTH]})
    return IndexFigures(filtered, right / (DEPTH * len(queries)), taken["search"], taken["exact"])


async def wait_until_settled(milvus: Milvus, filled: Filled, queries: Matrix, *, patience_s: float) -> None:
    """Waits until the index finds nearly all that there is: a server serves new segments when it has them."""
    view = Store(milvus).at(filled.version, _NEVER)
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        right = 0
        for query in queries[:20]:
            found = await view.nearest(query.tolist(), "", 200)
            wanted = {f"d{row:07}" for row in exact_nearest(filled.vectors, query, None, DEPTH)}
            right += len(wanted & {one.design_id for one in found[:DEPTH]})
        if right >= 0.98 * DEPTH * 20 or milvus.embedded:
            return
        await asyncio.sleep(1.0)


def unit_rows(vectors: Sequence[Sequence[float]]) -> Matrix:
    """Query vectors as a matrix of unit rows."""
    matrix: Matrix = np.asarray(vectors, np.float32)
    unit: Matrix = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit


def exact_nearest(
    vectors: NDArray[np.float32], query: NDArray[np.float32], kept: NDArray[np.bool_] | None, count: int
) -> NDArray[np.intp]:
    """The rows of unit `vectors` [n, D] nearest to `query` [D] by cosine, best first; `kept` [n] filters."""
    cosines = vectors @ query
    if kept is not None:
        cosines = np.where(kept, cosines, -2.0)
    count = min(count, len(cosines))
    best = np.argpartition(-cosines, count - 1)[:count]
    nearest: NDArray[np.intp] = best[np.argsort(-cosines[best], kind="stable")]
    return nearest
