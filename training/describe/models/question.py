"""What is asked of a vision-language model, what comes back, and how asking fails.

DescribeError
├── ItemError   this one item has no answer; the run goes on
└── RunError    no item will have one (wrong key, wrong model, nothing listens); the run ends
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from training.describe.photos import Photo

# refused: the model would not. malformed: not of the form asked for. denied: the server would not (HTTP 4xx).
# unreachable: no answer in spite of trying again. photo: it cannot be read or made small enough.
Kind = Literal["refused", "malformed", "denied", "unreachable", "photo"]


class DescribeError(Exception):
    """Base of what this package raises."""


class ItemError(DescribeError):
    """Why one item has no answer."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class RunError(DescribeError):
    """Why none of the items can have an answer."""


@dataclass(frozen=True)
class Question:
    """system: the role. text: what is asked. photos: shown before the text, in this order."""

    system: str
    text: str
    photos: tuple[Photo, ...] = ()


class Asker(Protocol):
    """A model that answers questions in words.

    name: of the model, part of the key of every stored answer. batch: questions that it likes at once.
    parallel: calls that may run at the same time.
    """

    name: str
    batch: int
    parallel: int

    def ask(self, questions: Sequence[Question], *, max_tokens: int) -> list[str | ItemError]:
        """An answer of at most `max_tokens` to each question. Raises RunError where none can be had."""
        ...

    def stop(self) -> None:
        """Give up waiting: calls in other threads end as soon as they can."""
        ...
