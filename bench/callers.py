"""Callers in flight: what requests take, contender by contender in turns."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import psutil

T = TypeVar("T")
_WARM_UP = 8
_TURN = 20  # requests that one contender answers before the next has its turn
Ask = Callable[[T], Awaitable[Any]]


@dataclass
class Taken:
    """What calls took.

    stages: of those that their responses report, milliseconds each. cpu_ms: of all calls together.
    """

    milliseconds: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: float = 0.0
    wall_s: float = 0.0
    turns: list[float] = field(default_factory=list)
    """Median of each turn."""

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share, in percent, of the calls ended."""
        return float(np.percentile(self.milliseconds, share))


async def drive(ask: Ask[T], items: Sequence[T], concurrency: int) -> Taken:
    """Every item asked once, so many in flight all the time."""
    taken, waiting = Taken(), iter(items)

    async def caller() -> None:
        for item in waiting:
            start = time.perf_counter()
            response = await ask(item)
            taken.milliseconds.append(1000 * (time.perf_counter() - start))
            for timing in getattr(getattr(response, "info", None), "timings", ()):
                taken.stages[timing.stage].append(timing.milliseconds)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    taken.wall_s = time.perf_counter() - start
    return taken


async def take_turns(
    contenders: dict[str, tuple[Ask[Any], Sequence[Any]]],
    concurrency: int,
    *,
    processes: Sequence[int] = (),
    on_turn: Callable[[int], None] = lambda _: None,
) -> dict[str, Taken]:
    """What each contender (how to ask, and what) took, in turns of a few items; the first items warm up.

    processes: ids of those whose processor time counts, beside this one's.
    """
    totals = {name: Taken() for name in contenders}
    for ask, items in contenders.values():
        await drive(ask, items[:_WARM_UP], concurrency)
    length = max(len(items) for _, items in contenders.values())
    for start in range(_WARM_UP, length, _TURN):
        for name, (ask, items) in contenders.items():
            turn = items[start : start + _TURN]
            if not turn:
                continue
            before = processor_ms(processes)
            taken = await drive(ask, turn, concurrency)
            total = totals[name]
            total.cpu_ms += processor_ms(processes) - before
            total.wall_s += taken.wall_s
            total.milliseconds += taken.milliseconds
            total.turns.append(taken.percentile(50))
            for stage, values in taken.stages.items():
                total.stages[stage] += values
        on_turn(min(_TURN, length - start))
    return totals


def times_over(taken: Taken, bare: Taken) -> float:
    """How many times as long as the bare work, as the median over turns."""
    pairs = zip(taken.turns, bare.turns, strict=False)
    return float(np.median([ours / theirs for ours, theirs in pairs]))


def processor_ms(processes: Sequence[int]) -> float:
    """Processor time so far of this process and those, with their own children."""
    total = 1000 * time.process_time()
    for pid in processes:
        times = psutil.Process(pid).cpu_times()
        total += 1000 * (times.user + times.system)
    return total


def in_thread(work: Callable[[T], Any]) -> Ask[T]:
    """How to ask something that blocks."""

    async def ask(item: T) -> Any:
        return await asyncio.to_thread(work, item)

    return ask
