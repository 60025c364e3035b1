"""RankService's messages to plain values and back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from nails.fusion import Term
from services.intake.messages import palette_message, read_palette
from services.intake.texts import MAX_CONTEXT, check_text
from services.kit.errors import LunulaError, invalid_field
from services.kit.wire.errors import to_item_error
from services.rank.catalogue.filters import Filter, Operator, expression
from services.rank.catalogue.rows import DesignText, read_crop_box, read_row_palette, read_text
from services.rank.catalogue.tokens import TOKENS
from services.rank.catalogue.version import Version
from services.rank.catalogue.view import Row
from services.rank.ingest.pipeline import IndexOutcome
from services.rank.photos.store import PhotoInput
from services.rank.request import ArtistScope, SearchRequest
from services.rank.rerank.photo_scoring import PhotoScore
from services.rank.search.pipeline import Hit, Page
from services.rank.validation import (
    check_aesthetic_weight,
    check_design,
    check_design_id,
    check_tags,
    check_weights,
)

_OPERATORS = {
    pb.FILTER_OPERATOR_ANY_OF: Operator.ANY_OF,
    pb.FILTER_OPERATOR_NONE_OF: Operator.NONE_OF,
    pb.FILTER_OPERATOR_ALL_OF: Operator.ALL_OF,
}
_SCOPES = {
    pb.ARTIST_SCOPE_UNSPECIFIED: ArtistScope.ANY,
    pb.ARTIST_SCOPE_SAME: ArtistScope.SAME,
    pb.ARTIST_SCOPE_OTHERS: ArtistScope.OTHERS,
}
_STATES = {
    IndexOutcome.INDEXED: pb.INDEX_STATE_INDEXED,
    IndexOutcome.UNCHANGED: pb.INDEX_STATE_UNCHANGED,
}


def read_search(request: pb.SearchDesignsRequest, default_weights: Mapping[str, float]) -> SearchRequest:
    """A validated request. Raises InvalidArgument with the path of the field that is wrong."""
    check_text(request.text, "text")
    check_text(request.context, "context", max_characters=MAX_CONTEXT)
    text = request.text if request.text.strip() else ""
    palette = read_palette(request.palette, "palette")
    reference = request.WhichOneof("reference")
    if not text and not palette and reference is None:
        raise invalid_field("REQUEST_EMPTY", "text", "or palette or a reference must be given")
    if reference == "reference_design_id":
        check_design_id(request.reference_design_id, "reference_design_id")
    if request.artist_scope not in _SCOPES:
        raise invalid_field("ARTIST_SCOPE_INVALID", "artist_scope", "must be SAME or OTHERS, or be left out")
    if request.artist_scope and reference != "reference_design_id":
        raise invalid_field("ARTIST_SCOPE_WITHOUT_DESIGN", "artist_scope", "needs a reference_design_id")
    weights = default_weights
    if request.HasField("weights"):
        # One field a channel.
        channels = pb.ChannelWeights.DESCRIPTOR.fields_by_name
        weights = check_weights({name: getattr(request.weights, name) for name in channels})
    return SearchRequest(
        text=text,
        palette=palette,
        reference_photo=read_photo(request.reference_photo) if reference == "reference_photo" else None,
        reference_design_id=request.reference_design_id,
        context=request.context,
        expression=read_filters(request.filters),
        weights=weights,
        artist_scope=_SCOPES[request.artist_scope],
        aesthetic_weight=(
            check_aesthetic_weight(request.aesthetic_weight) if request.HasField("aesthetic_weight") else None
        ),
        aesthetic_tags=check_tags(request.aesthetic_tags, "aesthetic_tags"),
    )


def read_filters(filters: Sequence[pb.Filter]) -> str:
    """The expression that they mean. Raises as `catalogue.filters.expression` does."""
    return expression([Filter(one.field, _OPERATORS.get(one.operator), tuple(one.values)) for one in filters])


def read_design(request: pb.IndexDesignsRequest) -> tuple[DesignText, PhotoInput]:
    """What the owner says of a design, validated, and its photo, unread. Raises InvalidArgument."""
    if not request.HasField("design"):
        raise invalid_field("DESIGN_MISSING", "design", "must be set")
    design = request.design
    text = DesignText(
        design_id=design.design_id,
        title=design.title,
        description=design.description,
        artist_id=design.artist_id,
        tags=tuple(design.tags),
        attributes=tuple(sorted(design.attributes.items())),
        context=design.context,
    )
    check_design(text, "design")
    return text, read_photo(design.photo)


def read_photo(photo: photo_pb2.Photo) -> PhotoInput:
    """Its bytes or URI, not looked at."""
    source = photo.WhichOneof("source")
    return PhotoInput(
        data=photo.data if source == "data" else None, uri=photo.uri if source == "uri" else None
    )


def request_digest(request: Message) -> str:
    """Digest of a request without its page token and page size, which may change from page to page."""
    copy = type(request)()
    copy.CopyFrom(request)
    for field in ("page_token", "page_size"):
        copy.ClearField(field)
    content = type(request).DESCRIPTOR.full_name.encode() + copy.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()[:32]


def design_message(row: Row, *, photo_uri: str, photo: bytes | None = None) -> pb.Design:
    """The message of a full row; `photo` only where it was asked for."""
    text = read_text(row)
    design = pb.Design(
        design_id=text.design_id,
        title=text.title,
        description=text.description,
        artist_id=text.artist_id,
        tags=text.tags,
        attributes=dict(text.attributes),
        context=text.context,
        photo_uri=photo_uri,
        palette=palette_message(read_row_palette(row)),
        fingerprint=row["fingerprint"],
    )
    design.index_time.FromMilliseconds(int(row["index_time_ms"]))
    box = read_crop_box(row)
    if box is not None:
        design.crop_box.CopyFrom(photo_pb2.Box(x0=box[0], y0=box[1], x1=box[2], y1=box[3]))
    if photo is not None:
        design.photo.data = photo
    return design


def index_message(
    design_id: str, sequence: int, outcome: IndexOutcome | LunulaError
) -> pb.IndexDesignsResponse:
    """What became of a design."""
    response = pb.IndexDesignsResponse(design_id=design_id, sequence=sequence)
    if isinstance(outcome, LunulaError):
        response.state = pb.INDEX_STATE_FAILED
        response.error.CopyFrom(to_item_error(outcome))
    else:
        response.state = _STATES[outcome]
    return response


def search_message(page: Page, designs: Sequence[pb.Design], version_id: str) -> pb.SearchDesignsResponse:
    """A page. designs: of its hits."""
    return pb.SearchDesignsResponse(
        hits=[_hit_message(hit, design) for hit, design in zip(page.hits, designs, strict=True)],
        version_id=version_id,
        phrases=[
            embed_pb.Phrase(kind=one.kind, text=one.text, name=one.name, negated=one.negated)
            for one in page.phrases
        ],
        palette=palette_message(page.palette),
        unavailable_channels=page.unavailable,
    )


def _hit_message(hit: Hit, design: pb.Design) -> pb.Hit:
    terms = [_term_message(term, hit.notes.get(term.channel, "")) for term in hit.terms]
    return pb.Hit(design=design, score=hit.score, terms=terms, explanation=hit.explanation)


def _term_message(term: Term, note: str) -> pb.ScoreTerm:
    return pb.ScoreTerm(
        channel=term.channel,
        raw=term.raw,
        normalised=term.normalised,
        weight=term.weight,
        contribution=term.contribution,
        note=note,
    )


def score_message(outcome: PhotoScore | LunulaError) -> pb.ScoreAestheticsItem:
    """A photo's score or error."""
    if isinstance(outcome, LunulaError):
        return pb.ScoreAestheticsItem(error=to_item_error(outcome))
    return pb.ScoreAestheticsItem(
        result=pb.AestheticScore(
            score=outcome.score,
            distribution=outcome.distribution,
            normalised=outcome.normalised,
            tags_used=outcome.words,
            tag_alignment=outcome.alignment,
            auto_tags=[
                pb.AutoTag(kind=tag.kind, name=tag.name, cosine=cosine) for tag, cosine in outcome.auto_tags
            ],
        )
    )


def version_message(version: Version, *, live: bool, design_count: int) -> pb.CatalogueVersion:
    """A catalogue version."""
    tokens = TOKENS.space(version.space)
    message = pb.CatalogueVersion(
        version_id=version.version_id,
        live=live,
        design_count=design_count,
        fingerprint=version.space.fingerprint,
        note=version.note,
        token_fingerprint="" if tokens is None else tokens.fingerprint,
    )
    message.create_time.FromMilliseconds(version.create_time_ms)
    return message
