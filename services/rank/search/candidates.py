"""Candidate retrieval and exact score completion.

Each channel returns its best designs; then every channel scores all of them exactly: cosines from the stored
vectors, BM25 by a search among just those designs, palettes from the stored colours. So a hit's terms do not
depend on which channel found it.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.concurrency.together import together
from services.rank.catalogue.rows import LIGHT_FIELDS
from services.rank.catalogue.view import Found, View
from services.rank.rerank.base import ScoredCandidates
from services.rank.search.channels import MAPS
from services.rank.search.channels.base import Pool, Retriever, Scope


async def retrieve(
    view: View,
    retrievers: Mapping[str, Retriever],
    shares: Mapping[str, float],
    *,
    expression: str,
    limit: int,
) -> ScoredCandidates:
    """The candidates of all channels, at most `limit` of each, with their exact measures.

    retrievers: by channel. shares: of the channels, summing to 1. expression: that every candidate meets.
    """

    async def candidates(name: str, retriever: Retriever) -> list[Found]:
        wanted = {field for other, one in retrievers.items() if other != name for field in one.fields}
        fields = (*LIGHT_FIELDS, *sorted(wanted))
        return await retriever.candidates(Scope(view, expression, limit, fields))

    found = await together(*(candidates(*one) for one in retrievers.items()))
    pool = Pool(view, dict(zip(retrievers, found, strict=True)), limit)
    if not pool.ids:
        return ScoredCandidates({}, {}, shares, MAPS)
    rows, scores = await together(
        pool.all_rows(), together(*(retriever.score(pool) for retriever in retrievers.values()))
    )
    by_channel = dict(zip(retrievers, scores, strict=True))
    ids = [design_id for design_id in pool.ids if design_id in rows]
    measures = {
        design_id: {channel: by_channel[channel].get(design_id) for channel in retrievers}
        for design_id in ids
    }
    digests = {design_id: str(rows[design_id]["digest"]) for design_id in ids}
    return ScoredCandidates(measures, digests, shares, MAPS)
