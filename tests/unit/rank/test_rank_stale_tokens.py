"""Image tokens of an earlier photo are never taken for those of the present one. On Milvus Lite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pymilvus import DataType

from nails.aesthetic.tokens import Packing
from services.kit.deadline import Deadline
from services.kit.retry import Backoff
from services.rank.catalogue.align import AlignSpace
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.rows import DesignText, IndexedDesign
from services.rank.catalogue.store import FACTS, Store
from services.rank.catalogue.tokens import TOKENS, TokenSpace
from services.rank.catalogue.version import Space, Version
from services.rank.catalogue.versions import Catalogue
from services.rank.ingest.pipeline import Ingest, IngestLimits, _Lookup, _Write
from tests.rank_tokens import read_tokens

NEVER = Deadline.never()
PLAIN = Space("a", 2, (AlignSpace("b", 2),))
KEPT = TokenSpace("f", Packing(2, 8), 4, 8)
WITH_TOKENS = Space("a", 2, (KEPT, AlignSpace("b", 2)))


def design(name: str, photo: str, tokens: str) -> IndexedDesign:
    return IndexedDesign(
        text=DesignText(name, "", "", "", (), (), ""),
        vector=[1.0, 0.0],
        photo=photo,
        digest=f"digest of {photo}",
        fingerprint="a",
        palette=(),
        crop_box=(0, 0, 1, 1),
        index_time_ms=1,
        companions={"align": [1.0, 0.0], "tokens": tokens or None},
    )


@pytest.fixture
async def milvus(tmp_path: Path) -> AsyncIterator[Milvus]:
    opened = Milvus(str(tmp_path / "milvus.db"))
    yield opened
    await opened.close()


async def versions(milvus: Milvus, store: Store) -> tuple[Version, Version]:
    """One version twice: as it was before it had a place for tokens, and with it."""
    catalogue = Catalogue(milvus, store, "x")
    plain = await catalogue.create(PLAIN, "", NEVER)
    return plain, await catalogue.with_companions(plain, WITH_TOKENS, NEVER)


async def test_a_search_gets_only_read_tokens_the_photo_that_a_design_has(milvus: Milvus) -> None:
    store = Store(milvus)
    plain, kept = await versions(milvus, store)
    await store.at(kept, NEVER).upsert([design(f"d{n}", "old", f"tokens {n}") for n in range(4)])
    # A writer that knows of no tokens gives one another photo, and deletes one.
    await store.at(plain, NEVER).upsert([design("d1", "new", "")])
    await store.at(plain, NEVER).delete(["d2"])
    found = await read_tokens(store, kept, ["d0", "d1", "d2", "d3", "d9"])
    assert {name: row["tokens"] for name, row in found.items()} == {"d0": "tokens 0", "d3": "tokens 3"}
    await store.at(kept, NEVER).upsert([design("d1", "new", "new tokens")])
    assert (await read_tokens(store, kept, ["d1"]))["d1"]["tokens"] == "new tokens"


async def test_streams_that_know_a_version_with_and_without_tokens_do_not_write_for_each_other(
    milvus: Milvus,
) -> None:
    store = Store(milvus)
    plain, kept = await versions(milvus, store)
    limits = IngestLimits(at_once=4, write_rows=64, call_s=20, backoff=Backoff(attempts=1))
    unused = cast(Any, None)
    ingest = Ingest(
        catalogue=unused,
        store=store,
        crop=unused,
        embed=unused,
        photos=unused,
        extra_options=unused,
        limits=limits,
    )

    async def write(*designs: tuple[Version, IndexedDesign]) -> None:
        await asyncio.gather(*(ingest._writes.submit(_Write(*one)) for one in designs))

    async def tokens_there(version: Version) -> list[bool]:
        names = ("d1", "d2")
        found = await asyncio.gather(*(ingest._lookups.submit(_Lookup(version, name)) for name in names))
        return [stored is not None and stored.complete for stored in found]

    await write(*((kept, design(name, "old", "old tokens")) for name in ("d1", "d2")))
    assert await tokens_there(kept) == [True, True]
    # All in one batch behind the first of them, that of the stream without tokens first.
    await write(
        (plain, design("d0", "old", "")),
        (plain, design("d1", "new", "")),
        (kept, design("d2", "new", "new tokens")),
    )
    found = await read_tokens(store, kept, ["d1", "d2"])
    assert {name: row["tokens"] for name, row in found.items()} == {"d2": "new tokens"}
    # Sent again, d1 is made again; to a stream without tokens nothing is amiss.
    assert await tokens_there(kept) == [False, True]
    assert await tokens_there(plain) == [True, True]
    await store.at(plain, NEVER).delete(["d1"])
    assert await tokens_there(kept) == [False, True]


async def test_read_tokens_which_nobody_knows_the_photo_make_way(milvus: Milvus) -> None:
    store, catalogue = Store(milvus), Catalogue(milvus, Store(milvus), "x")
    plain = await catalogue.create(PLAIN, "", NEVER)

    def without_digests(client: Any, timeout: float) -> None:
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("design_id", DataType.VARCHAR, max_length=128, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("tokens", DataType.VARCHAR, max_length=65_535)
        client.create_collection(
            "x_tokens_v1", schema=schema, properties={FACTS: KEPT.dump()}, timeout=timeout
        )

    await milvus.call(without_digests, deadline=NEVER, write=True)
    version = await catalogue.resolve("v1", NEVER)
    assert version == plain
    await store.at(plain, NEVER).upsert([design("d0", "old", "")])
    kept = await catalogue.with_companions(plain, WITH_TOKENS, NEVER)
    assert TOKENS.space(kept.space) == KEPT
    await store.at(kept, NEVER).upsert([design("d0", "old", "tokens")])
    assert list(await read_tokens(store, kept, ["d0"])) == ["d0"]
