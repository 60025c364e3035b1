"""What is wrong with a search or a list is said with code, reason and the path of the field."""

from __future__ import annotations

from typing import Any

import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2, photo_pb2
from tests.rank_doubles import design, index

NAN, INF = float("nan"), float("inf")


def colour(l: float, a: float, b: float, weight: float = 0) -> palette_pb2.Palette:  # noqa: E741  CIELAB's name
    return palette_pb2.Palette(
        colours=[palette_pb2.PaletteColour(colour=palette_pb2.LabColour(l=l, a=a, b=b), weight=weight)]
    )


def filters(*rows: tuple[str, int, list[str]]) -> list[pb.Filter]:
    return [pb.Filter(field=field, operator=operator, values=values) for field, operator, values in rows]  # type: ignore[arg-type]  # unknown operators are the point


ANY, ALL = pb.FILTER_OPERATOR_ANY_OF, pb.FILTER_OPERATOR_ALL_OF

BAD_SEARCHES: list[tuple[str, dict[str, Any], str, str]] = [
    ("nothing asked", {}, "REQUEST_EMPTY", "text"),
    ("blank text", {"text": " \n\t　"}, "REQUEST_EMPTY", "text"),
    ("100,000 characters", {"text": "x" * 100_000}, "TEXT_TOO_LONG", "text"),
    ("long context", {"text": "x", "context": "y" * 10_001}, "TEXT_TOO_LONG", "context"),
    ("NaN colour", {"palette": colour(NAN, 0, 0)}, "COLOUR_NOT_FINITE", "palette.colours[0].colour"),
    ("infinite colour", {"palette": colour(50, INF, 0)}, "COLOUR_NOT_FINITE", "palette.colours[0].colour"),
    (
        "impossible colour",
        {"palette": colour(50, 120, 120)},
        "COLOUR_OUT_OF_GAMUT",
        "palette.colours[0].colour",
    ),
    (
        "colour weight",
        {"palette": colour(50, 0, 0, 2.0)},
        "COLOUR_WEIGHT_INVALID",
        "palette.colours[0].weight",
    ),
    (
        "13 colours",
        {"palette": palette_pb2.Palette(colours=list(colour(50, 0, 0).colours) * 13)},
        "PALETTE_TOO_MANY_COLOURS",
        "palette.colours",
    ),
    ("page size", {"text": "x", "page_size": 101}, "PAGE_SIZE_INVALID", "page_size"),
    ("negative page size", {"text": "x", "page_size": -1}, "PAGE_SIZE_INVALID", "page_size"),
    ("page token", {"text": "x", "page_token": "garbage"}, "PAGE_TOKEN_INVALID", "page_token"),
    ("page token of bytes", {"text": "x", "page_token": "爪💅"}, "PAGE_TOKEN_INVALID", "page_token"),
    ("endless page token", {"text": "x", "page_token": "A" * 10_000}, "PAGE_TOKEN_INVALID", "page_token"),
    (
        "NaN weight",
        {"text": "x", "weights": pb.ChannelWeights(design=NAN)},
        "WEIGHTS_INVALID",
        "weights.design",
    ),
    (
        "negative weight",
        {"text": "x", "weights": pb.ChannelWeights(design=1, palette=-1)},
        "WEIGHTS_INVALID",
        "weights.palette",
    ),
    ("no weight", {"text": "x", "weights": pb.ChannelWeights()}, "WEIGHTS_INVALID", "weights"),
    (
        "weight without input",
        {"text": "x", "weights": pb.ChannelWeights(reference=1)},
        "WEIGHTS_WITHOUT_INPUT",
        "weights",
    ),
    (
        "bad reference id",
        {"reference_design_id": 'x" or "'},
        "DESIGN_ID_INVALID",
        "reference_design_id",
    ),
    (
        "reference is no photo",
        {"reference_photo": photo_pb2.Photo(data=b"a letter")},
        "PHOTO_NOT_AN_IMAGE",
        "reference_photo.data",
    ),
    ("no photo", {"reference_photo": photo_pb2.Photo()}, "PHOTO_MISSING", "reference_photo"),
    (
        "unknown filter field",
        {"text": "x", "filters": filters(("title", ANY, ["a"]))},
        "UNKNOWN_FILTER_FIELD",
        "filters[0].field",
    ),
    (
        "expression as field",
        {"text": "x", "filters": filters(("artist_id", ANY, ["a"]), ("1 == 1 or tags", ANY, ["a"]))},
        "UNKNOWN_FILTER_FIELD",
        "filters[1].field",
    ),
    (
        "unknown attribute",
        {"text": "x", "filters": filters(("attributes.sparkle", ANY, ["a"]))},
        "UNKNOWN_ATTRIBUTE",
        "filters[0].field",
    ),
    (
        "unknown attribute value",
        {"text": "x", "filters": filters(("attributes.shape", ANY, ["almond", "dodecagon"]))},
        "UNKNOWN_ATTRIBUTE",
        "filters[0].values[1]",
    ),
    (
        "no operator",
        {"text": "x", "filters": filters(("tags", 0, ["a"]))},
        "FILTER_OPERATOR_MISSING",
        "filters[0].operator",
    ),
    (
        "unknown operator",
        {"text": "x", "filters": filters(("tags", 99, ["a"]))},
        "FILTER_OPERATOR_MISSING",
        "filters[0].operator",
    ),
    (
        "all of one artist",
        {"text": "x", "filters": filters(("artist_id", ALL, ["a"]))},
        "FILTER_OPERATOR_UNSUPPORTED",
        "filters[0].operator",
    ),
    (
        "no values",
        {"text": "x", "filters": filters(("tags", ANY, []))},
        "FILTER_VALUES_INVALID",
        "filters[0].values",
    ),
    (
        "101 values",
        {"text": "x", "filters": filters(("tags", ANY, ["a"] * 101))},
        "FILTER_VALUES_INVALID",
        "filters[0].values",
    ),
    (
        "long value",
        {"text": "x", "filters": filters(("tags", ANY, ["a", "b" * 257]))},
        "FILTER_VALUES_INVALID",
        "filters[0].values[1]",
    ),
    (
        "17 filters",
        {"text": "x", "filters": filters(*[("tags", ANY, ["a"])] * 17)},
        "TOO_MANY_FILTERS",
        "filters",
    ),
]


@pytest.fixture
async def filled(rank: Any) -> Any:
    """A catalogue of one design."""
    await index(rank.stub, [design("d1", title="nails")])
    return rank


async def test_a_bad_search_is_refused_with_reason_and_field(filled: Any, refused: Any) -> None:
    for what, fields, reason, path in BAD_SEARCHES:
        failure = await refused(filled.stub.SearchDesigns(pb.SearchDesignsRequest(**fields), timeout=20))
        assert failure[:3] == ("INVALID_ARGUMENT", reason, [path]), what
    # None of it reached a model.
    assert filled.doubles.calls["queries"] <= 1


async def test_an_unknown_reference_design_is_not_found(filled: Any, refused: Any) -> None:
    failure = await refused(
        filled.stub.SearchDesigns(pb.SearchDesignsRequest(reference_design_id="nobody"), timeout=20)
    )
    assert failure[:3] == ("NOT_FOUND", "DESIGN_NOT_FOUND", ["reference_design_id"])


async def test_an_unknown_version_is_not_found_by_any_method(filled: Any, refused: Any) -> None:
    stub = filled.stub
    for call in (
        stub.SearchDesigns(pb.SearchDesignsRequest(text="x", version_id="v9"), timeout=20),
        stub.GetDesign(pb.GetDesignRequest(design_id="d1", version_id="v9"), timeout=20),
        stub.ListDesigns(pb.ListDesignsRequest(version_id="v9"), timeout=20),
        stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["d1"], version_id="v9"), timeout=20),
        stub.PromoteCatalogueVersion(pb.PromoteCatalogueVersionRequest(version_id="v9"), timeout=20),
    ):
        assert (await refused(call))[:3] == ("NOT_FOUND", "VERSION_NOT_FOUND", ["version_id"])


async def test_a_page_token_belongs_to_its_request(rank: Any, refused: Any) -> None:
    await index(rank.stub, [design(f"d{n}", title="nails") for n in range(4)])
    request = pb.SearchDesignsRequest(text="nails", page_size=2)
    token = (await rank.stub.SearchDesigns(request, timeout=20)).next_page_token
    assert token
    other = pb.SearchDesignsRequest(text="other nails", page_size=2, page_token=token)
    failure = await refused(rank.stub.SearchDesigns(other, timeout=20))
    assert failure[:3] == ("INVALID_ARGUMENT", "PAGE_TOKEN_MISMATCH", ["page_token"])
    failure = await refused(rank.stub.ListDesigns(pb.ListDesignsRequest(page_token=token), timeout=20))
    assert failure[:3] == ("INVALID_ARGUMENT", "PAGE_TOKEN_MISMATCH", ["page_token"])
    damaged = ("A" if token[0] != "A" else "B") + token[1:]
    failure = await refused(
        rank.stub.SearchDesigns(
            pb.SearchDesignsRequest(text="nails", page_size=2, page_token=damaged), timeout=20
        )
    )
    assert failure[:3] == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", ["page_token"])


async def test_bad_reads_and_deletions_are_refused(filled: Any, refused: Any) -> None:
    stub = filled.stub
    cases = [
        (stub.GetDesign(pb.GetDesignRequest(), timeout=20), "DESIGN_ID_INVALID", "design_id"),
        (stub.GetDesign(pb.GetDesignRequest(design_id='"'), timeout=20), "DESIGN_ID_INVALID", "design_id"),
        (
            stub.ListDesigns(pb.ListDesignsRequest(page_size=1001), timeout=20),
            "PAGE_SIZE_INVALID",
            "page_size",
        ),
        (
            stub.ListDesigns(pb.ListDesignsRequest(page_token="?"), timeout=20),
            "PAGE_TOKEN_INVALID",
            "page_token",
        ),
        (
            stub.ListDesigns(pb.ListDesignsRequest(filters=filters(("x", ANY, ["a"]))), timeout=20),
            "UNKNOWN_FILTER_FIELD",
            "filters[0].field",
        ),
        (stub.DeleteDesigns(pb.DeleteDesignsRequest(), timeout=20), "BATCH_SIZE_INVALID", "design_ids"),
        (
            stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["a"] * 1001), timeout=20),
            "BATCH_SIZE_INVALID",
            "design_ids",
        ),
        (
            stub.DeleteDesigns(pb.DeleteDesignsRequest(design_ids=["a", "'"]), timeout=20),
            "DESIGN_ID_INVALID",
            "design_ids[1]",
        ),
        (
            stub.CreateCatalogueVersion(pb.CreateCatalogueVersionRequest(note="x" * 1001), timeout=20),
            "TEXT_TOO_LONG",
            "note",
        ),
        (
            stub.PromoteCatalogueVersion(pb.PromoteCatalogueVersionRequest(), timeout=20),
            "VERSION_MISSING",
            "version_id",
        ),
    ]
    for call, reason, path in cases:
        assert (await refused(call))[:3] == ("INVALID_ARGUMENT", reason, [path])
