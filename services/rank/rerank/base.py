"""What reorders the head of a list after the channels have been fused.

A reranker takes a share of the score, its weight; the channels keep the rest. The first page of a search pins
how it was reranked, and later pages are reranked alike or not at all. A reranker never fails a search,
except for invalid input: where it cannot work it leaves the order of relevance and gives the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nails.fusion import Maps, Measures, Term, relevance
from services.kit.models import ModelVersion
from services.rank.catalogue.view import View
from services.rank.request import SearchRequest
from services.rank.upstream import EmbeddedQuery

Pinned = tuple[Any, ...]
"""What later pages need to come in the same order: JSON values that only the reranker reads."""


@dataclass(frozen=True)
class ScoredCandidates:
    """Designs that channels found, with their exact measures.

    measures: by design id. digests: of the designs as they were measured. shares: of the channels, summing to
    1. maps: of the channels.
    """

    measures: Mapping[str, Measures]
    digests: Mapping[str, str]
    shares: Mapping[str, float]
    maps: Maps

    @property
    def ids(self) -> list[str]:
        """All designs."""
        return list(self.measures)

    def scaled_shares(self, part: float) -> dict[str, float]:
        """The shares where the channels have only `part` of the score."""
        return {channel: part * share for channel, share in self.shares.items()}

    def relevances(self, part: float = 1.0) -> list[float]:
        """What the channels contribute to the score of each design, in the order of `ids`."""
        shares = self.scaled_shares(part)
        return [relevance(measures, shares, self.maps) for measures in self.measures.values()]


@dataclass(frozen=True)
class Ranked:
    """A design of the list.

    term: the reranker's; None where it had no part. note: why the term is what it is, for people.
    explanation: what the reranker decided, "" where nothing.
    """

    design_id: str
    term: Term | None = None
    note: str = ""
    explanation: str = ""


@dataclass(frozen=True)
class Ranking:
    """The whole list, best first.

    weight: the reranker's share of the score. unavailable: why it is 0 although the reranker was wanted;
    else "". models: that took part.
    """

    designs: Sequence[Ranked]
    weight: float
    pinned: Pinned
    unavailable: str = ""
    models: tuple[ModelVersion, ...] = ()


class RerankPlan(Protocol):
    """How one request is reranked."""

    @property
    def include_tags(self) -> bool:
        """Whether vectors of what the request is about are wanted (`EmbeddedQuery.tags`)."""
        ...

    async def rerank(self, candidates: ScoredCandidates, query: EmbeddedQuery | None, view: View) -> Ranking:
        """All candidates in their new order. Raises InvalidArgument for invalid input."""
        ...


class Reranker(Protocol):
    """One way to rerank."""

    @property
    def name(self) -> str:
        """Of its term, and among the unavailable channels."""
        ...

    def plan(self, request: SearchRequest, pinned: Pinned | None, *, first_page: bool) -> RerankPlan:
        """How the request is reranked. pinned: of the first page, None on it.

        Raises ValueError for a `pinned` that this reranker never made.
        """
        ...

    async def embed_options(self) -> Mapping[str, Any]:
        """Options of `EmbedClient.embed_design` that make what this reranker reads of stored designs."""
        ...
