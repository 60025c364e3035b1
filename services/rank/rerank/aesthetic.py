"""Reranks by relevance and aesthetic score: the eligible head of a list is scored in one batch (paper Q).

The rule itself is nails.aesthetic.rerank. Where the scores are not to be had (no model, no vectors of words,
no tokens, no time), the list keeps the order of relevance and says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nails.aesthetic.rerank import (
    AESTHETIC,
    MAX_HEAD,
    NEUTRAL,
    Reranked,
    RerankStatus,
    aesthetic_term,
    check_weight,
    eligible,
    rank,
    rerank,
)
from nails.aesthetic.tags import words_of_tags
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, InvalidArgument, LunulaError
from services.kit.retry import Backoff
from services.kit.telemetry.timings import stage
from services.rank.catalogue.align import ALIGN
from services.rank.catalogue.milvus import CollectionMissing
from services.rank.catalogue.tokens import TOKENS, decode_tokens
from services.rank.catalogue.version import Version
from services.rank.catalogue.view import View
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from services.rank.request import SearchRequest
from services.rank.rerank.aesthetic_model import AestheticModel, Matrix, ServedModel, tag_matrix
from services.rank.rerank.base import Pinned, Ranked, Ranking, ScoredCandidates
from services.rank.upstream import EmbeddedQuery, Vector

log = logging.getLogger(__name__)

_SHARE_OF_TIME = 0.5
"""Scoring takes at most so much of what is left until the caller's deadline: the page is still to be read."""
_NOT_SCORED = "none"
"""Pinned in place of the model where the first page could not be reranked."""
_BACKOFF = Backoff(attempts=3)


@dataclass(frozen=True)
class Defaults:
    """weight: of the aesthetic score where a request does not say. head: designs that are scored, at most."""

    weight: float
    head: int


@dataclass(frozen=True)
class _Pin:
    """How the first page was reranked. model: `ServedModel.pin`, _NOT_SCORED, or "" before the first page."""

    weight: float
    head: int
    model: str = ""

    @classmethod
    def load(cls, pinned: Pinned) -> _Pin:
        """Reads what `dump` wrote; page tokens may be signed with a public key, so nothing is trusted."""
        weight, head, model = pinned
        pin = cls(check_weight(float(weight)), int(head), str(model))
        if not 1 <= pin.head <= MAX_HEAD:
            raise ValueError("head")
        return pin

    def dump(self) -> Pinned:
        """As JSON values."""
        return (self.weight, self.head, self.model)


class _Unscored(Exception):
    """No design can be scored; the text says why, for people."""


@dataclass(frozen=True)
class _Scored:
    """scores: from 1 to 10, by id. normalised: in [0, 1]."""

    scores: Mapping[str, float]
    normalised: Mapping[str, float]
    model: ServedModel


class AestheticReranker:
    """Reranks by relevance and aesthetic score."""

    name = AESTHETIC

    def __init__(
        self,
        *,
        model: AestheticModel,
        embed: EmbedClient,
        threads: WorkThreads,
        defaults: Defaults,
        timeout_s: float,
        forget: Callable[[Version], None],
    ) -> None:
        """threads: unpack tokens. timeout_s: longest wait for words, tokens and model together.

        forget: called with a version whose token collection is gone or not loaded.
        """
        self._model = model
        self._embed = embed
        self._threads = threads
        self._defaults = defaults
        self._timeout_s = timeout_s
        self._forget = forget

    def plan(self, request: SearchRequest, pinned: Pinned | None, *, first_page: bool) -> AestheticPlan:
        """Of the request's weight, or of the first page's. Raises ValueError."""
        if pinned is not None:
            pin = _Pin.load(pinned)
        else:
            weight = request.aesthetic_weight
            weight = self._defaults.weight if weight is None else weight
            # A page token without a pin continues a first page that was not reranked.
            pin = _Pin(weight if first_page else 0.0, self._defaults.head)
        return AestheticPlan(self, request, pin)

    async def embed_options(self) -> Mapping[str, Any]:
        """The packing of the tokens that the model reads; nothing while there is no model."""
        try:
            return {"packing": (await self._model.get()).packing}
        except LunulaError:
            return {}  # tokens are added when the model is there

    async def score(
        self,
        digests: Mapping[str, str],
        pin: _Pin,
        request: SearchRequest,
        query: EmbeddedQuery | None,
        view: View,
    ) -> _Scored:
        """Scores of those of the designs whose tokens are stored. Raises _Unscored, InvalidArgument."""
        limit = view.deadline.within(min(self._timeout_s, _SHARE_OF_TIME * view.deadline.remaining()))
        try:
            async with asyncio.timeout(limit.remaining()):
                model = await self._model.get()
                if pin.model and pin.model != model.pin:
                    raise _Unscored("the model was exchanged after the first page")
                tags = tag_matrix(model, await self._tags(request, query, limit))
                return await self._score(digests, model, tags, view.until(limit))
        except (DeadlineExceeded, TimeoutError):
            raise _Unscored("it gave no answer in time") from None
        except (InvalidArgument, _Unscored):
            raise
        except CollectionMissing as error:
            self._forget(view.version)
            raise _Unscored(error.message) from error
        except LunulaError as error:
            raise _Unscored(error.message) from error
        except Exception:
            log.exception("aesthetic scoring failed unexpectedly")
            raise _Unscored("unexpected error") from None

    async def _tags(
        self, request: SearchRequest, query: EmbeddedQuery | None, deadline: Deadline
    ) -> Sequence[Vector]:
        """Vectors of the caller's own tags, else of what the text is about."""
        if not request.aesthetic_tags:
            return () if query is None else query.tags
        words = words_of_tags(request.aesthetic_tags)
        # Words may be fewer than tags, so that errors can only name them all.
        places = {f"texts[{index}]": "aesthetic_tags" for index in range(len(words))}
        return await self._embed.embed_texts(words, places, Budget(deadline, _BACKOFF))

    async def _score(
        self, digests: Mapping[str, str], model: ServedModel, tags: Matrix, view: View
    ) -> _Scored:
        tokens, align = TOKENS.space(view.version.space), ALIGN.space(view.version.space)
        if tokens is None or align is None:
            raise _Unscored(
                f"catalogue version {view.version.version_id} keeps no image tokens that the model reads; "
                "index its designs again"
            )
        if reason := model.reject(tokens):
            raise _Unscored(reason)
        model.check_trained_with("image_align", align.fingerprint)
        with stage("tokens"):
            rows = await view.read_current(TOKENS.name, digests, (TOKENS.name,))
            batch = await self._threads.run(decode_tokens, rows, tokens)
        scores: dict[str, float] = {}
        if batch.ids:
            with stage("aesthetic"):
                found = await self._model.score(model, batch.tokens, batch.align, tags, view.deadline)
            scores = dict(zip(batch.ids, found.score.tolist(), strict=True))
        normalised = {design_id: model.score_map(score) for design_id, score in scores.items()}
        return _Scored(scores, normalised, model)


class AestheticPlan:
    """How one request is reranked."""

    def __init__(self, reranker: AestheticReranker, request: SearchRequest, pin: _Pin) -> None:
        self._reranker = reranker
        self._request = request
        self._pin = pin

    @property
    def include_tags(self) -> bool:
        """Where the score counts, and the caller has no tags of their own."""
        return self._pin.weight > 0 and not self._request.aesthetic_tags

    async def rerank(self, candidates: ScoredCandidates, query: EmbeddedQuery | None, view: View) -> Ranking:
        """All candidates, best first."""
        pin = self._pin
        if pin.weight <= 0 or not candidates.measures:
            return _by_relevance(candidates, pin)
        if pin.model == _NOT_SCORED:
            reason = "the first page, whose order this page continues, was not reranked"
            return _by_relevance(candidates, pin, reason)
        ids = candidates.ids
        with stage("fuse"):
            relevances = candidates.relevances(1.0 - pin.weight)
            head = [ids[index] for index in eligible(relevances, ids, head=pin.head)]
            digests = {design_id: candidates.digests[design_id] for design_id in head}
        try:
            scored = await self._reranker.score(digests, pin, self._request, query, view)
        except _Unscored as reason:
            later = "; this page may repeat designs of earlier ones" if pin.model else ""
            first = pin if pin.model else _Pin(pin.weight, pin.head, _NOT_SCORED)
            return _by_relevance(candidates, first, f"{reason}{later}")
        with stage("fuse"):
            indexes = {design_id: index for index, design_id in enumerate(ids)}
            normalised = {indexes[design_id]: value for design_id, value in scored.normalised.items()}
            before = {index: place for place, index in enumerate(rank(relevances, ids))}
            reranked = rerank(relevances, ids, normalised, weight=pin.weight, head=pin.head)
            designs = [
                _ranked(one, ids[one.index], scored, pin.weight, before[one.index] - place)
                for place, one in enumerate(reranked)
            ]
        pinned = _Pin(pin.weight, pin.head, scored.model.pin).dump()
        return Ranking(designs, pin.weight, pinned, models=(scored.model.version,))


def _by_relevance(candidates: ScoredCandidates, pin: _Pin, unavailable: str = "") -> Ranking:
    with stage("fuse"):
        ids, relevances = candidates.ids, candidates.relevances()
        designs = [Ranked(ids[index]) for index in rank(relevances, ids)]
    return Ranking(designs, 0.0, pin.dump(), unavailable)


def _ranked(one: Reranked, design_id: str, scored: _Scored, weight: float, moved: int) -> Ranked:
    """moved: places that the aesthetic score lifted the design (below 0: lowered it)."""
    score = scored.scores.get(design_id)
    return Ranked(
        design_id,
        aesthetic_term(one, score, weight),
        one.status.value,
        _explain(one.status, score, moved),
    )


def _explain(status: RerankStatus, score: float | None, moved: int) -> str:
    """What the score decided; "" where it decided nothing."""
    if not moved:
        return ""
    places = f"{'up' if moved > 0 else 'down'} {abs(moved)} place{'s' * (abs(moved) > 1)}"
    if score is None:
        neutral = f" (counts as {NEUTRAL:g})" if status is RerankStatus.NOT_SCORED else ""
        return f"photo not rated{neutral}, moved {places}"
    return f"photo rated {score:.1f} of 10, moved {places}"
