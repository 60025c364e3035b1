"""A request on its way out: channels prepared, candidates scored, fused, reranked, paged and explained."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from nails.colour.palette import PaletteColour
from nails.fusion import Term, fuse, share_weights
from nails.language.phrases import Phrase
from services.kit.concurrency.threads import WorkThreads
from services.kit.concurrency.together import stop, together
from services.kit.errors import FailedPrecondition, invalid_field
from services.kit.models import ModelVersion
from services.kit.retry import Backoff
from services.kit.telemetry.timings import stage
from services.rank.catalogue.filters import all_of, literal
from services.rank.catalogue.rows import FULL_FIELDS
from services.rank.catalogue.view import Row, View
from services.rank.clients.crop import CropClient
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from services.rank.photos.store import Photos
from services.rank.request import SearchRequest
from services.rank.rerank.base import Pinned, Ranked, Ranking, Reranker, RerankPlan, ScoredCandidates
from services.rank.search.candidates import retrieve
from services.rank.search.channels import CHANNELS
from services.rank.search.channels.base import ChannelUnavailable, Preparation, Retriever
from services.rank.search.explanation import Explainer, RequestedColour, match_colours
from services.rank.upstream import EmbeddedQuery

_BACKOFF = Backoff(attempts=3)


@dataclass(frozen=True)
class Hit:
    """One design of a page. row: all its fields. notes: why a term is 0, by channel."""

    row: Row
    score: float
    terms: Sequence[Term]
    explanation: str
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """more: whether other hits follow. palette: the one that was used. unavailable: why, by channel.

    pinned: what later pages need to come in the same order.
    """

    hits: Sequence[Hit]
    more: bool
    phrases: Sequence[Phrase]
    palette: Sequence[PaletteColour]
    unavailable: Mapping[str, str]
    models: tuple[ModelVersion, ...]
    pinned: Pinned


@dataclass(frozen=True)
class _Prepared:
    """retrievers: of the channels that have input. unavailable: why, of those that cannot serve theirs."""

    query: EmbeddedQuery | None
    retrievers: Mapping[str, Retriever]
    unavailable: Mapping[str, str]


class Search:
    """Searches catalogue versions."""

    def __init__(
        self,
        *,
        crop: CropClient,
        embed: EmbedClient,
        photos: Photos,
        threads: WorkThreads,
        reranker: Reranker,
        candidates: int,
    ) -> None:
        """candidates: designs that each channel returns, at most. threads: explain hits."""
        self._crop = crop
        self._embed = embed
        self._photos = photos
        self._threads = threads
        self._reranker = reranker
        self._candidates = candidates
        self._explainer = Explainer()

    def plan(self, request: SearchRequest, pinned: Pinned | None, *, first_page: bool) -> RerankPlan:
        """How the request is reranked. pinned: of the first page. Raises ValueError for an invalid one."""
        return self._reranker.plan(request, pinned, first_page=first_page)

    async def page(
        self, view: View, request: SearchRequest, plan: RerankPlan, *, offset: int, size: int
    ) -> Page:
        """Hits `offset` to `offset + size` of the request, best first; ties in the order of their ids.

        Raises the errors of the other services, FailedPrecondition FINGERPRINT_MISMATCH, NotFound
        DESIGN_NOT_FOUND, InvalidArgument WEIGHTS_WITHOUT_INPUT, FailedPrecondition CHANNELS_UNAVAILABLE or
        ARTIST_UNKNOWN.
        """
        prepared = await self._prepare(view, request, plan)
        retrievers = prepared.retrievers
        shares = _share_weights(request.weights, retrievers, prepared.unavailable)
        excluded = f"design_id != {literal(request.reference_design_id)}"
        expression = all_of(
            all_of(request.expression, *(one.expression for one in retrievers.values())),
            excluded if request.reference_design_id else "",
        )
        with stage("search"):
            candidates = await retrieve(
                view, retrievers, shares, expression=expression, limit=self._candidates
            )
        ranking = await plan.rerank(candidates, prepared.query, view)
        hits = await self._hits(view, request, prepared, candidates, ranking, offset, size)
        unavailable = dict(prepared.unavailable)
        if ranking.unavailable:
            unavailable[self._reranker.name] = ranking.unavailable
        models = [model for one in retrievers.values() for model in one.models]
        if prepared.query is not None:
            models = [*prepared.query.models, *models]
        return Page(
            hits=hits,
            more=offset + size < len(ranking.designs),
            phrases=_phrases(request, prepared.query),
            palette=_palette(request, prepared.query),
            unavailable=unavailable,
            models=tuple(dict.fromkeys([*models, *ranking.models])),
            pinned=ranking.pinned,
        )

    async def _prepare(self, view: View, request: SearchRequest, plan: RerankPlan) -> _Prepared:
        budget = Budget(view.deadline, _BACKOFF)
        query = asyncio.create_task(self._embed_query(view, request, plan, budget))
        preparation = Preparation(request, view, query, self._crop, self._embed, self._photos, budget)
        unavailable: dict[str, str] = {}

        async def prepare(name: str) -> Retriever | None:
            try:
                return await CHANNELS[name].prepare(preparation)
            except ChannelUnavailable as reason:
                unavailable[name] = str(reason)
                return None

        try:
            found = await together(*(prepare(name) for name in CHANNELS))
            retrievers = {name: one for name, one in zip(CHANNELS, found, strict=True) if one is not None}
            return _Prepared(await query, retrievers, unavailable)
        finally:
            await stop([query])

    async def _embed_query(
        self, view: View, request: SearchRequest, plan: RerankPlan, budget: Budget
    ) -> EmbeddedQuery | None:
        """The request's vector; colours alone are put into words, which is what the encoder reads."""
        text = request.text or ", ".join(colour.name.replace("_", " ") for colour in request.palette)
        if not text:
            return None
        return await self._embed.embed_query(
            text,
            request.palette,
            request.context,
            budget,
            expected_fingerprint=view.version.space.fingerprint,
            include_tags=plan.include_tags and bool(request.text),
        )

    async def _hits(
        self,
        view: View,
        request: SearchRequest,
        prepared: _Prepared,
        candidates: ScoredCandidates,
        ranking: Ranking,
        offset: int,
        size: int,
    ) -> list[Hit]:
        shown = ranking.designs[offset : offset + size]
        with stage("read"):
            rows = await view.read([one.design_id for one in shown], FULL_FIELDS)
        # Some may have been deleted since they were scored.
        present = [(one, rows[one.design_id]) for one in shown if one.design_id in rows]
        shares = candidates.scaled_shares(1.0 - ranking.weight)
        phrases, palette = _phrases(request, prepared.query), _palette(request, prepared.query)
        hit = partial(self._hit, candidates, shares, phrases)

        def explain() -> list[Hit]:
            colours = match_colours(palette, [row for _, row in present])
            return [hit(one, row, near) for (one, row), near in zip(present, colours, strict=True)]

        with stage("explain"):
            return await self._threads.run(explain)

    def _hit(
        self,
        candidates: ScoredCandidates,
        shares: Mapping[str, float],
        phrases: Sequence[Phrase],
        one: Ranked,
        row: Row,
        colours: Sequence[RequestedColour],
    ) -> Hit:
        score, terms = fuse(candidates.measures[one.design_id], shares, candidates.maps)
        remarks = [remark for term in terms if (remark := CHANNELS[term.channel].explain(term))]
        notes = {}
        if one.term is not None:
            score += one.term.contribution
            terms.append(one.term)
            notes[one.term.channel] = one.note
        explanation = self._explainer.explain(phrases, colours, row, remarks, decision=one.explanation)
        return Hit(row, score, terms, explanation, notes)


def _phrases(request: SearchRequest, query: EmbeddedQuery | None) -> tuple[Phrase, ...]:
    return query.phrases if query is not None and request.text else ()


def _palette(request: SearchRequest, query: EmbeddedQuery | None) -> tuple[PaletteColour, ...]:
    return request.palette or (() if query is None else query.palette)


def _share_weights(
    weights: Mapping[str, float], retrievers: Mapping[str, Retriever], unavailable: Mapping[str, str]
) -> dict[str, float]:
    """Weights of the channels that take part, summing to 1. Raises when none of them has a weight."""
    shares = share_weights(weights, retrievers)
    if any(shares.values()):
        return shares
    if any(weights.get(channel, 0.0) > 0 for channel in unavailable):
        raise FailedPrecondition(
            "All channels that have a weight are unavailable: "
            + "; ".join(f"{channel}: {reason}" for channel, reason in unavailable.items()),
            reason="CHANNELS_UNAVAILABLE",
            fields=[("weights", "must be positive for a channel that is available")],
        )
    raise invalid_field(
        "WEIGHTS_WITHOUT_INPUT", "weights", "must be positive for a channel that the request has input for"
    )
