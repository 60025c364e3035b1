"""Sends designs to RankService until every one has an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from cli.client.records import Record
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import item_error_pb2, photo_pb2
from services.kit.client import stream
from services.kit.errors import LunulaError, Unavailable

# Sent and not yet answered: bounds the client's memory, and what is sent twice after a broken stream.
_IN_FLIGHT = 16
_ATTEMPTS = 5


@dataclass
class IndexOutcome:
    """Counts of indexed and unchanged designs, and the errors of the others."""

    indexed: int = 0
    unchanged: int = 0
    failed: dict[str, item_error_pb2.ItemError] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        """Designs that are in the catalogue and survive a crash."""
        return self.indexed + self.unchanged


@dataclass(frozen=True)
class Retry:
    """Designs to be sent again. attempt: the coming one, of `attempts`; pause_s: the wait before it."""

    attempt: int
    attempts: int
    designs: int
    pause_s: float
    why: str

    def __str__(self) -> str:
        return (
            f"{self.designs} not indexed yet: {self.why.rstrip('.')}; "
            f"try {self.attempt} of {self.attempts} in {self.pause_s:g} s"
        )


def to_design(record: Record) -> rank.Design:
    """The message for a record; reads the photo's bytes."""
    return rank.Design(
        design_id=record.design_id,
        photo=photo_pb2.Photo(data=record.photo.read_bytes()),
        title=record.title,
        description=record.description,
        artist_id=record.artist_id,
        tags=record.tags,
        attributes=record.attributes,
        context=record.context,
    )


async def index(
    stub: rank_grpc.RankServiceAsyncStub,
    records: Sequence[Record],
    *,
    version_id: str = "",
    timeout_s: float = 3600.0,
    on_answer: Callable[[rank.IndexDesignsResponse], None] = lambda _: None,
    on_retry: Callable[[Retry], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> IndexOutcome:
    """Index `records`; what a broken stream left without an answer is sent again, with back-off.

    on_retry: called before each wait. sleep: how to wait, in seconds.

    Raises:
        LunulaError: the service refuses the stream, or is unavailable in all attempts.
    """
    outcome = IndexOutcome()
    waiting = {record.design_id: record for record in records}
    retry_later: dict[str, item_error_pb2.ItemError] = {}

    def take(answer: rank.IndexDesignsResponse) -> None:
        if answer.design_id not in waiting:
            return  # answered on an earlier stream
        if answer.state == rank.INDEX_STATE_FAILED and answer.error.retry_delay_ms > 0:
            retry_later[answer.design_id] = answer.error
            return
        del waiting[answer.design_id]
        retry_later.pop(answer.design_id, None)
        if answer.state == rank.INDEX_STATE_FAILED:
            outcome.failed[answer.design_id] = answer.error
        elif answer.state == rank.INDEX_STATE_UNCHANGED:
            outcome.unchanged += 1
        else:
            outcome.indexed += 1
        on_answer(answer)

    for attempt in range(1, _ATTEMPTS + 1):
        why = ""
        try:
            await _one_stream(stub, list(waiting.values()), version_id, timeout_s, take)
        except Unavailable as error:
            if attempt == _ATTEMPTS:
                raise
            why = error.message
        if not waiting:
            break
        if attempt < _ATTEMPTS:
            pause = 0.5 * 2**attempt
            refused = next(iter(retry_later.values()), None)
            why = why or (refused.message if refused is not None else "the service gave no answer")
            on_retry(Retry(attempt + 1, _ATTEMPTS, len(waiting), pause, why))
            await sleep(pause)
    for design_id in waiting:
        outcome.failed[design_id] = retry_later.get(
            design_id,
            item_error_pb2.ItemError(code=14, reason="NO_ANSWER", message="the service gave no answer"),
        )
    return outcome


async def _one_stream(
    stub: rank_grpc.RankServiceAsyncStub,
    records: Sequence[Record],
    version_id: str,
    timeout_s: float,
    take: Callable[[rank.IndexDesignsResponse], None],
) -> None:
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def requests() -> AsyncIterator[rank.IndexDesignsRequest]:
        for record in records:
            await slots.acquire()
            design = await asyncio.to_thread(to_design, record)
            yield rank.IndexDesignsRequest(design=design, version_id=version_id)

    answers = stream(
        stub.IndexDesigns, requests(), timeout=timeout_s, response_type=rank.IndexDesignsResponse
    )
    async with aclosing(answers):
        async for answer in answers:
            if answer.design_id:
                slots.release()
                take(answer)


__all__ = ["IndexOutcome", "LunulaError", "Retry", "index", "to_design"]
