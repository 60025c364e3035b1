"""Services in processes of their own, as people run them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.ports import free_addresses

_START_S = 180.0


@contextmanager
def running_service(module: str, log: Path, *options: str) -> Iterator[tuple[str, int]]:
    """The service `module` in a process of its own, as (address, process id); stopped at the end."""
    address = free_addresses().rank
    command = [
        sys.executable,
        "-m",
        "cli.stack.child",
        module,
        f"--port={address.rsplit(':', 1)[1]}",
        *options,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _wait_until_serving(address, process, log)
            yield address, process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_serving(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_S
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"the service at {address} does not serve; see {log}")
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass  # not listening yet
            time.sleep(0.1)
