"""The supervisor's command line over a real Triton server: it heals what breaks and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from services.kit.inference.triton import TritonBackend
from tools.triton_install import DEFAULT_ROOT
from tools.triton_process import free_port

pytestmark = [pytest.mark.triton, pytest.mark.timeout(240)]


@pytest.fixture
def port() -> int:
    return free_port("127.0.0.1")


@pytest.fixture
async def supervisor(repository: Path, triton_url: str, port: int) -> AsyncIterator[psutil.Popen]:
    """`python -m tools.tritonserver` with quick canaries."""
    del triton_url  # which skips where no server is installed
    process = psutil.Popen(
        [
            sys.executable, "-m", "tools.tritonserver",
            f"--repository={repository}", f"--port={port}", "--check-interval=0.5",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.fixture
async def backend(port: int) -> AsyncIterator[TritonBackend]:
    opened = TritonBackend(f"127.0.0.1:{port}")
    yield opened
    await opened.close()


def leavings(name: str) -> list[Path]:
    """What a server of that name left in shared memory and in the installation."""
    return [*Path("/dev/shm").glob(f"{name}*"), *(DEFAULT_ROOT / "served").glob(f"{name}*")]


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 90) -> None:
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110  # what is awaited happens in other processes
            await asyncio.sleep(0.1)


def find(supervisor: psutil.Popen, word: str) -> list[psutil.Process]:
    """Processes below the supervisor whose command line holds `word`."""
    found = []
    for child in supervisor.children(recursive=True):
        try:
            if any(word in part for part in child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def test_a_model_whose_process_is_killed_answers_again(
    supervisor: psutil.Popen, backend: TritonBackend
) -> None:
    await until(lambda: backend.ready("words"))
    old = {process.pid for process in find(supervisor, "words_")}
    assert old
    for process in find(supervisor, "words_"):
        process.kill()

    async def healed() -> bool:
        new = {process.pid for process in find(supervisor, "words_")}
        return bool(new) and not new & old and await backend.ready("words")

    await until(healed)
    assert await backend.ready("pixels")


async def test_a_killed_server_is_started_again_and_sigterm_ends_everything(
    supervisor: psutil.Popen, backend: TritonBackend, port: int
) -> None:
    await until(lambda: backend.ready("pixels"))
    [server] = [process for process in supervisor.children() if process.name() == "tritonserver"]
    first = [server, *server.children(recursive=True)]
    server.kill()

    async def healed() -> bool:
        new = {process.pid for process in supervisor.children()}
        return bool(new - {server.pid}) and await backend.ready("pixels")

    await until(healed)
    family = [*first, *supervisor.children(recursive=True)]
    supervisor.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(supervisor.wait, 60) == 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not leavings(f"lunula-{supervisor.pid}-{port}")


async def test_a_killed_supervisor_takes_its_server_along(
    supervisor: psutil.Popen, backend: TritonBackend
) -> None:
    await until(lambda: backend.ready("pixels"))
    family = supervisor.children(recursive=True)
    supervisor.kill()
    supervisor.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 60)
    assert not alive


def test_a_server_that_is_not_installed_is_reported(repository: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "tools.tritonserver",
            f"--repository={repository}", "--port=0", f"--root={tmp_path}",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "make triton" in done.stderr
