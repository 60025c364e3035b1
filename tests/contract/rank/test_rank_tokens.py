"""Image tokens in the catalogue: written with the design, gone with it, and added to what was without."""

from __future__ import annotations

from typing import Any

import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from services.kit.deadline import Deadline
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.store import Store
from services.rank.catalogue.tokens import TOKENS, decode_tokens
from services.rank.catalogue.versions import Catalogue
from tests.rank_catalogue import assert_adds_up, ids, search
from tests.rank_doubles import design, index
from tests.rank_tokens import read_tokens

INDEXED, UNCHANGED = pb.INDEX_STATE_INDEXED, pb.INDEX_STATE_UNCHANGED
NEVER = Deadline.never()


@pytest.fixture
def kept(rank_settings: Any) -> Any:
    """Reads what is kept of the tokens: the mean of each design's. The server must be closed for Lite."""

    async def read(version_id: str = "v1") -> dict[str, float]:
        milvus = Milvus(rank_settings.milvus_uri)
        try:
            store = Store(milvus)
            version = await Catalogue(milvus, store, rank_settings.catalogue).resolve(version_id, NEVER)
            assert version is not None
            space = TOKENS.space(version.space)
            assert space is not None
            rows = await read_tokens(store, version, [f"d{n}" for n in range(8)])
            batch = decode_tokens(rows, space)
            assert len(batch.ids) == len(rows)
            return dict(zip(batch.ids, batch.tokens.mean(axis=(1, 2)).tolist(), strict=True))
        finally:
            await milvus.close()

    return read


def terms(response: pb.SearchDesignsResponse) -> dict[str, pb.ScoreTerm]:
    return {
        hit.design.design_id: term
        for hit in response.hits
        for term in hit.terms
        if term.channel == "aesthetic"
    }


async def states(rank: Any, *designs: pb.Design, **first: Any) -> list[int]:
    return [answer.state for answer in await index(rank.stub, designs, **first)]


async def test_tokens_are_written_replaced_and_deleted_with_the_design(open_scoring: Any, kept: Any) -> None:
    designs = [design(f"d{n}", title="nails") for n in range(4)]
    async with open_scoring() as rank:
        rank.doubles.aesthetic_scores |= {one.photo.data: 2.0 + n for n, one in enumerate(designs)}
        assert set(await states(rank, *designs)) == {INDEXED}
        assert set(await states(rank, *designs)) == {UNCHANGED}
        other = design("d1", title="nails", colour=(0, 0, 250))
        rank.doubles.aesthetic_scores[other.photo.data] = 9.0
        assert await states(rank, other) == [INDEXED]
        await rank.stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["d2"]), timeout=20)
    found = await kept()
    assert found == pytest.approx({"d0": 2.0, "d1": 9.0, "d3": 5.0}, abs=0.05)


async def test_a_version_names_the_fingerprint_of_its_tokens(open_scoring: Any, open_rank: Any) -> None:
    async def fingerprints(rank: Any) -> dict[str, str]:
        listed = await rank.stub.ListCatalogueVersions(pb.ListCatalogueVersionsRequest(), timeout=20)
        return {version.version_id: version.token_fingerprint for version in listed.versions}

    async with open_rank() as rank:
        await index(rank.stub, [design("d0")])
        assert await fingerprints(rank) == {"v1": ""}
    async with open_scoring() as rank:
        created = await rank.stub.CreateCatalogueVersion(pb.CreateCatalogueVersionRequest(), timeout=30)
        assert created.version.token_fingerprint == "tokens-a-4-8"
        assert await fingerprints(rank) == {"v1": "", "v2": "tokens-a-4-8"}


async def test_an_old_version_is_searched_and_gets_tokens_when_designs_are_sent_again(
    open_scoring: Any, open_rank: Any
) -> None:
    designs = [design(f"d{n}", title="red nails") for n in range(4)]
    async with open_rank() as rank:
        await index(rank.stub, designs)
        plain = await search(rank, text="red nails")
    async with open_scoring(aesthetic_weight=0.3) as rank:
        rank.doubles.aesthetic_scores |= {one.photo.data: 8.0 for one in designs[:2]}
        response = await search(rank, text="red nails")
        assert "v1 keeps no image tokens" in response.unavailable_channels["aesthetic"]
        assert response.hits == plain.hits
        # Sent again, one of them is scored, and the others count as photos in the middle.
        assert await states(rank, designs[0]) == [INDEXED]
        response = await search(rank, text="red nails")
        assert "aesthetic" not in response.unavailable_channels
        found = terms(response)
        assert (found["d0"].note, round(found["d0"].raw)) == ("", 8)
        assert {(found[f"d{n}"].raw, found[f"d{n}"].normalised) for n in (1, 2, 3)} == {(0.0, 0.5)}
        assert all("tokens are not stored" in found[f"d{n}"].note for n in (1, 2, 3))
        assert_adds_up(response)
        assert await states(rank, *designs) == [UNCHANGED, INDEXED, INDEXED, INDEXED]
        assert {term.note for term in terms(await search(rank, text="red nails")).values()} == {""}
        assert await states(rank, *designs) == [UNCHANGED] * 4
        listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(), timeout=20)
        assert listed.total_size == 4


async def test_a_version_with_tokens_is_served_by_a_server_that_scores_nothing(
    open_scoring: Any, open_rank: Any, kept: Any
) -> None:
    designs = [design(f"d{n}", title="red nails") for n in range(2)]
    async with open_scoring() as rank:
        await index(rank.stub, designs)
    async with open_rank() as rank:
        assert await states(rank, *designs) == [UNCHANGED, UNCHANGED]
        # What it writes has tokens too: the version says of what packing.
        assert await states(rank, design("d2", title="red nails")) == [INDEXED]
        response = await search(rank, text="red nails")
        assert len(ids(response)) == 3
        assert "aesthetic" not in response.unavailable_channels
        await rank.stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["d0"]), timeout=20)
    assert set(await kept()) == {"d1", "d2"}


async def test_models_without_tokens_take_designs_all_the_same(open_scoring: Any) -> None:
    async with open_scoring(aesthetic_weight=0.3) as rank:
        rank.doubles.tokenless = True
        assert await states(rank, design("d0", title="red nails")) == [INDEXED]
        response = await search(rank, text="red nails")
        assert ids(response) == ["d0"]
        assert "keeps no image tokens" in response.unavailable_channels["aesthetic"]


async def test_a_stale_page_of_tokens_is_never_shown(open_scoring: Any, rank_settings: Any) -> None:
    """A row of tokens without a design is the rest of an interrupted write."""
    async with open_scoring() as rank:
        await index(rank.stub, [design("d0", title="red nails")])
    milvus = Milvus(rank_settings.milvus_uri)
    store = Store(milvus)
    version = await Catalogue(milvus, store, rank_settings.catalogue).resolve("v1", NEVER)
    assert version is not None
    view = store.at(version, NEVER)
    fields = ("vector", "digest", "tokens")
    row = dict((await view.read(["d0"], fields, companion="tokens"))["d0"])
    row["design_id"], row["vector"] = "ghost", [1.0, 0.0]
    await milvus.call(
        lambda client, timeout: client.upsert(version.companion_collection("tokens"), [row], timeout=timeout),
        deadline=NEVER,
        write=True,
    )
    await milvus.close()
    async with open_scoring() as rank:
        assert ids(await search(rank, text="red nails", aesthetic_weight=0.3)) == ["d0"]
        listed = await rank.stub.ListDesigns(pb.ListDesignsRequest(), timeout=20)
        assert [one.design_id for one in listed.designs] == ["d0"]


async def test_versions_keep_read_tokens_their_own_and_switch_together(open_scoring: Any) -> None:
    one = design("d0", title="red nails")
    async with open_scoring(aesthetic_weight=0.3) as rank:
        rank.doubles.aesthetic_scores[one.photo.data] = 3.0
        await index(rank.stub, [one])
        await rank.stub.CreateCatalogueVersion(pb.CreateCatalogueVersionRequest(), timeout=30)
        rank.doubles.aesthetic_scores[one.photo.data] = 8.0
        assert await states(rank, one, version_id="v2") == [INDEXED]
        assert round(terms(await search(rank, text="red nails"))["d0"].raw) == 3
        await rank.stub.PromoteCatalogueVersion(
            pb.PromoteCatalogueVersionRequest(version_id="v2"), timeout=30
        )
        assert round(terms(await search(rank, text="red nails"))["d0"].raw) == 8
        await rank.stub.RollBackCatalogueVersion(pb.RollBackCatalogueVersionRequest(), timeout=30)
        assert round(terms(await search(rank, text="red nails"))["d0"].raw) == 3
