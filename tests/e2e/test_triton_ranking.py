"""The same searches give the same ranking wherever the models run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cli.client import indexing, searching
from cli.client.records import find
from cli.ports import free_addresses
from cli.stack.demo import requests
from cli.stack.processes import Stack, StackOptions
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from services.kit.client import connect

ROOT = Path(__file__).resolve().parents[2]


async def rankings(address: str) -> list[list[str]]:
    async with connect(address) as channel:
        stub = rank_grpc.RankServiceStub(channel)
        outcome = await indexing.index(stub, find(ROOT / "sample"))
        assert outcome.acknowledged == 60
        answers = [await searching.search(stub, request) for _, request in requests()]
    return [[hit.design.design_id for hit in answer.hits] for answer in answers]


def ranked_by_a_stack(state: Path, *, triton: bool) -> list[list[str]]:
    options = StackOptions(state, ROOT / "triton_models", free_addresses(), triton=triton)
    with Stack(options):
        return asyncio.run(rankings(options.addresses.rank))


@pytest.mark.triton
@pytest.mark.timeout(300)
def test_a_stack_on_the_real_triton_ranks_as_the_embedded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (ROOT / ".lunula" / "triton").is_dir():
        pytest.skip("the real Triton server is not installed: make triton")
    monkeypatch.chdir(ROOT)
    embedded = ranked_by_a_stack(tmp_path / "embedded", triton=False)
    assert all(len(ids) == 8 for ids in embedded)
    assert ranked_by_a_stack(tmp_path / "triton", triton=True) == embedded
