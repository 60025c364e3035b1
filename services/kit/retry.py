"""Trying again after a failure that may pass: how often, how long to wait, and until when."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.kit.deadline import Deadline
from services.kit.errors import LunulaError, ResourceExhausted, Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Backoff:
    """Exponential back-off with jitter; a server's retry delay wins over it.

    attempts: tries in all, the first included. initial_s, max_s: wait after the first failure, and the
    longest. multiplier: growth of the wait from one failure to the next. `sleep` and `uniform` are
    replaceable for tests.
    """

    attempts: int = 4
    initial_s: float = 0.1
    max_s: float = 2.0
    multiplier: float = 2.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def delay(self, attempt: int, error: LunulaError) -> float | None:
        """Seconds to wait after failed `attempt` (1 is the first), or None: do not retry.

        UNAVAILABLE is always worth a retry; RESOURCE_EXHAUSTED only when the server named a delay (a
        message over the size limit has none and never will fit).
        """
        requested = error.retry_after_s
        if attempt >= self.attempts:
            return None
        if not isinstance(error, Unavailable) and not (isinstance(error, ResourceExhausted) and requested):
            return None
        ceiling = min(self.max_s, self.initial_s * self.multiplier ** (attempt - 1))
        # Jitter on top of the requested delay, so that refused callers do not come back together.
        return requested + self.uniform(0.0, ceiling) if requested else self.uniform(ceiling / 2, ceiling)


async def retry(work: Callable[[], Awaitable[T]], *, backoff: Backoff, deadline: Deadline) -> T:
    """The result of `work`, called again after the failures and pauses that `backoff` allows.

    Raises the error of the last attempt: of one that `backoff` does not retry, and also of one whose pause
    would end after `deadline`.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return await work()
        except LunulaError as error:
            delay = backoff.delay(attempt, error)
            if delay is None or delay >= deadline.remaining():
                raise
        await backoff.sleep(delay)
