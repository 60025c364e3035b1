"""The whole stack on one machine: one process per service, health-checked, stopped together.

Stack
 ├── (model server)   only with triton=True: the real tritonserver, one for all
 ├── crop, embed, classify
 └── rank             needs crop and embed; owns the catalogue
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.errors import StackError
from cli.ports import NAMES, Addresses, default_addresses, is_free


@dataclass(frozen=True)
class StackOptions:
    """What to start, and where it keeps its things."""

    state_dir: Path
    """Catalogue, photos, enrolled artists and logs."""
    model_repository: Path
    addresses: Addresses = field(default_factory=default_addresses)
    triton: bool = False
    """Serve the models from the real Triton instead of inside the services."""
    triton_port: int = 7001
    milvus_uri: str = ""
    """Empty: Milvus Lite under `state_dir`."""
    start_timeout_s: float = 120.0
    extra: tuple[str, ...] = ()
    """Settings passed to every service, for example `--log-level=debug`."""


class Stack:
    """Starts the services, answers whether they are healthy, and stops them. Use as a context manager."""

    def __init__(self, options: StackOptions, *, report: Callable[[str], None] = lambda _: None) -> None:
        self.options = options
        self._report = report
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = options.state_dir / "logs"

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of what runs, by name."""
        return {name: process.pid for name, process in self._processes.items() if process.poll() is None}

    def log_path(self, name: str) -> Path:
        """Where the process `name` writes its log."""
        return self._logs / f"{name}.log"

    def start(self) -> None:
        """Start everything and return when every service answers SERVING.

        Raises:
            StackError: a port is taken, a process died, or one was not ready in time.
        """
        for name in NAMES:
            address = self.options.addresses.get(name)
            if not is_free(address):
                raise StackError(f"{address}, meant for {name}, is in use; is another stack running?")
        self._logs.mkdir(parents=True, exist_ok=True)
        if self.options.triton:
            self._start_triton()
        for name in ("crop", "embed", "classify", "rank"):
            self._spawn(name, self._command(name))
        deadline = time.monotonic() + self.options.start_timeout_s
        for name in ("crop", "embed", "classify", "rank"):
            self._wait_serving(name, deadline)
            self._report(f"{name} serves on {self.options.addresses.get(name)}")

    def check(self) -> None:
        """Raise StackError when a process has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise StackError(f"{name} ended with {process.returncode}\n{self._tail(name)}")

    def stop(self, grace_s: float = 20.0) -> None:
        """Ask every process to drain and end, the ones that depend on others first; kill what does not."""
        order = [name for name in ("rank", "classify", "embed", "crop", "triton") if name in self._processes]
        for name in order:
            process = self._processes[name]
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        for name in order:
            process = self._processes[name]
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._report(f"{name} did not stop in time and was killed")
        self._processes.clear()

    def _command(self, name: str) -> list[str]:
        options = self.options
        command = [sys.executable, "-m", "cli.stack.child", f"services.{name}"]
        command += [f"--host={options.addresses.get(name).rsplit(':', 1)[0]}"]
        command += [f"--port={options.addresses.port(name)}"]
        command += [f"--model-repository={options.model_repository}"]
        command += (
            ["--backend=triton", f"--triton-url=127.0.0.1:{options.triton_port}"]
            if options.triton
            else ["--backend=local"]
        )
        if name == "classify":
            command += [f"--enrolled={options.state_dir / 'artists'}"]
        if name == "rank":
            command += [
                f"--crop-address={options.addresses.crop}",
                f"--embed-address={options.addresses.embed}",
                f"--milvus-uri={options.milvus_uri or options.state_dir / 'catalogue.db'}",
                f"--blob-dir={options.state_dir / 'photos'}",
            ]
        return [*command, *options.extra]

    def _start_triton(self) -> None:
        command = [sys.executable, "-m", "cli.stack.child", "tools.tritonserver"]
        command += [f"--repository={self.options.model_repository}", f"--port={self.options.triton_port}"]
        self._report("starting the model server")
        self._spawn("triton", command)
        self._wait_port("triton", f"127.0.0.1:{self.options.triton_port}")

    def _spawn(self, name: str, command: list[str]) -> None:
        with self.log_path(name).open("ab") as log:
            # A session of its own: Ctrl-C reaches us alone, and we stop the others in order.
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_port(self, name: str, address: str) -> None:
        deadline = time.monotonic() + self.options.start_timeout_s
        while is_free(address):
            self.check()
            if time.monotonic() > deadline:
                raise StackError(f"{name} did not listen on {address} in time\n{self._tail(name)}")
            time.sleep(0.1)

    def _wait_serving(self, name: str, deadline: float) -> None:
        with grpc.insecure_channel(self.options.addresses.get(name)) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                self.check()
                try:
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.RpcError:
                    pass  # not listening yet; the check above notices a process that has died
                if time.monotonic() > deadline:
                    raise StackError(f"{name} was not ready in time\n{self._tail(name)}")
                time.sleep(0.1)

    def _tail(self, name: str, lines: int = 15) -> str:
        path = self.log_path(name)
        if not path.is_file():
            return ""
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
