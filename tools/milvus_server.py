"""Runs the real Milvus server of `make milvus`: started, watched, stopped, nothing left behind.

For tests and for trying things out on one machine; production runs Milvus its own way. The server is a
standalone Milvus with etcd inside. Only one can run on a machine, because it also takes ports 2379 and 2380.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import grpc
from pymilvus import MilvusClient, MilvusException

from services.kit.parent import end_with_parent

LAUNCHER = Path(".lunula/milvus-venv/bin/milvus-server")
_ETCD_PORTS = (2379, 2380)
_START_S = 300.0
_STOP_S = 20.0


class ServerFailed(RuntimeError):
    """The server did not start, or ended by itself; the message says what to do."""


@contextmanager
def running(
    data: Path, *, port: int = 0, launcher: Path = LAUNCHER
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server with its data below `data`, as (URI, process); stopped at the end, also after an error.

    port: 0 takes a free one. Raises ServerFailed.
    """
    if not launcher.exists():
        raise ServerFailed(f"{launcher} is not there: run `make milvus`")
    for taken in (*_ETCD_PORTS, *((port,) if port else ())):
        if _answers(taken):
            raise ServerFailed(f"port {taken} is taken; another Milvus or etcd may be running")
    data.mkdir(parents=True, exist_ok=True)
    port = port or _free_port()
    with (data / "launcher.log").open("wb") as log:
        process = subprocess.Popen(
            [str(launcher.absolute()), "--data", str(data.absolute()), "--proxy-port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGINT),  # noqa: PLW1509  one call of libc; runs before the launcher's own code
        )
        try:
            uri = f"http://127.0.0.1:{port}"
            _until_ready(uri, process, data)
            yield uri, process
        finally:
            _stop(process)


def read_version(uri: str) -> str:
    """The version that the server at `uri` reports."""
    client = MilvusClient(uri=uri, timeout=10)
    try:
        return str(client.get_server_version(timeout=10))
    finally:
        client.close()


def _until_ready(uri: str, process: subprocess.Popen[bytes], data: Path) -> None:
    end = time.monotonic() + _START_S
    while True:
        if process.poll() is not None:
            raise ServerFailed(f"the Milvus server ended with {process.returncode}; see {data}/launcher.log")
        try:
            read_version(uri)
            return
        except (MilvusException, grpc.RpcError) as error:
            if time.monotonic() > end:
                raise ServerFailed(f"the Milvus server was not ready after {_START_S:.0f} s") from error
        time.sleep(0.3)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGINT to the launcher, which stops the server; then whatever is left of its group is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """`--check`: start, print the version, stop. Otherwise run until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tools.milvus_server", description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="where the server keeps its data (default: nowhere for long)"
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--check", action="store_true", help="start it, print its version, stop it")
    options = parser.parse_args()
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    try:
        with ExitStack() as stack:
            data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="milvus-")))
            uri, process = stack.enter_context(running(data, port=options.port))
            sys.stdout.write(f"Milvus {read_version(uri)} at {uri}\n")
            sys.stdout.flush()
            while not options.check and not stopping.wait(1.0):
                if process.poll() is not None:
                    raise ServerFailed(f"the Milvus server ended with {process.returncode}; see {data}")
    except ServerFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
