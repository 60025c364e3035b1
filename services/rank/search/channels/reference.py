"""Channel `reference`: the look of a photo, or of a stored design ("like this one")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nails.fusion import Logistic, Term
from services.kit.concurrency.together import together
from services.kit.errors import FailedPrecondition, NotFound
from services.rank.catalogue.align import ALIGN
from services.rank.catalogue.filters import literal
from services.rank.catalogue.view import Found
from services.rank.request import ArtistScope
from services.rank.search.channels.base import Channel, Pool, Preparation, Retriever, Scope, exact_cosines
from services.rank.upstream import check_fingerprint

NAME = "reference"


@dataclass(frozen=True, kw_only=True)
class ReferenceRetriever(Retriever):
    """vector: of the reference's crop, in the space "align". expression: of the artist scope."""

    vector: Sequence[float]

    async def candidates(self, scope: Scope) -> list[Found]:
        """The designs whose crops are most alike."""
        return await scope.view.nearest(self.vector, scope.expression, scope.limit, companion=ALIGN.name)

    async def score(self, pool: Pool) -> Mapping[str, float]:
        """Cosines."""
        return await exact_cosines(pool, NAME, self.vector, companion=ALIGN.name)


class ReferenceChannel(Channel):
    """Needs a reference photo or design."""

    name = NAME
    default_weight = 0.3
    # By hand: crops of any two nail photos are much alike, hence the high middle.
    map = Logistic(middle=0.75, width=0.15)

    async def prepare(self, preparation: Preparation) -> ReferenceRetriever | None:
        """The vector of the reference's crop, stored or made now.

        Raises NotFound DESIGN_NOT_FOUND, FailedPrecondition ARTIST_UNKNOWN or FINGERPRINT_MISMATCH, and the
        errors of the other services.
        """
        if preparation.request.reference_design_id:
            return await self._stored(preparation)
        if preparation.request.reference_photo is not None:
            return await self._photographed(preparation)
        return None

    async def _photographed(self, preparation: Preparation) -> ReferenceRetriever:
        photo = preparation.request.reference_photo
        assert photo is not None
        space = ALIGN.space(preparation.view.version.space)
        assert space is not None
        file = await preparation.photos.read(photo, "reference_photo", preparation.view.deadline)
        cropped = await preparation.crop.crop(file.data, "reference_photo", preparation.budget)
        made = await preparation.embed.embed_design(
            file.data,
            preparation.budget,
            crop=cropped.crop,
            places={"photo": "reference_photo", "crop": "reference_photo"},
        )
        check_fingerprint(made.align.fingerprint, space.fingerprint)
        return ReferenceRetriever(vector=made.align.values, models=cropped.models + made.models)

    async def _stored(self, preparation: Preparation) -> ReferenceRetriever:
        view, request = preparation.view, preparation.request
        design_id = request.reference_design_id
        designs, aligned = await together(
            view.read([design_id], ("design_id", "artist_id")),
            view.read([design_id], ("design_id", "vector"), companion=ALIGN.name),
        )
        if design_id not in designs or design_id not in aligned:
            raise NotFound(
                f"There is no design {design_id} in {view.version.version_id}.",
                reason="DESIGN_NOT_FOUND",
                fields=[("reference_design_id", "must be a design of the catalogue version")],
                resource=("design", design_id),
            )
        vector = tuple(float(value) for value in aligned[design_id]["vector"])
        artist = str(designs[design_id]["artist_id"])
        return ReferenceRetriever(
            vector=vector, expression=_artist_expression(artist, request.artist_scope, design_id)
        )

    def explain(self, term: Term) -> str:
        """Where the look is alike."""
        return f"looks like the reference (cosine {term.raw:.2f})" if term.normalised >= 0.5 else ""


def _artist_expression(artist: str, scope: ArtistScope, design_id: str) -> str:
    """The artist scope as an expression. Raises FailedPrecondition ARTIST_UNKNOWN."""
    if scope is ArtistScope.SAME and not artist:
        raise FailedPrecondition(
            f"It is not known who made design {design_id}.",
            reason="ARTIST_UNKNOWN",
            fields=[("artist_scope", "SAME needs a reference design with an artist_id")],
        )
    if scope is ArtistScope.ANY or not artist:
        return ""
    sign = "==" if scope is ArtistScope.SAME else "!="
    return f"artist_id {sign} {literal(artist)}"
