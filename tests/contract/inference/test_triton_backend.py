"""What only a real Triton server can show: the embedded backend's numbers, and what comes when it fails."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from tritonclient.grpc.aio import InferenceServerClient

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, ResourceExhausted, Unavailable
from services.kit.inference.local import LocalBackend
from services.kit.inference.triton import TritonBackend
from tools.triton_install import DEFAULT_ROOT
from tools.triton_process import ServerOptions, ServerProcess

pytestmark = pytest.mark.triton

Tensors = dict[str, NDArray[Any]]
GENERATOR = np.random.default_rng(3)
PIXELS: Tensors = {"images": GENERATOR.standard_normal((6, 3, 8, 8)).astype(np.float32)}
WORDS: Tensors = {
    "input_ids": GENERATOR.integers(0, 50, (5, 9)),
    "attention_mask": np.tril(np.ones((5, 9), np.int64), 4),
}


def stubs(server: ServerProcess, model: str) -> list[psutil.Process]:
    """The server's Python processes that run `model`."""
    children = psutil.Process(server.pid).children(recursive=True)
    return [child for child in children if any(model in word for word in child.cmdline())]


def leavings(name: str) -> list[Path]:
    """What a server of that name left in shared memory and in the installation."""
    return [*Path("/dev/shm").glob(f"{name}*"), *(DEFAULT_ROOT / "served").glob(f"{name}*")]


@pytest.fixture
async def triton(triton_url: str) -> AsyncIterator[TritonBackend]:
    backend = TritonBackend(triton_url)
    yield backend
    await backend.close()


@pytest.fixture
def frozen(triton_server: ServerProcess) -> Iterator[None]:
    """The processes of `pixels` stand still during the test: every call waits."""
    processes = stubs(triton_server, "pixels")
    assert processes
    for process in processes:
        process.suspend()
    yield
    for process in processes:
        process.resume()


@pytest.mark.parametrize(("model", "inputs"), [("pixels", PIXELS), ("words", WORDS)])
async def test_triton_and_the_embedded_backend_give_the_same_numbers(
    triton: TritonBackend, repository: Path, model: str, inputs: Tensors
) -> None:
    local = LocalBackend(repository, [model])
    try:
        ours = await local.infer(model, inputs, deadline=Deadline.after(30))
        theirs = await triton.infer(model, inputs, deadline=Deadline.after(30))
        assert await local.metadata(model) == await triton.metadata(model)
    finally:
        await local.close()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-5)


@pytest.mark.usefixtures("frozen")
async def test_a_call_that_outlives_its_deadline_is_ended(triton: TritonBackend) -> None:
    await triton.metadata("pixels")
    with pytest.raises(DeadlineExceeded):
        await triton.infer("pixels", PIXELS, deadline=Deadline.after(0.2))


@pytest.mark.usefixtures("frozen")
async def test_a_full_queue_refuses_with_a_retry_delay(triton: TritonBackend) -> None:
    await triton.metadata("pixels")
    one = {"images": PIXELS["images"][:1]}
    calls = [
        asyncio.create_task(triton.infer("pixels", one, deadline=Deadline.after(30))) for _ in range(320)
    ]
    done, waiting = await asyncio.wait(calls, timeout=20, return_when=asyncio.FIRST_EXCEPTION)
    refused = [call.exception() for call in done]
    for call in waiting:
        call.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert refused
    for error in refused:
        assert isinstance(error, ResourceExhausted)
        assert error.reason == "QUEUE_FULL"
        assert error.retry_after_s is not None


async def test_a_model_whose_process_died_is_not_ready_until_it_is_loaded_again(
    triton: TritonBackend, triton_server: ServerProcess
) -> None:
    assert await triton.ready("words")
    for process in stubs(triton_server, "words"):
        process.kill()
    with pytest.raises(Unavailable) as caught:
        await triton.infer("words", WORDS, deadline=Deadline.after(30))
    assert caught.value.reason == "MODEL_SERVER_UNAVAILABLE"
    assert not await triton.ready("words")
    assert await triton.ready("pixels")
    async with InferenceServerClient(triton_server.url) as client:
        assert await client.is_model_ready("words"), (
            "Triton itself notices nothing: why ready() asks a canary"
        )
    await triton.reload("words", deadline=Deadline.after(60))
    assert await triton.ready("words")


async def test_a_dead_server_is_unavailable_and_nothing_of_it_is_left(
    repository: Path, tmp_path: Path, triton_root: Path
) -> None:
    server = ServerProcess(ServerOptions(repository=repository, log=tmp_path / "log", root=triton_root))
    server.start()
    backend = TritonBackend(server.url)
    try:
        assert await backend.ready("pixels")
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await backend.infer("pixels", PIXELS, deadline=Deadline.after(30))
        assert not await backend.ready("pixels")
    finally:
        await backend.close()
        server.stop()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not leavings(f"lunula-{os.getpid()}-{server.port}")
