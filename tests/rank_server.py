"""A RankService of a test's own, on port 0 and in a loop of its own, for commands that call one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc


@contextmanager
def serving(servicer: rank_grpc.RankServiceServicer) -> Iterator[str]:
    """The address of a server with this servicer, which is stopped at the end."""
    started = threading.Event()
    stop: list[Callable[[], object]] = []
    ports: list[int] = []

    async def serve() -> None:
        server = grpc.aio.server()
        rank_grpc.add_RankServiceServicer_to_server(servicer, server)
        ports.append(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        started.set()
        await ended.wait()
        await server.stop(None)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(20), "the server did not start"
    try:
        yield f"127.0.0.1:{ports[0]}"
    finally:
        stop[0]()
        thread.join(20)
