"""Hits in the order of relevance and beauty: the head of the list is judged in one batch.

Nothing here fails a search but tags that the caller must mend. Whatever else goes wrong with beauty (no
model, no vectors of words, no tokens, no time), the list comes in the order of relevance, and why is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from lunula.type.v1 import response_info_pb2, vector_pb2
from nails.aesthetic.rerank import NEUTRAL, Placed, Standing, in_play, order, rerank
from nails.fusion import score_of
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, InvalidArgument, LunulaError
from services.kit.telemetry.timings import stage
from services.rank.catalogue.milvus import CollectionMissing
from services.rank.catalogue.store import Store
from services.rank.catalogue.token_rows import read_batch
from services.rank.catalogue.versions import Version
from services.rank.rerank.aesthetic_model import AestheticModel, Judge, Matrix, tag_matrix
from services.rank.search.candidates import Measures, Raw
from services.rank.search.page_tokens import Pinned

log = logging.getLogger(__name__)

_SHARE_OF_TIME = 0.5
"""Beauty takes at most so much of what is left until the caller's deadline: the page is still to be read."""
NO_JUDGE = "none"
"""The mark of a first page that beauty had no part in, although it was asked for."""
TagVectors = Callable[[Deadline], Awaitable[Sequence[vector_pb2.Vector]]]
"""Vectors of what a request is about, within a deadline."""


@dataclass(frozen=True)
class Ranked:
    """A design of the list. raw: its measures. relevance: what its channels contribute.

    placed: how beauty placed it; None where beauty had no part. aesthetic: its score from 1 to 10, None
    without one. moved: places that beauty lifted it (below 0: lowered it).
    """

    design_id: str
    raw: Raw
    relevance: float
    placed: Placed | None = None
    aesthetic: float | None = None
    moved: int = 0


@dataclass(frozen=True)
class Ranking:
    """The whole list. weight: that beauty had. unavailable: why it had none, "" where it was not asked for.

    pinned: what later pages need to come in the same order.
    """

    ranked: Sequence[Ranked]
    weight: float
    pinned: Pinned
    unavailable: str = ""
    models: tuple[response_info_pb2.ModelVersion, ...] = ()


class _NotJudged(Exception):
    """Beauty cannot be judged; the text says why, for people."""


@dataclass(frozen=True)
class _Judged:
    scores: Mapping[str, float]
    beauties: Mapping[str, float]
    judge: Judge


class Beauty:
    """Orders lists by relevance and beauty."""

    def __init__(
        self,
        store: Store,
        model: AestheticModel,
        threads: WorkThreads,
        *,
        timeout_s: float,
        forget: Callable[[Version], None],
    ) -> None:
        """threads: unpack tokens. timeout_s: longest wait for words, tokens and model together. forget: told
        of versions whose tokens turn out to be gone or not loaded."""
        self._store = store
        self._model = model
        self._threads = threads
        self._timeout_s = timeout_s
        self._forget = forget

    async def rank(
        self,
        version: Version,
        measures: Measures,
        shares: Mapping[str, float],
        wanted: Pinned,
        tags: TagVectors,
        deadline: Deadline,
    ) -> Ranking:
        """All measured designs, best first.

        shares: weights of the channels, summing to 1. wanted: weight and head, and on later pages the judge
        of the first. tags: awaited within the time that beauty may take; InvalidArgument passes through.
        """
        raw = measures.raw
        if wanted.weight <= 0 or not raw:
            return Ranking(_by_relevance(raw, shares), 0.0, wanted)
        if wanted.judge == NO_JUDGE:
            why = "it could not be judged for the first page, whose order this page continues"
            return Ranking(_by_relevance(raw, shares), 0.0, wanted, why)
        names = list(raw)
        with stage("fuse"):
            left = 1.0 - wanted.weight
            scaled = {channel: left * share for channel, share in shares.items()}
            parts = [score_of(raw[name], scaled) for name in names]
            head = [names[index] for index in in_play(parts, names, head=wanted.head)]
            digests = {name: measures.digests[name] for name in head}
        try:
            judged = await self._judged(version, digests, wanted, tags, deadline)
        except _NotJudged as why:
            later = "; this page may repeat designs of earlier ones" if wanted.judge else ""
            pinned = wanted if wanted.judge else Pinned(wanted.weight, wanted.head, NO_JUDGE)
            return Ranking(_by_relevance(raw, shares), 0.0, pinned, f"{why}{later}")
        with stage("fuse"):
            indexes = {name: index for index, name in enumerate(names)}
            beauties = {indexes[name]: beauty for name, beauty in judged.beauties.items()}
            before = {index: rank for rank, index in enumerate(order(parts, names))}
            ranked = [
                Ranked(
                    names[placed.index],
                    raw[names[placed.index]],
                    placed.relevance,
                    placed,
                    judged.scores.get(names[placed.index]),
                    before[placed.index] - rank,
                )
                for rank, placed in enumerate(
                    rerank(parts, names, beauties, weight=wanted.weight, head=wanted.head)
                )
            ]
        pinned = Pinned(wanted.weight, wanted.head, judged.judge.pin)
        return Ranking(ranked, wanted.weight, pinned, models=(judged.judge.version,))

    async def _judged(
        self,
        version: Version,
        digests: Mapping[str, str],
        wanted: Pinned,
        tags: TagVectors,
        deadline: Deadline,
    ) -> _Judged:
        """Scores of those of the designs whose tokens are kept. Raises _NotJudged, InvalidArgument."""
        limit = deadline.within(min(self._timeout_s, _SHARE_OF_TIME * deadline.remaining()))
        try:
            async with asyncio.timeout(limit.remaining()):
                judge = await self._model.get()
                if wanted.judge and wanted.judge != judge.pin:
                    raise _NotJudged("the model was exchanged after the first page")
                matrix = tag_matrix(judge, await tags(limit))
                return await self._judge(version, digests, judge, matrix, limit)
        except (DeadlineExceeded, TimeoutError):
            raise _NotJudged("it gave no answer in time") from None
        except InvalidArgument:
            raise
        except CollectionMissing as error:
            self._forget(version)
            raise _NotJudged(error.message) from error
        except LunulaError as error:
            raise _NotJudged(error.message) from error
        except _NotJudged:
            raise
        except Exception:
            log.exception("beauty failed in a way that nobody foresaw")
            raise _NotJudged("unforeseen error") from None

    async def _judge(
        self,
        version: Version,
        digests: Mapping[str, str],
        judge: Judge,
        tags: Matrix,
        limit: Deadline,
    ) -> _Judged:
        space = version.tokens
        if space is None:
            raise _NotJudged(
                f"catalogue version {version.version_id} keeps no image tokens that the model reads; index "
                "its designs again"
            )
        if why := judge.why_not(space):
            raise _NotJudged(why)
        judge.check_made_with("image_align", version.space.align_fingerprint)
        with stage("tokens"):
            rows = await self._store.read_tokens(version.names, digests, limit)
            batch = await self._threads.run(read_batch, rows, space)
        scores: dict[str, float] = {}
        if batch.ids:
            with stage("beauty"):
                found = await self._model.score(judge, batch.tokens, batch.align, tags, limit)
            scores = dict(zip(batch.ids, found.score.tolist(), strict=True))
        beauties = {design_id: judge.beauty(score) for design_id, score in scores.items()}
        return _Judged(scores, beauties, judge)


def said_of(ranked: Ranked) -> str:
    """What an explanation says of beauty; "" where it decided nothing."""
    if ranked.placed is None or not ranked.moved:
        return ""
    way = f"{'up' if ranked.moved > 0 else 'down'} {abs(ranked.moved)} place{'s' * (abs(ranked.moved) > 1)}"
    if ranked.aesthetic is None:
        counted = "" if ranked.placed.standing is not Standing.NOT_SCORED else f" (counted as {NEUTRAL:g})"
        return f"beauty not scored{counted}, {way} by that of others"
    return f"photo rated {ranked.aesthetic:.1f} of 10, {way} by beauty"


def _by_relevance(measures: Mapping[str, Raw], shares: Mapping[str, float]) -> list[Ranked]:
    """Ordered by the score to six digits and then by id: a model may give the same request a vector that
    differs in the seventh, and pages must not."""
    with stage("fuse"):
        names = list(measures)
        parts = [score_of(measures[name], shares) for name in names]
        return [Ranked(names[index], measures[names[index]], parts[index]) for index in order(parts, names)]
