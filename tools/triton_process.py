"""One process of the real Triton server: laid out, started, asked whether it is ready, stopped, swept up."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tools.render import render_repository
from tools.triton_install import DEFAULT_ROOT, Installation

EXIT_S = 10  # what the server gives running inferences before it ends
_SHARED_MEMORY = Path("/dev/shm")
# Becomes the server after asking the kernel for SIGTERM when the process that started it dies (Linux's
# prctl PR_SET_PDEATHSIG outlives exec): the server has no option to watch its parent.
_TIED = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); "
    "os.getppid() == int(sys.argv[1]) or sys.exit(1); os.execv(sys.argv[2], sys.argv[2:])"
)


class ServerError(RuntimeError):
    """The server is not installed, or it did not start."""


@dataclass(frozen=True)
class ServerOptions:
    """What a server serves and where.

    repository: models with their model.toml. port: gRPC; 0 takes a free one. metrics_port: Prometheus; None
    is off. log: file for the server's output; None leaves it on ours. start_s: longest start.
    """

    repository: Path
    host: str = "127.0.0.1"
    port: int = 0
    metrics_port: int | None = None
    root: Path = DEFAULT_ROOT
    log: Path | None = None
    start_s: float = 120.0


class ServerProcess:
    """A server process and what belongs to it. A context manager; `start` and `stop` may be repeated.

    Start it from the main thread: the kernel ties the server to the thread that started it.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = options.port or free_port(options.host)
        self._name = f"lunula-{os.getpid()}-{self.port}"
        self.models: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """host:port of the server's gRPC."""
        return f"{self._options.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the server and return when it serves every model. Raises ServerError, RenderError."""
        self.spawn()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def spawn(self) -> None:
        """Lay out the models and start the process. Raises ServerError, RenderError."""
        installed = Installation(self._options.root)
        if not installed.stamp.is_file():
            raise ServerError(f"no Triton server under {self._options.root}: run `make triton` once")
        self._sweep()
        self.models = render_repository(self._options.repository, self._served, "onnx")
        log = self._options.log
        output = log.open("ab") if log is not None else None
        try:
            # A session of its own: one signal ends it with its stubs, and Ctrl-C reaches us alone.
            self._process = subprocess.Popen(
                [sys.executable, "-c", _TIED, str(os.getpid()), *self._command(installed)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                env=installed.environment(),
                start_new_session=True,
            )
        finally:
            if output is not None:
                output.close()

    def wait_ready(self) -> None:
        """Return when the server says that it serves. Raises ServerError when it ends or takes too long."""
        deadline = time.monotonic() + self._options.start_s
        with grpc.insecure_channel(self.url) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                if self.pid is None:
                    code = self._process.returncode if self._process is not None else None
                    raise ServerError(f"the server ended with {code} while it started{self._tail()}")
                try:
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2.0)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.RpcError:
                    pass  # not listening yet
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"the server was not ready in {self._options.start_s:g} s{self._tail()}"
                    )
                time.sleep(0.1)

    def stop(self, grace_s: float = EXIT_S + 5.0) -> None:
        """Let running inferences finish, end the server and its stubs, remove what they left."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            # Stubs outlive a server that was killed.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._sweep()

    @property
    def _served(self) -> Path:
        return self._options.root.resolve() / "served" / self._name

    def _command(self, installed: Installation) -> list[str]:
        host, metrics = self._options.host, self._options.metrics_port
        command = [
            str(installed.binary),
            f"--model-repository={self._served}",
            f"--backend-directory={installed.backends}",
            "--model-control-mode=explicit",
            "--load-model=*",
            "--disable-auto-complete-config",
            f"--grpc-address={host}",
            f"--grpc-port={self.port}",
            "--allow-http=false",
            f"--exit-timeout-secs={EXIT_S}",
        ]
        command += [
            f"--backend-config={name},shm-region-prefix-name={self._name}-"
            for name in ("python", "onnxruntime")
        ]
        if metrics is None:
            return [*command, "--allow-metrics=false"]
        return [*command, f"--metrics-address={host}", f"--metrics-port={metrics}"]

    def _sweep(self) -> None:
        """Remove our own leavings, and those of servers whose owner is dead."""
        shutil.rmtree(self._served, ignore_errors=True)
        for region in _SHARED_MEMORY.glob(f"{self._name}-*"):
            region.unlink(missing_ok=True)
        for other in self._served.parent.glob("lunula-*-*"):
            owner = other.name.split("-")[1]
            if not owner.isdecimal() or not Path("/proc", owner).exists():
                shutil.rmtree(other, ignore_errors=True)
                for region in _SHARED_MEMORY.glob(f"{other.name}-*"):
                    region.unlink(missing_ok=True)

    def _tail(self) -> str:
        log = self._options.log
        if log is None or not log.is_file():
            return ""
        return "\n" + "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])


def free_port(host: str) -> int:
    """A port on `host` that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
