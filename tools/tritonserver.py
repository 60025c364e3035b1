"""Runs and supervises the real Triton server: `python -m tools.tritonserver --port 7001`.

Every few seconds each model answers a canary inference. A model whose process died or hangs is unloaded and
loaded again (Triton does neither: it goes on calling the model ready); a server that died is started again.
SIGTERM and Ctrl-C end it with everything it started.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, LunulaError, ResourceExhausted
from services.kit.inference.triton import TritonBackend
from tools.render import RenderError
from tools.triton_install import DEFAULT_ROOT
from tools.triton_process import ServerError, ServerOptions, ServerProcess

CANARY_S = 10.0  # a canary that takes longer counts as slow
SLOW_LIMIT = 3  # slow canaries in a row that make a model count as hung
RELOAD_S = 60.0
RELOAD_LIMIT = 2  # failed reloads in a row that make the server start anew
STABLE_S = 60.0  # a server that ran longer than this starts anew without counting
START_LIMIT = 3  # starts in a row that may fail before we give up
_log = logging.getLogger("lunula.tritonserver")


class Supervisor:
    """Keeps one server and its models answering until told to stop."""

    def __init__(self, process: ServerProcess, *, interval_s: float) -> None:
        """interval_s: seconds between two rounds of canaries."""
        self._process = process
        self._interval_s = interval_s
        self._slow: Counter[str] = Counter()
        self._failed_reloads: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set; the server is down on return.

        Raises ServerError when the server cannot stay up.
        """
        short_lives = 0
        try:
            while not stop.is_set():
                started = time.monotonic()
                self._process.spawn()
                if await self._is_up(stop):
                    _log.info("serving %s on %s", ", ".join(self._process.models), self._process.url)
                    await self._watch(stop)
                if stop.is_set():
                    break
                short_lives = 0 if time.monotonic() - started > STABLE_S else short_lives + 1
                if short_lives >= START_LIMIT:
                    raise ServerError(f"the server ended {short_lives} times shortly after its start")
                _log.error("the server is gone or beyond repair; starting it again")
                await asyncio.to_thread(self._process.stop)
        finally:
            await asyncio.to_thread(self._process.stop)

    async def _is_up(self, stop: asyncio.Event) -> bool:
        ready = asyncio.create_task(asyncio.to_thread(self._process.wait_ready))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([ready, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await asyncio.to_thread(self._process.stop)  # which ends the waiting, too
        stopping.cancel()
        try:
            await ready
        except ServerError as error:
            if not stop.is_set():
                _log.error("%s", error)
            return False
        return True

    async def _watch(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set, the server has ended, or reloading its models does not help."""
        backend = TritonBackend(self._process.url)
        self._slow.clear()
        self._failed_reloads.clear()
        try:
            while not stop.is_set() and self._process.pid is not None:
                for model in self._process.models:
                    if stop.is_set() or self._process.pid is None:
                        return
                    await self._check(backend, model)
                if any(count >= RELOAD_LIMIT for count in self._failed_reloads.values()):
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._interval_s)
        finally:
            await backend.close()

    async def _check(self, backend: TritonBackend, model: str) -> None:
        try:
            await backend.canary(model, deadline=Deadline.after(CANARY_S))
        except ResourceExhausted:
            return  # at work
        except DeadlineExceeded as error:
            self._slow[model] += 1
            if self._slow[model] < SLOW_LIMIT:
                return
            await self._reload(backend, model, error)
        except LunulaError as error:
            if self._process.pid is not None:
                await self._reload(backend, model, error)
        else:
            self._slow[model] = 0

    async def _reload(self, backend: TritonBackend, model: str, why: LunulaError) -> None:
        _log.warning("model %s does not answer (%s); loading it again", model, why)
        self._slow[model] = 0
        try:
            await backend.reload(model, deadline=Deadline.after(RELOAD_S))
            await backend.canary(model, deadline=Deadline.after(CANARY_S))
        except LunulaError as error:
            self._failed_reloads[model] += 1
            _log.error("model %s is still down: %s", model, error)
        else:
            self._failed_reloads[model] = 0
            _log.info("model %s answers again", model)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.tritonserver",
        description="Run the real Triton server over a model repository until SIGTERM or Ctrl-C.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--repository", type=Path, default=Path("triton_models"), help="models to serve")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7001, help="gRPC port; 0 takes a free one")
    parser.add_argument("--metrics-port", type=int, help="Prometheus port; none is off")
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="where `make triton` installed it")
    parser.add_argument("--check-interval", type=float, default=10.0, help="seconds between canaries")
    parser.add_argument("--start-timeout", type=float, default=120.0, help="longest start, in seconds")
    parser.add_argument("--check", action="store_true", help="start, run every model's canary, stop")
    return parser.parse_args(arguments)


async def _serve(process: ServerProcess, interval_s: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Supervisor(process, interval_s=interval_s).run(stop)


async def _check_once(process: ServerProcess) -> None:
    with process:
        backend = TritonBackend(process.url)
        try:
            for model in process.models:
                await backend.canary(model, deadline=Deadline.after(CANARY_S))
                print(f"{model} answers")
        finally:
            await backend.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 0 after an orderly stop."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        process = ServerProcess(
            ServerOptions(
                repository=options.repository,
                host=options.host,
                port=options.port,
                metrics_port=options.metrics_port,
                root=options.root,
                start_s=options.start_timeout,
            )
        )
        asyncio.run(_check_once(process) if options.check else _serve(process, options.check_interval))
    except (ServerError, RenderError, LunulaError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
