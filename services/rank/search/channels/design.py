"""Channel `design`: the fused vector of a design against that of the request (paper N)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nails.fusion import Logistic
from services.rank.catalogue.view import Found
from services.rank.search.channels.base import Channel, Pool, Preparation, Retriever, Scope, exact_cosines
from services.rank.upstream import check_fingerprint

NAME = "design"


@dataclass(frozen=True, kw_only=True)
class DesignRetriever(Retriever):
    """vector: of the request, in the space "design"."""

    vector: Sequence[float]
    fields: tuple[str, ...] = ("vector",)

    async def candidates(self, scope: Scope) -> list[Found]:
        """The nearest vectors."""
        return await scope.view.nearest(self.vector, scope.expression, scope.limit, fields=scope.fields)

    async def score(self, pool: Pool) -> Mapping[str, float]:
        """Cosines."""
        return await exact_cosines(pool, NAME, self.vector)


class DesignChannel(Channel):
    """Needs words or colours, which EmbedService makes a vector of."""

    name = NAME
    # Chosen by `lunula eval channels --data BENCH` (docs/search.md) on the 400 validation photos of
    # `lunula data synth --kind designs --splits train=8625,val=400,test=1600 --seed 41 --size 512`, half of
    # them described, in 800 searches. MRR 51.5 -> 52.6 % on held-out requests (95 % of
    # bootstraps +0.2 to +2.0), with the models trained on that folder. The same holds for the weights and
    # maps of `description` and `palette`. To be chosen again with every new set of models.
    default_weight = 0.7
    map = Logistic(middle=0.75, width=0.15)

    async def prepare(self, preparation: Preparation) -> DesignRetriever | None:
        """Raises FailedPrecondition FINGERPRINT_MISMATCH."""
        query = await preparation.query
        if query is None or not query.design.values:
            return None
        check_fingerprint(query.design.fingerprint, preparation.view.version.space.fingerprint)
        return DesignRetriever(vector=query.design.values)
