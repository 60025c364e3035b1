"""What waits for a model, and which of it goes into the next batch. No tasks, no threads, no clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.telemetry.timings import StageTimings

Tensors = dict[str, NDArray[Any]]
Shapes = tuple[tuple[int, ...], ...]


@dataclass(eq=False)
class Item:
    """What one caller waits for: `rows` rows of inputs, of which `taken` have gone into batches.

    `since` is when it was queued, or went back to the queue.
    """

    inputs: Mapping[str, NDArray[Any]]
    rows: int
    deadline: Deadline
    timings: StageTimings
    future: asyncio.Future[Tensors]
    since: float
    taken: int = 0
    shapes: Shapes = field(init=False)
    _parts: dict[int, Tensors] = field(default_factory=dict)  # outputs by first row

    def __post_init__(self) -> None:
        self.shapes = tuple(self.inputs[name].shape[1:] for name in sorted(self.inputs))

    @property
    def waiting(self) -> int:
        """Rows that have not gone into a batch."""
        return self.rows - self.taken

    def finish(self, start: int, outputs: Tensors) -> None:
        """Keep the outputs of the rows from `start`; the last ones complete the item."""
        self._parts[start] = outputs
        done = sum(len(next(iter(part.values()))) for part in self._parts.values())
        if done == self.rows and not self.future.done():
            self.future.set_result(join([self._parts[first] for first in sorted(self._parts)]))


@dataclass(frozen=True)
class Part:
    """Rows [start, stop) of an item, in a batch."""

    item: Item
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start

    def inputs(self) -> Tensors:
        """Views of the rows' inputs."""
        return {name: tensor[self.start : self.stop] for name, tensor in self.item.inputs.items()}


class BatchQueue:
    """Items in order of arrival. `rows` is how many rows wait."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self.rows = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def head(self) -> Item:
        """The item that waits longest."""
        return self._items[0]

    def push(self, item: Item) -> None:
        """Add an item, or what is left of one, behind the others."""
        self._items.append(item)
        self.rows += item.waiting

    def remove(self, item: Item) -> None:
        """Take an item out; without effect when it is not in."""
        if item in self._items:
            self._items.remove(item)
            self.rows -= item.waiting

    def clear(self) -> list[Item]:
        """Take everything out."""
        items = list(self._items)
        self._items.clear()
        self.rows = 0
        return items

    def expired(self) -> list[Item]:
        """Items whose deadline has passed."""
        return [item for item in self._items if item.deadline.expired]

    def rows_like_head(self) -> int:
        """Rows that could share a batch with the head."""
        return sum(item.waiting for item in self._items if item.shapes == self.head.shapes)

    def take(self, space: int, now: float) -> list[Part]:
        """At most `space` rows for one batch: the head's, then those of all items of its shapes that fit.

        Only the head may be cut; the others go whole or wait to be the head. What is left of the head goes
        behind the others, with `now` as its new beginning.
        """
        head = self.head
        parts: list[Part] = []
        for item in list(self._items):
            if item.shapes != head.shapes or (parts and item.waiting > space):
                continue
            self.remove(item)
            part = Part(item, item.taken, item.taken + min(space, item.waiting))
            parts.append(part)
            space -= part.rows
            item.taken = part.stop
        if head.waiting:
            head.since = now
            self.push(head)
        return parts


def join(parts: list[Tensors]) -> Tensors:
    """The rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
