"""The door to Milvus: every way it can fail is one of our errors."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from pymilvus import MilvusException

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, FailedPrecondition, Internal, Unavailable
from services.rank.catalogue.milvus import Capabilities, CollectionMissing, Milvus
from services.rank.catalogue.view import check_vector


class Broken(grpc.RpcError):
    """What gRPC raises through pymilvus."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


@pytest.fixture
async def lite(tmp_path: Path) -> Any:
    """An empty Milvus Lite."""
    milvus = Milvus(str(tmp_path / "milvus.db"), timeout_s=5)
    yield milvus
    await milvus.close()


async def fails(milvus: Milvus, error: Exception, deadline: Deadline | None = None) -> None:
    def work(client: Any, timeout: float) -> None:
        del client, timeout
        raise error

    await milvus.call(work, deadline=deadline or Deadline.after(20))


async def test_a_server_that_is_down_is_unavailable_and_says_when_to_try_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        milvus = Milvus(f"http://127.0.0.1:{unused.getsockname()[1]}", timeout_s=2)
        with pytest.raises(Unavailable) as caught:
            await milvus.capabilities(Deadline.after(20))
        assert caught.value.reason == "MILVUS_UNAVAILABLE"
        assert caught.value.retry_after_s
        await milvus.close()


@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        (MilvusException(code=2, message="no connection"), Unavailable, "MILVUS_UNAVAILABLE"),
        (MilvusException(code=1, message="not ready"), Unavailable, "MILVUS_UNAVAILABLE"),
        (MilvusException(code=1100, message="bad expression"), Internal, "MILVUS_REFUSED"),
        (MilvusException(code=100, message="no collection"), CollectionMissing, "COLLECTION_MISSING"),
        (Broken(grpc.StatusCode.UNAVAILABLE), Unavailable, "MILVUS_UNAVAILABLE"),
        (Broken(grpc.StatusCode.DEADLINE_EXCEEDED), Unavailable, "MILVUS_UNAVAILABLE"),
    ],
)
async def test_errors_of_milvus_become_ours(
    lite: Milvus, error: Exception, expected: type[Exception], reason: str
) -> None:
    with pytest.raises(expected) as caught:
        await fails(lite, error)
    assert caught.value.reason == reason  # type: ignore[attr-defined]  # all ours have one


async def test_a_passed_deadline_is_the_callers_and_calls_nothing(lite: Milvus) -> None:
    called = False

    def work(client: Any, timeout: float) -> None:
        del client, timeout
        nonlocal called
        called = True

    with pytest.raises(DeadlineExceeded):
        await lite.call(work, deadline=Deadline.after(0))
    assert not called


async def test_a_call_that_outlives_the_deadline_is_given_up(lite: Milvus) -> None:
    await lite.capabilities(Deadline.after(20))
    release = threading.Event()

    def work(client: Any, timeout: float) -> None:
        del client, timeout
        release.wait(30)

    with pytest.raises(DeadlineExceeded):
        await lite.call(work, deadline=Deadline.after(0.05))
    release.set()


async def test_a_folder_that_another_process_holds_says_so(tmp_path: Path) -> None:
    from milvus_lite.db import MilvusLite

    path = tmp_path / "held.db"
    holder = MilvusLite(str(path))
    other = Milvus(str(path))
    with pytest.raises(FailedPrecondition) as caught:
        await other.capabilities(Deadline.after(20))
    assert caught.value.reason == "MILVUS_PATH_LOCKED"
    holder.close()
    assert (await other.capabilities(Deadline.after(20))).bm25
    await other.close()


def test_what_a_milvus_can_do_follows_from_its_version() -> None:
    assert Capabilities.of("milvus_lite-3.2.2").index_type == "FLAT"
    assert Capabilities.of("v2.3.5-lite").bm25 is False
    assert Capabilities.of("v2.6.0").bm25 is True
    assert Capabilities.of("something new").bm25 is False


@pytest.mark.parametrize(
    "vector", [[1.0], [float("nan"), 0.0], [float("inf"), 0.0], [0.0, 0.0], [3.0, 4.0], [1.0, 0.0, 0.0], []]
)
def test_only_unit_vectors_of_the_right_length_leave_us(vector: list[float]) -> None:
    with pytest.raises(Internal) as caught:
        check_vector(vector, 2)
    assert caught.value.reason == "VECTOR_INVALID"


def test_a_unit_vector_may_leave() -> None:
    check_vector([0.6, 0.8], 2)
