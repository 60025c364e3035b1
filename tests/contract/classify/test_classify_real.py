"""With the real weights: a work is identified alone as it is among others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from services.classify.build import build
from services.classify.settings import ClassifySettings
from services.kit.client import call, connect
from services.kit.server import running_server


async def test_a_work_alone_equals_that_work_among_others(
    root: Path, paint: Callable[..., Any], tmp_path: Path
) -> None:
    settings = ClassifySettings(
        port=0, model_repository=root / "triton_models", enrolled=tmp_path / "artists"
    )
    if not (list(settings.text_model_path().glob("*.ftz")) and settings.labels_path().is_file()):
        pytest.skip("no artist models: `lunula models build` makes or finds them")
    works = [
        pb.Work(
            photo=photo_pb2.Photo(data=paint(nails=[(20, 20, 60 + 20 * i, 160)], tint=15 * i).jpeg),
            title=("pink pearl", "黒とゴールド", "")[i % 3],
        )
        for i in range(9)
    ]
    async with running_server(settings, build) as server, connect(server.address) as channel:
        await server.until_serving()
        stub = pb_grpc.ClassifyServiceStub(channel)
        together = await call(stub.IdentifyArtists, pb.IdentifyArtistsRequest(works=works), timeout=100)
        for work, item in zip(works, together.items, strict=True):
            request = pb.IdentifyArtistsRequest(works=[work])
            alone = (await call(stub.IdentifyArtists, request, timeout=100)).items[0].identification
            among = item.identification
            assert [c.probability for c in among.candidates] == pytest.approx(
                [c.probability for c in alone.candidates], abs=1e-4
            )
            assert among.unknown_probability == pytest.approx(alone.unknown_probability, abs=1e-4)
            assert sum(c.probability for c in among.candidates) + among.unknown_probability <= 1 + 1e-5
