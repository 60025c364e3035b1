"""Messages of a search to domain objects and back."""

from __future__ import annotations

from collections.abc import Mapping

from lunula.rank.v1 import rank_service_pb2 as pb
from services.intake.texts import MAX_CONTEXT, check_text
from services.rank.filters import expression
from services.rank.search import Hit, Request
from services.rank.validation import check_design_id, read_palette, read_weights, wrong


def read_search(request: pb.SearchDesignsRequest, default_weights: Mapping[str, float]) -> Request:
    """A validated request. Raises InvalidArgument with the path of the field that is wrong."""
    check_text(request.text, "text")
    check_text(request.context, "context", max_characters=MAX_CONTEXT)
    text = request.text if request.text.strip() else ""
    palette = tuple(read_palette(request.palette))
    reference = request.WhichOneof("reference")
    if not text and not palette and reference is None:
        raise wrong("REQUEST_EMPTY", "text", "or palette or a reference must be given")
    if reference == "reference_design_id":
        check_design_id(request.reference_design_id, "reference_design_id")
    if request.artist_scope not in pb.ArtistScope.values():
        raise wrong("ARTIST_SCOPE_INVALID", "artist_scope", "must be SAME or OTHERS, or be left out")
    if request.artist_scope and reference != "reference_design_id":
        raise wrong("ARTIST_SCOPE_WITHOUT_DESIGN", "artist_scope", "needs a reference_design_id")
    weights = read_weights(request.weights) if request.HasField("weights") else default_weights
    return Request(
        text=text,
        palette=palette,
        reference_photo=request.reference_photo if reference == "reference_photo" else None,
        reference_design_id=request.reference_design_id,
        context=request.context,
        expression=expression(request.filters),
        weights=weights,
        artist_scope=request.artist_scope,
    )


def hit_message(hit: Hit, design: pb.Design) -> pb.Hit:
    """The message of a hit on `design`."""
    return pb.Hit(
        design=design,
        score=hit.score,
        terms=[
            pb.ScoreTerm(
                channel=term.channel,
                raw=term.raw,
                normalised=term.normalised,
                weight=term.weight,
                contribution=term.contribution,
            )
            for term in hit.terms
        ],
        explanation=hit.explanation,
    )
