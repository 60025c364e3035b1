"""Image tokens of an earlier photo are never taken for those of the present one. On Milvus Lite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from lunula.type.v1 import palette_pb2, photo_pb2
from nails.aesthetic_tokens import Packing
from services.kit.deadline import Deadline
from services.rank.catalogue import Catalogue, Space, Version
from services.rank.milvus import Milvus
from services.rank.rows import DesignText, IndexedDesign
from services.rank.store import Store
from services.rank.token_rows import TokenSpace

NEVER = Deadline.never()
TOKENS = TokenSpace("f", Packing(2, 8), 4, 8)


def design(name: str, photo: str, tokens: str) -> IndexedDesign:
    return IndexedDesign(
        text=DesignText(name, "", "", "", (), (), ""),
        design=[1.0, 0.0],
        align=[1.0, 0.0],
        photo=photo,
        digest=f"digest of {photo}",
        fingerprint="a",
        palette=palette_pb2.Palette(),
        crop_box=photo_pb2.Box(),
        index_time_ms=1,
        tokens=tokens,
    )


@pytest.fixture
async def milvus(tmp_path: Path) -> AsyncIterator[Milvus]:
    opened = Milvus(str(tmp_path / "milvus.db"))
    yield opened
    await opened.close()


async def versions(milvus: Milvus, store: Store) -> tuple[Version, Version]:
    """One version twice: as it was before it had a place for tokens, and with it."""
    catalogue = Catalogue(milvus, store, "x")
    plain = await catalogue.create(Space("a", "b", 2, 2), "", NEVER)
    return plain, await catalogue.with_tokens(plain, TOKENS, NEVER)


async def test_a_search_gets_only_tokens_of_the_photo_that_a_design_has(milvus: Milvus) -> None:
    store = Store(milvus)
    plain, kept = await versions(milvus, store)
    await store.upsert(kept.names, [design(f"d{n}", "old", f"tokens {n}") for n in range(4)], NEVER)
    # A writer that knows of no tokens gives one another photo, and deletes one.
    await store.upsert(plain.names, [design("d1", "new", "")], NEVER)
    await store.delete(plain.names, ["d2"], NEVER)
    found = await store.read_tokens(kept.names, ["d0", "d1", "d2", "d3", "d9"], NEVER)
    assert {name: row["tokens"] for name, row in found.items()} == {"d0": "tokens 0", "d3": "tokens 3"}
    await store.upsert(kept.names, [replace(design("d1", "new", ""), tokens="new tokens")], NEVER)
    assert (await store.read_tokens(kept.names, ["d1"], NEVER))["d1"]["tokens"] == "new tokens"
