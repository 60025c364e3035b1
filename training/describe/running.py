"""Asking about many items: only what is not known yet, a bounded number at once, each answer kept at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from training.describe.question import ItemError, RunError
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
    """known: asked before, or twice. answered, failed: now."""

    known: int = 0
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

    At most `worker.parallel` calls of `work` run at once, each with `worker.batch` items at most, and at most
    as many again wait, so memory does not grow with the items. "unreachable" is not kept: the next run asks
    again. After `give_up` items on end that were unreachable or denied the run ends with RunError.
    """
    tally = Tally()
    batches = _batches(_unknown(items, store, tally), worker.batch)
    in_flight: dict[Future[Sequence[Any]], list[Item[T]]] = {}
    failures = 0
    pool = ThreadPoolExecutor(worker.parallel, thread_name_prefix="describe")
    try:
        while True:
            for batch in itertools.islice(batches, 2 * worker.parallel - len(in_flight)):
                in_flight[pool.submit(work, [item.subject for item in batch])] = batch
            if not in_flight:
                break
            done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                for item, answer in zip(in_flight.pop(future), future.result(), strict=True):
                    if not isinstance(answer, ItemError):
                        store.add(item.key, to_json(answer), of=item.label)
                        tally.answered, failures = tally.answered + 1, 0
                        continue
                    tally.failed += 1
                    if answer.kind != "unreachable":
                        store.add(item.key, answer, of=item.label)
                    failures = failures + 1 if answer.kind in ("unreachable", "denied") else 0
                    if failures >= give_up:
                        raise RunError(
                            f"{failures} items on end without an answer; the last: {answer.message}"
                        )
            yield tally
    except BaseException:
        worker.stop()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    yield tally


def _unknown(items: Iterable[Item[T]], store: Store, tally: Tally) -> Iterator[Item[T]]:
    """Items without an answer, each once: the same photo may lie in two files."""
    begun: set[Key] = set()
    for item in items:
        if item.key in store or item.key in begun:
            tally.known += 1
        else:
            begun.add(item.key)
            yield item


def _batches(items: Iterable[Item[T]], size: int) -> Iterator[list[Item[T]]]:
    found = iter(items)
    while batch := list(itertools.islice(found, size)):
        yield batch
