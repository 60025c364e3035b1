"""A small catalogue for RankService, and how tests ask it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2
from tests.rank_doubles import design

RED, BLUE, GREEN, WHITE = (200, 30, 40), (30, 60, 200), (30, 160, 60), (240, 240, 240)


def palette(*labs: tuple[float, float, float]) -> palette_pb2.Palette:
    return palette_pb2.Palette(
        colours=[
            palette_pb2.PaletteColour(colour=palette_pb2.LabColour(l=lab[0], a=lab[1], b=lab[2]))
            for lab in labs
        ]
    )


LAB_RED, LAB_BLUE = (43.0, 64.0, 39.0), (33.0, 35.0, -68.0)

CATALOGUE = [
    design(
        "almond-red",
        colour=RED,
        title="red almond nails",
        description="a thin gold french line",
        artist_id="artist-1",
        tags=["gold", "party"],
        attributes={"shape": "almond", "pattern": "french"},
    ),
    design(
        "coffin-blue",
        colour=BLUE,
        title="blue coffin nails",
        description="glitter on every finger",
        artist_id="artist-2",
        tags=["glitter", "party"],
        attributes={"shape": "coffin"},
        context="summer",
    ),
    design(
        "round-green",
        colour=GREEN,
        title="green round nails",
        description="matte leaves",
        artist_id="artist-1",
        tags=["matte"],
        attributes={"shape": "round", "finish": "matte"},
    ),
    design(
        "ja-white",
        colour=WHITE,
        title="白いフレンチネイル",
        description="パールを一粒、薬指に",
        artist_id="artist-3",
        tags=["パール"],
        attributes={"part": "pearl"},
        context="結婚式",
    ),
    design("plain", colour=WHITE),
]


async def search(rank: Any, **fields: Any) -> pb.SearchDesignsResponse:
    return await rank.stub.SearchDesigns(pb.SearchDesignsRequest(**fields), timeout=30)


def ids(response: pb.SearchDesignsResponse) -> list[str]:
    return [hit.design.design_id for hit in response.hits]


def assert_adds_up(response: pb.SearchDesignsResponse) -> None:
    for hit in response.hits:
        total = np.float32(0)
        for term in hit.terms:
            total = np.float32(total + np.float32(term.contribution))
            assert 0 <= term.normalised <= 1
            assert term.contribution == pytest.approx(term.normalised * term.weight, abs=1e-6)
        assert hit.score == total
        assert sum(term.weight for term in hit.terms) == pytest.approx(1, abs=1e-6)
