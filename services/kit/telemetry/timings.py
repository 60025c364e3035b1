"""Wall time of the stages of one request: decode, queue, inference, search ...

A `StageTimings` is bound to the running request (or stream item) by `collect`; code anywhere below uses
`with stage("decode"):` or `record("queue", ms)`. The items of a batch run through a stage at the same
time, so a stage's figure is the length of the *union* of its intervals: time in which at least one item
was in that stage, never more than the request's own duration.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_COMPACT_ABOVE = 256  # intervals of one stage; a long stream must not grow without bound


class StageTimings:
    """Intervals per stage, in order of first use. Safe to share between threads."""

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._intervals: dict[str, list[tuple[float, float]]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block for stage `name`, also when the block raises."""
        start = self._clock()
        try:
            yield
        finally:
            self.add(name, start, self._clock())

    def record(self, name: str, milliseconds: float) -> None:
        """Count an interval of that length that ends now."""
        end = self._clock()
        self.add(name, end - max(0.0, milliseconds) / 1000, end)

    def milliseconds(self) -> dict[str, float]:
        """Wall time per stage, in order of first use."""
        with self._lock:
            return {
                name: 1000 * sum(end - start for start, end in _union(intervals))
                for name, intervals in self._intervals.items()
            }

    def add(self, name: str, start: float, end: float) -> None:
        """Count an interval given by two readings of the clock (`time.perf_counter` unless replaced)."""
        with self._lock:
            intervals = self._intervals.setdefault(name, [])
            intervals.append((start, end))
            if len(intervals) > _COMPACT_ABOVE:
                # Disjoint intervals cannot be merged; the oldest are folded into one of equal length.
                union = _union(intervals)
                older, newer = union[: -_COMPACT_ABOVE // 2], union[-_COMPACT_ABOVE // 2 :]
                if older:
                    length = sum(stop - begin for begin, stop in older)
                    newer.insert(0, (older[-1][1] - length, older[-1][1]))
                intervals[:] = newer


_current: ContextVar[StageTimings | None] = ContextVar("lunula_stage_timings", default=None)


def current() -> StageTimings:
    """The timings of the running request; outside of one, fresh timings that are not read."""
    return _current.get() or StageTimings()


@contextmanager
def collect(timings: StageTimings | None = None) -> Iterator[StageTimings]:
    """Bind `timings` (or new ones) to what runs inside the block, including tasks started there.

    The server does this for every call; a streaming servicer does it once more for every item.
    """
    bound = timings if timings is not None else StageTimings()
    token = _current.set(bound)
    try:
        yield bound
    finally:
        _current.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Count the time of the block for stage `name` of the running request."""
    with current().stage(name):
        yield


def record(name: str, milliseconds: float) -> None:
    """Count an interval that ends now for stage `name` of the running request."""
    current().record(name, milliseconds)


def _union(intervals: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
