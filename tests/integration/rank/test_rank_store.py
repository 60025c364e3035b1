"""The store with thousands of rows, where Milvus keeps them in several places."""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.rank.catalogue.align import AlignSpace
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.rows import DesignText, IndexedDesign
from services.rank.catalogue.store import Store
from services.rank.catalogue.version import Space, Version
from services.rank.catalogue.versions import Catalogue
from services.rank.catalogue.view import View

ROWS = 2_500
SOON = Deadline.never()


@pytest.fixture(params=["lite", pytest.param("server", marks=pytest.mark.milvus_server)])
async def milvus(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Milvus Lite in a new folder, or the server of this test run."""
    lite = request.param == "lite"
    uri = str(tmp_path / "milvus.db") if lite else str(request.getfixturevalue("milvus_server"))
    opened = Milvus(uri, timeout_s=60)
    yield opened
    await opened.close()


def rows(count: int) -> list[IndexedDesign]:
    chance = np.random.default_rng(3)
    vectors = chance.standard_normal((count, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = [
        IndexedDesign(
            text=DesignText(f"d{n:05}", f"title {n % 7}", "", f"artist-{n % 3}", (f"tag{n % 5}",), (), ""),
            vector=vectors[n].tolist(),
            photo="aa/" + "a" * 64 + ".jpg",
            digest="0" * 64,
            fingerprint="f",
            palette=(),
            crop_box=(0, 0, 1, 1),
            index_time_ms=1,
            companions={"align": vectors[n][::-1].tolist()},
        )
        for n in range(count)
    ]
    random.Random(5).shuffle(made)
    return made


async def fill(milvus: Milvus, store: Store, designs: list[IndexedDesign]) -> Version:
    async def space() -> Space:
        return Space("f", 16, (AlignSpace("g", 16),))

    catalogue = Catalogue(milvus, store, f"s{uuid.uuid4().hex[:12]}")
    version = await catalogue.live_or_first(space, SOON)
    view = store.at(version, SOON)
    for start in range(0, len(designs), 500):
        await view.upsert(designs[start : start + 500])
    # Written again: rows must not double, in whatever place they lie now.
    await view.upsert(designs[:700])
    await view.delete([designs[0].text.design_id])
    return version


@pytest.mark.timeout(300)
async def test_pages_count_and_search_hold_over_thousands_of_rows(milvus: Milvus) -> None:
    store, designs = Store(milvus), rows(ROWS)
    version = await fill(milvus, store, designs)
    expected = sorted(design.text.design_id for design in designs[1:])
    view = store.at(version, SOON)
    assert await view.count() == ROWS - 1

    for condition, wanted in (
        ("", expected),
        ('artist_id in ["artist-1"]', [name for name in expected if int(name[1:]) % 3 == 1]),
    ):
        found: list[str] = []
        while True:
            after = found[-1] if found else ""
            page = await view.page(condition, after, 1001, ("design_id", "artist_id"))
            if not page:
                break
            found += [row["design_id"] for row in page]
        assert found == wanted

    # Exact at once where the index is exact; a server gets there when it has indexed what was flushed.
    await view.flush(least_rows=0)
    by_id = {design.text.design_id: design for design in designs[1:]}
    vectors = np.array([by_id[name].vector for name in expected])
    while await recall(view, expected, vectors) < 0.98:
        assert not milvus.embedded
        await asyncio.sleep(0.5)


async def recall(view: View, names: list[str], vectors: NDArray[np.float64]) -> float:
    """The least share of true neighbours that a search finds, with a filter and without."""
    third = np.array([int(name[1:]) % 3 == 2 for name in names])
    worst = 1.0
    for query in vectors[:: ROWS // 5]:
        cosines = vectors @ query
        for condition, kept in (("", np.ones(len(names), bool)), ('artist_id in ["artist-2"]', third)):
            found = await view.nearest(query.tolist(), condition, 50)
            assert len({one.design_id for one in found}) == 50
            for one in found:
                assert kept[names.index(one.design_id)]
                assert one.raw == pytest.approx(cosines[names.index(one.design_id)], abs=1e-4)
            exact = {names[index] for index in np.argsort(-np.where(kept, cosines, -2))[:50]}
            worst = min(worst, len(exact & {one.design_id for one in found}) / 50)
    return worst
