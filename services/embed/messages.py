"""Messages of EmbedService to plain objects and back; each error names the field that is wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.type.v1 import vector_pb2
from nails.aesthetic.tokens import BITS, GRIDS, Packing
from services.embed.designs import DesignSources, DesignVectors
from services.embed.queries import Request, RequestVectors
from services.embed.spaces import ALIGN, DESIGN, TEXT, Spaces
from services.intake.messages import palette_message, read_palette, read_photo
from services.intake.texts import MAX_CONTEXT, check_text
from services.kit.errors import InvalidArgument, LunulaError
from services.kit.wire.errors import to_item_error


def read_design(design: pb.DesignInput, field: str, packing: Packing | None) -> DesignSources:
    """A design. field: its path in the request. packing: of the image tokens to make beside the vectors.

    Raises InvalidArgument TEXT_TOO_LONG; the photos are checked where they are decoded.
    """
    check_text(design.text, f"{field}.text")
    check_text(design.context, f"{field}.context", max_characters=MAX_CONTEXT)
    return DesignSources(
        photo=read_photo(design.photo, f"{field}.photo"),
        crop=read_photo(design.crop, f"{field}.crop") if design.HasField("crop") else None,
        text=design.text,
        context=design.context,
        packing=packing,
    )


def read_query(query: pb.QueryInput, field: str) -> Request:
    """A request. Raises InvalidArgument TEXT_EMPTY or TEXT_TOO_LONG, and what `read_palette` raises."""
    check_text(query.text, f"{field}.text", required=True)
    check_text(query.context, f"{field}.context", max_characters=MAX_CONTEXT)
    return Request(
        text=query.text,
        palette=read_palette(query.palette, f"{field}.palette"),
        context=query.context,
        include_tags=query.include_tags,
    )


def read_packing(request: pb.EmbedDesignsRequest | pb.StreamEmbedDesignsRequest) -> Packing | None:
    """The packing of the image tokens that the caller wants; None for a caller who wants none.

    Raises InvalidArgument TOKEN_PACKING_INVALID.
    """
    if not request.HasField("token_packing"):
        return None
    packing = request.token_packing
    try:
        return Packing.of({"grid": str(packing.grid), "bits": str(packing.bits)})
    except ValueError:
        description = f"must have a grid of {GRIDS} and bits of {BITS}, has {packing.grid} and {packing.bits}"
        raise InvalidArgument(
            description, reason="TOKEN_PACKING_INVALID", fields=[("token_packing", description)]
        ) from None


def design_item(outcome: DesignVectors | LunulaError, spaces: Spaces) -> pb.EmbedDesignsItem:
    """The message of a design's vectors or error."""
    if isinstance(outcome, LunulaError):
        return pb.EmbedDesignsItem(error=to_item_error(outcome))
    embedding = pb.DesignEmbedding(
        design=_vector(DESIGN, outcome.design, spaces.design),
        align=_vector(ALIGN, outcome.align, spaces.align),
    )
    if outcome.tokens is not None and outcome.photo_align is not None:
        packing = outcome.tokens.packing
        embedding.tokens.CopyFrom(
            pb.ImageTokens(
                data=outcome.tokens.data,
                packing=pb.TokenPacking(grid=packing.grid, bits=packing.bits),
                dims=outcome.tokens.dims,
                fingerprint=spaces.tokens(packing),
            )
        )
        embedding.photo_align.CopyFrom(_vector(ALIGN, outcome.photo_align, spaces.align))
    return pb.EmbedDesignsItem(embedding=embedding)


def query_item(outcome: RequestVectors | LunulaError, spaces: Spaces) -> pb.EmbedQueriesItem:
    """The message of a request's vectors or error."""
    if isinstance(outcome, LunulaError):
        return pb.EmbedQueriesItem(error=to_item_error(outcome))
    phrases = [
        pb.Phrase(kind=phrase.kind, text=phrase.text, name=phrase.name, negated=phrase.negated)
        for phrase in outcome.phrases
    ]
    return pb.EmbedQueriesItem(
        embedding=pb.QueryEmbedding(
            design=_vector(DESIGN, outcome.design, spaces.design),
            text=_vector(TEXT, outcome.text, spaces.text),
            mdd=outcome.mdd,
            nnp=outcome.nnp,
            phrases=phrases,
            palette=palette_message(outcome.palette),
            tags=[
                pb.TagEmbedding(words=words, vector=_vector(TEXT, values, spaces.text))
                for words, values in outcome.tags
            ],
        )
    )


def text_item(outcome: NDArray[np.float32] | LunulaError, spaces: Spaces) -> pb.EmbedTextsItem:
    """The message of a sentence's vector or error."""
    if isinstance(outcome, LunulaError):
        return pb.EmbedTextsItem(error=to_item_error(outcome))
    return pb.EmbedTextsItem(vector=_vector(TEXT, outcome, spaces.text))


def _vector(space: str, values: NDArray[np.float32], fingerprint: str) -> vector_pb2.Vector:
    return vector_pb2.Vector(space=space, values=values.tolist(), fingerprint=fingerprint)
