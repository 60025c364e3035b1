"""The one door to Milvus: threads, deadlines, errors, and what differs between its two forms.

pymilvus is synchronous, so every call runs in a thread of a bounded pool, with the nearer of the caller's
deadline and the configured limit. Invariant: nothing of pymilvus or gRPC escapes; callers see LunulaError.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
from pymilvus import MilvusClient, MilvusException

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, FailedPrecondition, Internal, LunulaError, Unavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

RETRY_AFTER_S = 1.0
COLLECTION_NOT_FOUND = 100
COLLECTION_NOT_LOADED = 101
ALIAS_NOT_FOUND = 1600
# Codes by which Milvus says that the request itself is wrong: ours to mend, no use in trying again.
_WRONG_REQUEST = frozenset({6, 1100, 1101, 1700, 1701})


@dataclass(frozen=True)
class Capabilities:
    """What one Milvus can do; all differences between Lite and a server are here.

    index_type, index_params, search_params: of the dense index. Lite: FLAT, which is exact (its HNSW loses
    half of the results under a filter). Server: HNSW.
    bm25: whether full-text search exists; `bm25_analyzer` splits our words at spaces.
    bm25_sign: multiplied with the distance gives a score where larger is better.
    sorted_queries: whether a query with a limit returns the rows with the smallest keys, in order.
    flush_rows: after so many rows a flush is worth its time. Only what was flushed is indexed: Lite searches
        the rest ten times as slowly, and a server searches it by a coarse stand-in that misses neighbours.
    serial_writes: whether writers must take turns.
    settle_deletes: whether a session sees its own deletes only after a strong read (pymilvus gets no usable
        timestamp from this server's answer to a delete).
    """

    product: str
    version: str
    index_type: str
    index_params: dict[str, Any]
    search_params: dict[str, Any]
    bm25: bool
    bm25_analyzer: dict[str, Any]
    bm25_sign: float
    sorted_queries: bool
    flush_rows: int
    serial_writes: bool
    settle_deletes: bool

    @classmethod
    def of(cls, reported: str) -> Capabilities:
        """From the version that Milvus reports, for example "milvus_lite-3.2.2" or "v2.3.5-lite"."""
        if reported.startswith("milvus_lite"):
            return cls(
                product="Milvus Lite",
                version=reported.removeprefix("milvus_lite-"),
                index_type="FLAT",
                index_params={},
                search_params={},
                bm25=True,
                bm25_analyzer={"tokenizer": "standard"},
                bm25_sign=-1.0,
                sorted_queries=False,
                flush_rows=2_000,
                serial_writes=True,
                settle_deletes=False,
            )
        numbers = re.match(r"v?(\d+)\.(\d+)", reported)
        major_minor = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
        return cls(
            product="Milvus",
            version=reported.removeprefix("v"),
            index_type="HNSW",
            # Nested, because pymilvus 3 would send flat parameters in a form that Lite drops.
            index_params={"params": {"M": 32, "efConstruction": 200}},
            search_params={"ef": 512},
            bm25=major_minor >= (2, 5),
            bm25_analyzer={"tokenizer": "whitespace"},
            bm25_sign=1.0,
            sorted_queries=True,
            flush_rows=10_000,
            serial_writes=False,
            settle_deletes=True,
        )


class CollectionMissing(Internal):
    """A collection does not exist or is not loaded; `Catalogue.using` makes VERSION_NOT_READY of it."""


class Milvus:
    """A connection, made at the first call and again after it was lost.

    uri: a path (Milvus Lite in this process, one process per path) or http(s)://host:port.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        timeout_s: float = 20.0,
        threads: int = 8,
        consistency: str = "Session",
    ) -> None:
        self._uri = uri
        self._token = token
        self._timeout_s = timeout_s
        self.consistency = consistency
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="milvus")
        self._connecting = threading.Lock()
        self._writing = threading.Lock()
        self._client: Any = None
        self._capabilities: Capabilities | None = None
        # pymilvus logs every failed call with its trace, also those that we expect and handle.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)

    @property
    def embedded(self) -> bool:
        """Whether this is Milvus Lite within the process."""
        return not self._uri.startswith(("http://", "https://", "tcp://"))

    async def capabilities(self, deadline: Deadline) -> Capabilities:
        """What this Milvus can do. Raises Unavailable MILVUS_UNAVAILABLE."""
        if self._capabilities is None:
            await self.call(lambda _client, _timeout: None, deadline=deadline)
        assert self._capabilities is not None
        return self._capabilities

    async def answers(self, deadline: Deadline) -> bool:
        """Whether Milvus does what it is asked now. Raises as `call` does."""
        await self.call(lambda client, timeout: client.list_collections(timeout=timeout), deadline=deadline)
        return True

    async def call(self, work: Callable[[Any, float], T], *, deadline: Deadline, write: bool = False) -> T:
        """The result of `work(client, timeout_s)`, run in a thread.

        write: takes its turn with other writes where Milvus needs that.
        Raises Unavailable MILVUS_UNAVAILABLE with a retry delay, DeadlineExceeded, CollectionMissing,
        FailedPrecondition MILVUS_PATH_LOCKED, Internal MILVUS_REFUSED.
        """
        deadline.check("a call of Milvus")
        timeout = min(deadline.remaining(), self._timeout_s)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._pool, lambda: context.run(self._run, work, deadline, write))
        try:
            # The thread has the same limit; the half second lets its own, better error come first.
            return await asyncio.wait_for(running, timeout + 0.5)
        except TimeoutError:
            raise _deadline_error(deadline) from None

    def _run(self, work: Callable[[Any, float], T], deadline: Deadline, write: bool) -> T:
        limit = deadline.within(self._timeout_s)
        try:
            deadline.check("a call of Milvus")
            client = self._connected(limit)
            assert self._capabilities is not None
            if write and self._capabilities.serial_writes:
                if not self._writing.acquire(timeout=limit.remaining()):
                    raise _deadline_error(deadline)
                try:
                    return work(client, _seconds(limit))
                finally:
                    self._writing.release()
            return work(client, _seconds(limit))
        except LunulaError:
            raise
        except MilvusException as error:
            raise _translated(error, deadline) from error
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise _deadline_error(deadline) from error
            raise _unavailable(str(error.code())) from error

    def _connected(self, limit: Deadline) -> Any:
        with self._connecting:
            if self._client is None:
                uri = self._start_lite() if self.embedded else self._uri
                client = MilvusClient(uri=uri, token=self._token, timeout=_seconds(limit))
                try:
                    self._capabilities = Capabilities.of(client.get_server_version(timeout=_seconds(limit)))
                except BaseException:
                    client.close()
                    raise
                self._client = client
                log.info("connected to %s %s", self._capabilities.product, self._capabilities.version)
            return self._client

    def _start_lite(self) -> str:
        # Imported only where it runs: it brings an index library and seventy megabytes.
        from milvus_lite.server_manager import server_manager_instance as lite_servers

        Path(self._uri).resolve().parent.mkdir(parents=True, exist_ok=True)
        uri = lite_servers.start_and_get_uri(str(Path(self._uri).resolve()))
        if uri is None:
            raise FailedPrecondition(
                "Milvus Lite could not open its folder; another process may hold it.",
                reason="MILVUS_PATH_LOCKED",
                resource=("milvus", self._uri),
            )
        return str(uri)

    async def close(self) -> None:
        """Lets running calls finish, closes the connection and the embedded database."""
        await asyncio.get_running_loop().run_in_executor(None, self._close)

    def _close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None
                if self.embedded:
                    from milvus_lite.server_manager import server_manager_instance as lite_servers

                    lite_servers.release_server(str(Path(self._uri).resolve()))


def _unavailable(cause: str) -> Unavailable:
    return Unavailable(
        f"Milvus is unavailable ({cause}).", reason="MILVUS_UNAVAILABLE", retry_after_s=RETRY_AFTER_S
    )


def _translated(error: MilvusException, deadline: Deadline) -> LunulaError:
    log.warning("Milvus refused a call: code %s, %s", error.code, error.message)
    if error.code in (COLLECTION_NOT_FOUND, COLLECTION_NOT_LOADED):
        return CollectionMissing("the collection is not there", reason="COLLECTION_MISSING")
    if error.code in _WRONG_REQUEST:
        return Internal("Milvus refused a request", reason="MILVUS_REFUSED")
    if deadline.expired:
        return _deadline_error(deadline)
    return _unavailable(f"code {error.code}")


def _deadline_error(deadline: Deadline) -> LunulaError:
    """The caller's deadline passed, or else our own limit for one call."""
    # gRPC's timers may fire a moment early.
    if deadline.remaining() < 0.01:
        return DeadlineExceeded("The deadline passed while Milvus worked.")
    return _unavailable("no answer in time")


def _seconds(limit: Deadline) -> float:
    return max(0.001, limit.remaining())
