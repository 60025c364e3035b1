"""Deadline-aware dynamic batching with a bounded queue.

Invariants:
- A batch never has more than `max_batch_size` rows, and all its items have equal non-batch shapes.
- The queue never holds more than `max_queue_rows` rows, except that an empty queue takes any item.
- An item that expired or was cancelled leaves the queue at once and is not run.
- An item with more rows than fit is run in parts; after each part it goes behind the others that wait,
  so that a large item delays a small one by one batch at most. What waits is shared out between the free
  instances: a row costs about the same in any batch, and an idle core costs a whole one.
- Items that arrive in the same turn of the event loop share a batch even with no queue delay.
- A batch that raises is run again item by item, so that an item fails for its own sake only.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, Internal, LunulaError, ResourceExhausted, Unavailable
from services.kit.inference.batch_queue import BatchQueue, Item, Part, Tensors, join
from services.kit.inference.metrics import InferenceMetrics
from services.kit.telemetry.timings import current

Run = Callable[[Tensors], Tensors]
_log = logging.getLogger(__name__)
_SMOOTHING = 0.2  # weight of the newest batch in the running mean of batch times
_LEAST_RETRY_S = 0.05


@dataclass(frozen=True)
class BatchingPolicy:
    """How batches are formed.

    `max_queue_delay_s`: how long an item may wait for more items while an instance is free.
    `preferred_rows`: at so many rows a batch does not wait any longer; None: at max_batch_size.
    `instances`: batches that run at the same time.
    """

    max_batch_size: int
    max_queue_delay_s: float = 0.0
    preferred_rows: int | None = None
    max_queue_rows: int = 256
    instances: int = 1


class DynamicBatcher:
    """Gathers the items of concurrent callers into batches for one model. For one event loop."""

    def __init__(
        self,
        name: str,
        run: Run,
        executor: Executor,
        policy: BatchingPolicy,
        metrics: InferenceMetrics,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`run` maps the inputs of one batch to its outputs; it blocks and is called in `executor`."""
        self._name = name
        self._run = run
        self._executor = executor
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._queue = BatchQueue()
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._batch_s = 0.0
        self._closed = False

    @property
    def queued_rows(self) -> int:
        """Rows that wait."""
        return self._queue.rows

    @property
    def running_batches(self) -> int:
        """Batches that run now."""
        return len(self._running)

    async def submit(self, inputs: Mapping[str, NDArray[Any]], rows: int, *, deadline: Deadline) -> Tensors:
        """Queue an item of `rows` rows and wait for its outputs.

        Raises ResourceExhausted QUEUE_FULL, DeadlineExceeded, Unavailable MODEL_SERVER_UNAVAILABLE, and
        whatever LunulaError the run gives (others become Internal INFERENCE_FAILED).
        """
        item = self._enqueue(inputs, rows, deadline)
        remaining = deadline.remaining()
        try:
            async with asyncio.timeout(None if math.isinf(remaining) else remaining) as timer:
                return await item.future
        except TimeoutError:
            if not timer.expired():
                raise
            self._metrics.dropped.labels(self._name, "expired").inc()
            raise _expired(self._name) from None
        except asyncio.CancelledError:
            self._metrics.dropped.labels(self._name, "cancelled").inc()
            raise
        finally:
            # Whatever ended the wait, nothing of the item may stay in the queue.
            if not item.future.cancel() and not item.future.cancelled():
                item.future.exception()  # seen, also when the deadline won the race against it
            self._remove(item)

    async def close(self) -> None:
        """Refuse new items, end what waits with Unavailable, wait for what runs. Idempotent."""
        self._closed = True
        for item in self._queue.clear():
            self._fail(item, _closed(self._name), "closed")
        self._tell_queue()
        self._cancel_timer()
        while self._running:
            await asyncio.wait(set(self._running))

    def _enqueue(self, inputs: Mapping[str, NDArray[Any]], rows: int, deadline: Deadline) -> Item:
        if self._closed:
            raise _closed(self._name)
        deadline.check(f"model {self._name!r} could start")
        if self._queue and self._queue.rows + rows > self._policy.max_queue_rows:
            self._metrics.dropped.labels(self._name, "full").inc()
            raise ResourceExhausted(
                f"The queue of model {self._name!r} is full.",
                reason="QUEUE_FULL",
                retry_after_s=self._retry_after_s(),
            )
        loop = asyncio.get_running_loop()
        item = Item(inputs, rows, deadline, current(), loop.create_future(), since=self._clock())
        self._queue.push(item)
        self._tell_queue()
        self._cancel_timer()
        self._timer = loop.call_soon(self._pump)
        return item

    def _pump(self) -> None:
        """Start batches while an instance is free and a batch is due."""
        self._cancel_timer()
        while len(self._running) < self._policy.instances:
            # An item's own timer may be late when the event loop is busy.
            for item in self._queue.expired():
                self._remove(item)
                self._fail(item, _expired(self._name), "expired")
            if not self._queue:
                return
            wait_s = self._wait_s()
            if wait_s > 0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)
                return
            task = asyncio.get_running_loop().create_task(self._serve(self._take()))
            self._running.add(task)
            task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._closed:
            self._pump()

    def _wait_s(self) -> float:
        """Seconds until the batch of the item that waits longest is due."""
        enough = min(self._policy.preferred_rows or math.inf, self._policy.max_batch_size)
        if self._queue.rows_like_head() >= enough:
            return 0.0
        return self._queue.head.since + self._policy.max_queue_delay_s - self._clock()

    def _take(self) -> list[Part]:
        free = self._policy.instances - len(self._running)
        share = math.ceil(self._queue.rows_like_head() / free)
        now = self._clock()
        since = self._queue.head.since  # it may go back to the queue, with a new beginning
        parts = self._queue.take(min(self._policy.max_batch_size, share), now)
        for part in parts:
            waited_since = since if part is parts[0] else part.item.since
            part.item.timings.add("queue", waited_since, now)
            if part.start == 0:
                self._metrics.queue_seconds.labels(self._name).observe(now - waited_since)
        self._tell_queue()
        return parts

    async def _serve(self, parts: list[Part]) -> None:
        try:
            await self._attempt(parts)
        except Exception as error:
            self._metrics.failed_batches.labels(self._name).inc()
            if len(parts) == 1:
                self._fail_part(parts[0], error)
                return
            _log.warning(
                "batch failed, running its items one by one",
                extra={"model": self._name, "items": len(parts), "error": repr(error)},
            )
            for part in parts:
                if part.item.future.done():
                    continue
                try:
                    await self._attempt([part])
                except Exception as own:
                    self._fail_part(part, own)

    async def _attempt(self, parts: list[Part]) -> None:
        """Run `parts` as one batch and hand the rows of the outputs to their items."""
        start = self._clock()
        rows = sum(part.rows for part in parts)
        outputs = await asyncio.get_running_loop().run_in_executor(self._executor, self._batch, parts)
        end = self._clock()
        self._batch_s += (end - start - self._batch_s) * (_SMOOTHING if self._batch_s else 1.0)
        self._metrics.batch_rows.labels(self._name).observe(rows)
        self._metrics.batch_seconds.labels(self._name).observe(end - start)
        for name, tensor in outputs.items():
            if tensor.shape[:1] != (rows,):
                raise Internal(
                    f"Model {self._name!r} gave {name!r} of shape {tensor.shape} for {rows} rows.",
                    reason="INFERENCE_FAILED",
                )
        offset = 0
        for part in parts:
            part.item.timings.add("inference", start, end)
            part.item.finish(part.start, {n: t[offset : offset + part.rows] for n, t in outputs.items()})
            offset += part.rows

    def _batch(self, parts: list[Part]) -> Tensors:
        # In the executor: also the copy of a large batch stays off the event loop.
        return self._run(join([part.inputs() for part in parts]))

    def _fail_part(self, part: Part, error: Exception) -> None:
        if not isinstance(error, LunulaError):
            _log.error("inference failed", exc_info=error, extra={"model": self._name})
            cause, error = error, Internal(f"Model {self._name!r} failed.", reason="INFERENCE_FAILED")
            error.__cause__ = cause
        self._remove(part.item)
        self._fail(part.item, error, "failed")

    def _fail(self, item: Item, error: Exception, reason: str) -> None:
        if not item.future.done():
            item.future.set_exception(error)
            self._metrics.dropped.labels(self._name, reason).inc()

    def _remove(self, item: Item) -> None:
        self._queue.remove(item)
        self._tell_queue()

    def _tell_queue(self) -> None:
        self._metrics.queue_rows.labels(self._name).set(self._queue.rows)

    def _retry_after_s(self) -> float:
        """About how long what waits now will take."""
        batches = math.ceil(self._queue.rows / self._policy.max_batch_size)
        return max(_LEAST_RETRY_S, self._batch_s * batches / self._policy.instances)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _expired(name: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"The deadline passed before model {name!r} had answered.")


def _closed(name: str) -> Unavailable:
    return Unavailable(f"The backend of model {name!r} is closed.", reason="MODEL_SERVER_UNAVAILABLE")
