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
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, Internal, LunulaError, ResourceExhausted, Unavailable
from services.kit.inference.metrics import InferenceMetrics
from services.kit.timings import StageTimings, current

Tensors = dict[str, NDArray[Any]]
Run = Callable[[Tensors], Tensors]
_log = logging.getLogger(__name__)
_SMOOTHING = 0.2  # weight of the newest batch in the running mean of batch times
_LEAST_RETRY_S = 0.05


@dataclass(frozen=True)
class BatchingPolicy:
    """How batches are formed.

    `max_queue_delay_s`: how long an item may wait for company while an instance is free.
    `preferred_rows`: at so many rows a batch does not wait any longer; None: at max_batch_size.
    `instances`: batches that run at the same time.
    """

    max_batch_size: int
    max_queue_delay_s: float = 0.0
    preferred_rows: int | None = None
    max_queue_rows: int = 256
    instances: int = 1


@dataclass(eq=False)
class _Item:
    """What one caller waits for; `taken` rows of it have gone into batches, `done` have come back."""

    inputs: Mapping[str, NDArray[Any]]
    rows: int
    shapes: tuple[tuple[int, ...], ...]
    deadline: Deadline
    timings: StageTimings
    future: asyncio.Future[Tensors]
    since: float  # when it was queued, or went back to the queue
    taken: int = 0
    parts: dict[int, Tensors] = field(default_factory=dict)  # by first row

    @property
    def waiting(self) -> int:
        return self.rows - self.taken


@dataclass(frozen=True)
class _Part:
    """Rows [start, stop) of an item, in a batch."""

    item: _Item
    start: int
    stop: int

    def inputs(self) -> Tensors:
        return {name: tensor[self.start : self.stop] for name, tensor in self.item.inputs.items()}


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
        self._queue: deque[_Item] = deque()
        self._queued_rows = 0
        self._running: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None
        self._batch_s = 0.0
        self._closed = False

    @property
    def queued_rows(self) -> int:
        """Rows that wait."""
        return self._queued_rows

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
        while self._queue:
            self._fail(self._queue.popleft(), _closed(self._name), "closed")
        self._set_queued(0)
        self._cancel_timer()
        while self._running:
            await asyncio.wait(set(self._running))

    def _enqueue(self, inputs: Mapping[str, NDArray[Any]], rows: int, deadline: Deadline) -> _Item:
        if self._closed:
            raise _closed(self._name)
        deadline.check(f"model {self._name!r} could start")
        if self._queue and self._queued_rows + rows > self._policy.max_queue_rows:
            self._metrics.dropped.labels(self._name, "full").inc()
            raise ResourceExhausted(
                f"The queue of model {self._name!r} is full.",
                reason="QUEUE_FULL",
                retry_after_s=self._retry_after_s(),
            )
        item = _Item(
            inputs=inputs,
            rows=rows,
            shapes=tuple(inputs[name].shape[1:] for name in sorted(inputs)),
            deadline=deadline,
            timings=current(),
            future=asyncio.get_running_loop().create_future(),
            since=self._clock(),
        )
        self._queue.append(item)
        self._set_queued(self._queued_rows + rows)
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_soon(self._pump)
        return item

    def _pump(self) -> None:
        """Start batches while an instance is free and a batch is due."""
        self._cancel_timer()
        while len(self._running) < self._policy.instances:
            self._drop_expired()
            if not self._queue:
                return
            wait_s = self._wait_s()
            if wait_s > 0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)
                return
            task = asyncio.get_running_loop().create_task(self._serve(self._take()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._closed:
            self._pump()

    def _wait_s(self) -> float:
        """Seconds until the batch of the item that waits longest is due."""
        head = self._queue[0]
        due = head.since + self._policy.max_queue_delay_s
        enough = min(self._policy.preferred_rows or math.inf, self._policy.max_batch_size)
        rows = sum(item.waiting for item in self._queue if item.shapes == head.shapes)
        return 0.0 if rows >= enough else due - self._clock()

    def _take(self) -> list[_Part]:
        """Rows for one batch: those of the item that waits longest, then all of its shape that fit."""
        shapes = self._queue[0].shapes
        waiting = sum(item.waiting for item in self._queue if item.shapes == shapes)
        free = self._policy.instances - len(self._running)
        space = min(self._policy.max_batch_size, math.ceil(waiting / free))
        parts: list[_Part] = []
        kept: deque[_Item] = deque()
        again: list[_Item] = []
        for item in self._queue:
            # Only the first item of a batch may be cut; the others go whole or wait to be first.
            if item.shapes != shapes or (parts and item.waiting > space):
                kept.append(item)
                continue
            count = min(space, item.waiting)
            parts.append(_Part(item, item.taken, item.taken + count))
            space -= count
            if item.taken == 0:
                self._metrics.queue_seconds.labels(self._name).observe(self._clock() - item.since)
            item.timings.add("queue", item.since, self._clock())
            item.taken += count
            if item.waiting:
                again.append(item)
        for item in again:
            item.since = self._clock()
        self._queue = kept
        self._queue.extend(again)
        self._set_queued(self._queued_rows - sum(part.stop - part.start for part in parts))
        return parts

    async def _serve(self, parts: list[_Part]) -> None:
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

    async def _attempt(self, parts: list[_Part]) -> None:
        """Run `parts` as one batch and hand the rows of the outputs to their items."""
        start = self._clock()
        rows = sum(part.stop - part.start for part in parts)
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
            count = part.stop - part.start
            item = part.item
            item.timings.add("inference", start, end)
            item.parts[part.start] = {name: t[offset : offset + count] for name, t in outputs.items()}
            offset += count
            if not item.future.done() and sum(_rows(done) for done in item.parts.values()) == item.rows:
                item.future.set_result(_join([item.parts[first] for first in sorted(item.parts)]))

    def _batch(self, parts: list[_Part]) -> Tensors:
        # In the executor: also the copy of a large batch stays off the event loop.
        return self._run(_join([part.inputs() for part in parts]))

    def _fail_part(self, part: _Part, error: Exception) -> None:
        if not isinstance(error, LunulaError):
            _log.error("inference failed", exc_info=error, extra={"model": self._name})
            cause, error = error, Internal(f"Model {self._name!r} failed.", reason="INFERENCE_FAILED")
            error.__cause__ = cause
        self._remove(part.item)
        self._fail(part.item, error, "failed")

    def _fail(self, item: _Item, error: Exception, reason: str) -> None:
        if not item.future.done():
            item.future.set_exception(error)
            self._metrics.dropped.labels(self._name, reason).inc()

    def _drop_expired(self) -> None:
        # An item's own timer may be late when the event loop is busy.
        for item in [item for item in self._queue if item.deadline.expired]:
            self._remove(item)
            self._fail(item, _expired(self._name), "expired")

    def _remove(self, item: _Item) -> None:
        if item in self._queue:
            self._queue.remove(item)
            self._set_queued(self._queued_rows - item.waiting)

    def _set_queued(self, rows: int) -> None:
        self._queued_rows = rows
        self._metrics.queue_rows.labels(self._name).set(rows)

    def _retry_after_s(self) -> float:
        """About how long what waits now will take."""
        batches = math.ceil(self._queued_rows / self._policy.max_batch_size)
        return max(_LEAST_RETRY_S, self._batch_s * batches / self._policy.instances)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _expired(name: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"The deadline passed before model {name!r} had answered.")


def _closed(name: str) -> Unavailable:
    return Unavailable(f"The backend of model {name!r} is closed.", reason="MODEL_SERVER_UNAVAILABLE")


def _rows(tensors: Tensors) -> int:
    return int(next(iter(tensors.values())).shape[0])


def _join(parts: list[Tensors]) -> Tensors:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
