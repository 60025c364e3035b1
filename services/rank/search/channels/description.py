"""Channel `description`: words of the request in title, description and tags (BM25)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nails.fusion import Saturating
from nails.language.words import split_words
from services.rank.catalogue.filters import id_expression
from services.rank.catalogue.view import Found
from services.rank.search.channels.base import (
    Channel,
    ChannelUnavailable,
    Pool,
    Preparation,
    Retriever,
    Scope,
)

NAME = "description"


@dataclass(frozen=True, kw_only=True)
class DescriptionRetriever(Retriever):
    """text: with at least one word."""

    text: str

    async def candidates(self, scope: Scope) -> list[Found]:
        """The designs whose words match best."""
        return await scope.view.match_words(self.text, scope.expression, scope.limit, fields=scope.fields)

    async def score(self, pool: Pool) -> Mapping[str, float]:
        """BM25 scores; 0 without a common word, which is a measure too."""
        found = pool.found[NAME]
        scores = {one.design_id: one.raw for one in found}
        missing = [design_id for design_id in pool.ids if design_id not in scores]
        # A list that is not full has every design with a common word: the others have none.
        if missing and len(found) >= pool.limit:
            rest = await pool.view.match_words(self.text, id_expression(missing), len(missing))
            scores |= {one.design_id: one.raw for one in rest}
        return {design_id: scores.get(design_id, 0.0) for design_id in pool.ids}


class DescriptionChannel(Channel):
    """Needs a text with words, and a Milvus with full-text search."""

    name = NAME
    default_weight = 0.05
    map = Saturating(half=24.0)

    async def prepare(self, preparation: Preparation) -> DescriptionRetriever | None:
        """Raises ChannelUnavailable."""
        text = preparation.request.text
        if not split_words(text):
            return None
        can = await preparation.view.capabilities()
        if not can.bm25:
            raise ChannelUnavailable(f"{can.product} {can.version} has no full-text search")
        return DescriptionRetriever(text=text)
