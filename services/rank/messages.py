"""Messages of a search to domain objects and back."""

from __future__ import annotations

from collections.abc import Mapping

from lunula.rank.v1 import rank_service_pb2 as pb
from services.intake.texts import MAX_CONTEXT, check_text
from services.kit.errors import LunulaError
from services.kit.wire.errors import to_item_error
from services.rank.catalogue.filters import expression
from services.rank.rerank.photo_scoring import PhotoScore
from services.rank.search.pipeline import Hit, Request
from services.rank.validation import (
    check_design_id,
    read_aesthetic_weight,
    read_palette,
    read_tags,
    read_weights,
    wrong,
)


def read_search(
    request: pb.SearchDesignsRequest, default_weights: Mapping[str, float], default_aesthetic_weight: float
) -> Request:
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
        aesthetic_weight=(
            read_aesthetic_weight(request.aesthetic_weight)
            if request.HasField("aesthetic_weight")
            else default_aesthetic_weight
        ),
        aesthetic_tags=read_tags(request.aesthetic_tags, "aesthetic_tags"),
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
                note=hit.notes.get(term.channel, ""),
            )
            for term in hit.terms
        ],
        explanation=hit.explanation,
    )


def score_item(outcome: PhotoScore | LunulaError) -> pb.ScoreAestheticsItem:
    """The message of a photo's score or error."""
    if isinstance(outcome, LunulaError):
        return pb.ScoreAestheticsItem(error=to_item_error(outcome))
    return pb.ScoreAestheticsItem(
        result=pb.AestheticScore(
            score=outcome.score,
            distribution=outcome.distribution,
            normalised=outcome.beauty,
            tags_used=outcome.words,
            tag_alignment=outcome.alignment,
            auto_tags=[
                pb.AutoTag(kind=tag.kind, name=tag.name, cosine=cosine) for tag, cosine in outcome.found
            ],
        )
    )
