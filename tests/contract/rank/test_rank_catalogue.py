"""GetDesign, ListDesigns, DeleteDesigns, and catalogue versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from milvus_lite.server_manager import server_manager_instance as lite_servers
from pymilvus import MilvusClient

from lunula.rank.v1 import rank_service_pb2 as pb
from tests.rank_doubles import design, index


async def versions(rank: Any) -> dict[str, pb.CatalogueVersion]:
    response = await rank.stub.ListCatalogueVersions(pb.ListCatalogueVersionsRequest(), timeout=30)
    return {version.version_id: version for version in response.versions}


async def create(rank: Any, note: str = "") -> pb.CatalogueVersion:
    request = pb.CreateCatalogueVersionRequest(note=note)
    return (await rank.stub.CreateCatalogueVersion(request, timeout=30)).version


async def promote(rank: Any, version_id: str) -> pb.CatalogueVersion:
    request = pb.PromoteCatalogueVersionRequest(version_id=version_id)
    return (await rank.stub.PromoteCatalogueVersion(request, timeout=30)).version


async def roll_back(rank: Any) -> pb.CatalogueVersion:
    return (
        await rank.stub.RollBackCatalogueVersion(pb.RollBackCatalogueVersionRequest(), timeout=30)
    ).version


async def list_ids(rank: Any, **fields: Any) -> list[str]:
    response = await rank.stub.ListDesigns(pb.ListDesignsRequest(**fields), timeout=30)
    return [one.design_id for one in response.designs]


async def test_an_unknown_design_is_not_found(rank: Any, refused: Any) -> None:
    for _ in range(2):
        failure = await refused(rank.stub.GetDesign(pb.GetDesignRequest(design_id="nobody"), timeout=20))
        assert failure[:3] == ("NOT_FOUND", "DESIGN_NOT_FOUND", ["design_id"])
        await index(rank.stub, [design("somebody")])


async def test_a_list_comes_in_the_order_of_ids_page_by_page(rank: Any) -> None:
    names = [f"d{n:02}" for n in range(17)]
    await index(rank.stub, [design(name) for name in reversed(names)])
    request = pb.ListDesignsRequest(page_size=5)
    found: list[str] = []
    while True:
        response = await rank.stub.ListDesigns(request, timeout=20)
        assert response.total_size == 17
        found += [one.design_id for one in response.designs]
        if not response.next_page_token:
            break
        request.page_token = response.next_page_token
    assert found == names


async def test_a_list_that_ends_with_its_page_has_no_next(rank: Any) -> None:
    await index(rank.stub, [design(f"d{n}") for n in range(4)])
    response = await rank.stub.ListDesigns(pb.ListDesignsRequest(page_size=4), timeout=20)
    assert (len(response.designs), response.next_page_token) == (4, "")


async def test_deleted_designs_are_gone_with_their_photos(rank: Any, tmp_path: Path) -> None:
    shared = design("d3")
    shared.photo.data = design("d1").photo.data
    await index(rank.stub, [design("d1"), design("d2"), shared])
    request = pb.DeleteDesignsRequest(design_ids=["d1", "d2", "nobody", "d1"])
    response = await rank.stub.DeleteDesigns(request, timeout=20)
    assert (response.deleted_count, list(response.missing_design_ids)) == (2, ["nobody"])
    assert await list_ids(rank) == ["d3"]
    found = await rank.stub.SearchDesigns(
        pb.SearchDesignsRequest(reference_photo=design("d2").photo), timeout=20
    )
    assert [hit.design.design_id for hit in found.hits] == ["d3"]
    # d3 has the same photo as d1 had.
    (kept,) = (tmp_path / "blobs").rglob("*.png")
    assert kept.read_bytes() == shared.photo.data
    (answer,) = await index(rank.stub, [design("d2")])
    assert answer.state == pb.INDEX_STATE_INDEXED


async def test_the_first_design_makes_the_first_version_live(rank: Any) -> None:
    assert await versions(rank) == {}
    await index(rank.stub, [design("d1")])
    (version,) = (await versions(rank)).values()
    assert (version.version_id, version.live, version.design_count) == ("v1", True, 1)
    assert version.fingerprint == rank.doubles.design_fingerprint
    assert version.create_time.seconds > 1_700_000_000


async def test_a_version_is_built_beside_promoted_and_rolled_back(rank: Any, refused: Any) -> None:
    await index(rank.stub, [design("old")])
    rank.doubles.generation = "b"
    created = await create(rank, note="新しいモデル 💅")
    assert (created.version_id, created.live, created.fingerprint) == ("v2", False, "design-b")
    failure = await refused(
        rank.stub.PromoteCatalogueVersion(pb.PromoteCatalogueVersionRequest(version_id="v2"), timeout=20)
    )
    assert failure[:2] == ("FAILED_PRECONDITION", "VERSION_EMPTY")
    await index(rank.stub, [design("new")], version_id="v2")
    assert await list_ids(rank) == ["old"]
    assert await list_ids(rank, version_id="v2") == ["new"]

    assert (await promote(rank, "v2")).live
    assert await list_ids(rank) == ["new"]
    found = await rank.stub.SearchDesigns(pb.SearchDesignsRequest(text="nails"), timeout=20)
    assert (found.version_id, found.hits[0].design.design_id) == ("v2", "new")
    assert [version.live for version in (await versions(rank)).values()] == [False, True]
    assert (await versions(rank))["v2"].note == "新しいモデル 💅"

    assert (await roll_back(rank)).version_id == "v1"
    assert await list_ids(rank) == ["old"]
    failure = await refused(
        rank.stub.RollBackCatalogueVersion(pb.RollBackCatalogueVersionRequest(), timeout=20)
    )
    assert failure[:2] == ("FAILED_PRECONDITION", "NO_PREVIOUS_VERSION")


async def test_pages_stay_on_the_version_of_the_first(rank: Any) -> None:
    await index(rank.stub, [design(f"old{n}", title="nails") for n in range(4)])
    search = pb.SearchDesignsRequest(text="nails", page_size=2)
    listing = pb.ListDesignsRequest(page_size=2)
    searched = await rank.stub.SearchDesigns(search, timeout=20)
    listed = await rank.stub.ListDesigns(listing, timeout=20)
    await create(rank)
    await index(rank.stub, [design("new")], version_id="v2")
    await promote(rank, "v2")
    search.page_token, listing.page_token = searched.next_page_token, listed.next_page_token
    second = await rank.stub.SearchDesigns(search, timeout=20)
    assert second.version_id == "v1"
    assert {hit.design.design_id for hit in second.hits} | {
        hit.design.design_id for hit in searched.hits
    } == {f"old{n}" for n in range(4)}
    rest = await rank.stub.ListDesigns(listing, timeout=20)
    assert [one.design_id for one in rest.designs] == ["old2", "old3"]


async def test_a_restarted_server_finds_everything_again(open_rank: Any) -> None:
    async with open_rank() as rank:
        await index(rank.stub, [design(f"d{n}", title="red nails") for n in range(3)])
        await create(rank)
        await index(rank.stub, [design("new")], version_id="v2")
        await promote(rank, "v2")
    async with open_rank() as rank:
        assert await list_ids(rank) == ["new"]
        assert await list_ids(rank, version_id="v1") == ["d0", "d1", "d2"]
        assert (await roll_back(rank)).version_id == "v1"
        found = await rank.stub.SearchDesigns(pb.SearchDesignsRequest(text="red nails"), timeout=20)
        assert len(found.hits) == 3
        (answer,) = await index(rank.stub, [design("d1", title="red nails")])
        assert answer.state == pb.INDEX_STATE_UNCHANGED


async def test_a_photo_stays_while_any_version_shows_it(rank: Any, tmp_path: Path) -> None:
    await index(rank.stub, [design("d1")])
    await create(rank)
    await index(rank.stub, [design("d1")], version_id="v2")
    await rank.stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["d1"]), timeout=20)
    assert len(list((tmp_path / "blobs").rglob("*.png"))) == 1
    await rank.stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["d1"], version_id="v2"), timeout=20)
    assert not list((tmp_path / "blobs").rglob("*.png"))


async def test_a_version_that_milvus_no_longer_holds_loaded_is_loaded_again(rank: Any, refused: Any) -> None:
    await index(rank.stub, [design("d1", title="nails")])
    uri = rank.settings.milvus_uri
    client = MilvusClient(uri=uri if uri.startswith("http") else lite_servers.start_and_get_uri(uri))
    client.release_collection(f"{rank.settings.catalogue}_v1")
    client.close()
    request = pb.SearchDesignsRequest(text="nails")
    failure = await refused(rank.stub.SearchDesigns(request, timeout=20))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "VERSION_NOT_READY")
    assert failure.retry_after_s > 0
    assert len((await rank.stub.SearchDesigns(request, timeout=20)).hits) == 1
