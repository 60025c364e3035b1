"""A moment by which work must be done, handed down explicitly from the server to the queue."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from services.kit.errors import DeadlineExceeded


class HasTimeRemaining(Protocol):
    """The part of a servicer context that has the caller's deadline."""

    def time_remaining(self) -> float | None:
        """Seconds left, or None when the caller sent no deadline."""
        ...


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds; None is never.

    Immutable, cheap, safe to share between tasks and threads. `clock` is replaceable for tests.
    """

    at_monotonic: float | None
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)

    @classmethod
    def after(cls, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """The moment `seconds` from now; infinity gives a deadline that never passes."""
        return cls(None if math.isinf(seconds) else clock() + seconds, clock)

    @classmethod
    def never(cls) -> Deadline:
        """A deadline that never passes."""
        return cls(None)

    @classmethod
    def from_context(
        cls,
        context: HasTimeRemaining,
        default_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> Deadline:
        """The caller's deadline, or `default_s` from now when the caller sent none."""
        remaining = context.time_remaining()
        return cls.after(default_s if remaining is None else remaining, clock=clock)

    def remaining(self) -> float:
        """Seconds left, at least 0; infinity when there is no deadline."""
        if self.at_monotonic is None:
            return math.inf
        return max(0.0, self.at_monotonic - self.clock())

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return self.remaining() <= 0.0

    def check(self, doing: str = "the request") -> None:
        """Raise DeadlineExceeded when the moment has passed; `doing` names the work for the message."""
        if self.expired:
            raise DeadlineExceeded(f"The deadline passed before {doing} was done.")

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and `seconds` from now."""
        return Deadline.after(min(self.remaining(), seconds), clock=self.clock)
