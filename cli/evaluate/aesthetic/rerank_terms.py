"""Relevance and aesthetic score of a search's hits, fetched from the services for labelled requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final

from cli.errors import RequestError
from evaluation.aesthetic.rerank_labels import DEPTH, Pool, Request
from evaluation.aesthetic.rerank_weights import ServedRanking, agrees
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from nails.aesthetic.rerank import AESTHETIC, RELEVANT, RerankStatus
from services.kit.client import call

SMALL: Final = 0.02
"""A weight at which the service reports the aesthetic score of every hit that it scores."""
_PAGE = 100
_IN_FLIGHT = 2


async def fetch_ranking(stub: rank_grpc.RankServiceAsyncStub, request: Request) -> ServedRanking:
    """Fetch the relevance and the aesthetic score of a request's hits.

    Searches twice: at weight 0, for relevance to the last bit, down to the designs that reranking cannot lift
    (nails.aesthetic.rerank: those below RELEVANT of the best) and DEPTH at least; and at a small weight.
    Raises RequestError where the service gave no aesthetic score, LunulaError.
    """
    ids: list[str] = []
    relevance: list[float] = []
    async with aclosing(_hits(stub, request.text, 0.0)) as hits:
        async for hit in hits:
            if len(ids) >= DEPTH and hit.score < RELEVANT * relevance[0]:
                break
            ids.append(hit.design.design_id)
            relevance.append(hit.score)
    aesthetic: dict[str, float] = {}
    async with aclosing(_hits(stub, request.text, SMALL)) as hits:
        async for hit in hits:
            found = [term for term in hit.terms if term.channel == AESTHETIC]
            if not found:
                raise RequestError(
                    f"{request.text!r}: no aesthetic score was given; is the model aesthetic served?"
                )
            if found[0].note in (RerankStatus.IRRELEVANT.value, RerankStatus.BEYOND_HEAD.value):
                break  # these come after all hits that are scored
            if found[0].note == RerankStatus.SCORED.value:
                aesthetic[hit.design.design_id] = found[0].normalised
    return ServedRanking(request.id, tuple(ids), tuple(relevance), tuple(aesthetic.get(name) for name in ids))


async def served_models(stub: rank_grpc.RankServiceAsyncStub, text: str) -> dict[str, str]:
    """Fingerprints of the models that take part in a search, by name; none where the catalogue is empty."""
    request = rank.SearchDesignsRequest(text=text, page_size=1, aesthetic_weight=SMALL)
    response: rank.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=120.0)
    return {model.name: model.fingerprint for model in response.info.models}


async def _hits(
    stub: rank_grpc.RankServiceAsyncStub, text: str, weight: float
) -> AsyncGenerator[rank.Hit, None]:
    """The hits of a request, best first, page after page as far as somebody reads."""
    request = rank.SearchDesignsRequest(text=text, page_size=_PAGE, aesthetic_weight=weight)
    while True:
        response: rank.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=120.0)
        for hit in response.hits:
            yield hit
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token


async def fetch_rankings(
    stub: rank_grpc.RankServiceAsyncStub,
    requests: Sequence[Request],
    on_asked: Callable[[ServedRanking], None],
) -> None:
    """Send all requests. on_asked: called with each answer at once, in the order in which they end."""
    slots = asyncio.Semaphore(_IN_FLIGHT)

    async def one(request: Request) -> None:
        async with slots:
            asked = await fetch_ranking(stub, request)
        on_asked(asked)

    await asyncio.gather(*(one(request) for request in requests))


async def disagreements(
    stub: rank_grpc.RankServiceAsyncStub,
    pool: Pool,
    rankings: Sequence[ServedRanking],
    weights: Sequence[float],
    on_checked: Callable[[], None] = lambda: None,
) -> list[str]:
    """A line for each order of the service that does not follow from its own scores."""
    texts = {request.id: request.text for request in pool.requests}
    found = []
    for asked in rankings:
        for weight in weights:
            request = rank.SearchDesignsRequest(
                text=texts[asked.request], page_size=DEPTH, aesthetic_weight=weight
            )
            response: rank.SearchDesignsResponse = await call(stub.SearchDesigns, request, timeout=60.0)
            served = [hit.design.design_id for hit in response.hits]
            if not agrees(asked, weight, served):
                found.append(f"{asked.request} at weight {weight:g}: {served}")
            on_checked()
    return found
