"""Asking about many items: only what is not known yet, a bounded number at once, each answer kept at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar

from training.describe.models.question import ItemError, RunError
from training.describe.store import Key, Store

T = TypeVar("T")


class Worker(Protocol):
    """What a `Describer` and a `Judge` have in common."""

    batch: int
    parallel: int

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Item(Generic[T]):
    """Something to ask about, where its answer is kept, and what to call it."""

    key: Key
    subject: T
    label: str


@dataclass
class Tally:
    """stored: answered before, or asked about twice. answered, failed: now."""

    stored: int = 0
    answered: int = 0
    failed: int = 0


def ask_all(
    items: Iterable[Item[T]],
    work: Callable[[Sequence[T]], Sequence[Any]],
    worker: Worker,
    store: Store,
    *,
    to_json: Callable[[Any], Any] = lambda answer: answer,
    give_up: int = 20,
) -> Generator[Tally, None, None]:
    """Ask about all items that the store does not know, and keep the answers; a tally after each step.

    At most `worker.parallel` calls of `work` run at once, each in a thread, with `worker.batch` items at
    most; items are taken as they are needed. "unreachable" is not kept: the next run asks again. After
    `give_up` items on end that were unreachable or denied the run ends with RunError.
    """
    tally = Tally()
    batches = _batches(_unknown(items, store, tally), worker.batch)
    answered: SimpleQueue[tuple[list[Item[T]], Sequence[Any] | BaseException]] = SimpleQueue()

    def call(batch: list[Item[T]]) -> None:
        try:
            answered.put((batch, work([item.subject for item in batch])))
        except BaseException as error:
            answered.put((batch, error))

    in_flight = failures = 0
    try:
        while True:
            for batch in itertools.islice(batches, worker.parallel - in_flight):
                # Daemons, so that a run that is broken off need not wait for calls on their way.
                Thread(target=call, args=(batch,), daemon=True).start()
                in_flight += 1
            if not in_flight:
                break
            batch, answers = answered.get()
            in_flight -= 1
            if isinstance(answers, BaseException):
                raise answers
            for item, answer in zip(batch, answers, strict=True):
                failures = _keep(item, answer, store, tally, to_json, failures)
                if failures >= give_up:
                    raise RunError(f"{failures} items on end without an answer; the last: {answer.message}")
            yield tally
    except BaseException:
        worker.stop()
        raise
    yield tally


def _keep(
    item: Item[T], answer: Any, store: Store, tally: Tally, to_json: Callable[[Any], Any], failures: int
) -> int:
    """Put an answer into the store and the tally. How many items on end had none for the server's sake."""
    if not isinstance(answer, ItemError):
        store.add(item.key, to_json(answer), of=item.label)
        tally.answered += 1
        return 0
    tally.failed += 1
    if answer.kind != "unreachable":
        store.add(item.key, answer, of=item.label)
    return failures + 1 if answer.kind in ("unreachable", "denied") else 0


def _unknown(items: Iterable[Item[T]], store: Store, tally: Tally) -> Iterator[Item[T]]:
    """Items without an answer, each once: the same photo may lie in two files."""
    begun: set[Key] = set()
    for item in items:
        if item.key in store or item.key in begun:
            tally.stored += 1
        else:
            begun.add(item.key)
            yield item


def _batches(items: Iterable[Item[T]], size: int) -> Iterator[list[Item[T]]]:
    found = iter(items)
    while batch := list(itertools.islice(found, size)):
        yield batch
