"""EmbedService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.embed.v1 import embed_service_pb2_grpc as pb_grpc
from lunula.type.v1 import vector_pb2
from nails.aesthetic.tokens import Packing
from services.embed.designs import DesignPipeline, DesignSources, DesignVectors
from services.embed.queries import QueryPipeline, Request, RequestVectors
from services.embed.spaces import ALIGN, DESIGN, TEXT, Spaces
from services.embed.text_encoder import TextEncoder
from services.embed.validate import check_design, check_query, read_packing, read_palette
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.intake.palettes import palette_message
from services.intake.photos import PhotoSource
from services.intake.texts import check_text
from services.kit.concurrency.lazy import Lazy
from services.kit.deadline import Deadline
from services.kit.errors import LunulaError
from services.kit.models import ModelVersion
from services.kit.scope import current_deadline
from services.kit.telemetry.timings import collect
from services.kit.wire.errors import to_item_error
from services.kit.wire.response_info import response_info


@dataclass(frozen=True)
class EmbedParts:
    """What needs the model server's answer before it can be made. models: named in every response."""

    designs: DesignPipeline
    queries: QueryPipeline
    encoder: TextEncoder
    spaces: Spaces
    models: tuple[ModelVersion, ...]


class EmbedServicer(pb_grpc.EmbedServiceServicer):
    """Translates between the contract and the two pipelines."""

    def __init__(self, parts: Lazy[EmbedParts], *, photos_per_call: int, queries_per_call: int) -> None:
        """photos_per_call, queries_per_call: items of one call worked on at once."""
        self._parts = parts
        self._photos_per_call = photos_per_call
        self._queries_per_call = queries_per_call

    async def EmbedDesigns(self, request: pb.EmbedDesignsRequest, context: Any) -> pb.EmbedDesignsResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.designs), "designs")
        parts, deadline = await self._parts.get(), current_deadline()
        parts.spaces.check_expected(request.expected_fingerprint, "expected_fingerprint")
        packing = _packing(request)

        async def work(index: int, design: pb.DesignInput) -> DesignVectors:
            return await embed_design(parts, design, f"designs[{index}]", packing, deadline)

        outcomes = await run_batch(
            request.designs, work, concurrency=self._photos_per_call, deadline=deadline
        )
        return pb.EmbedDesignsResponse(
            items=[design_item(outcome, parts.spaces) for outcome in outcomes],
            info=response_info(parts.models),
        )

    async def StreamEmbedDesigns(
        self, request_iterator: AsyncIterator[pb.StreamEmbedDesignsRequest], context: Any
    ) -> AsyncIterator[pb.StreamEmbedDesignsResponse]:
        """See the contract."""
        del context
        answer = partial(_answer, await self._parts.get(), current_deadline())
        answers = run_stream(request_iterator, answer, concurrency=self._photos_per_call)
        async with aclosing(answers):
            async for response in answers:
                yield response

    async def EmbedQueries(self, request: pb.EmbedQueriesRequest, context: Any) -> pb.EmbedQueriesResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.queries), "queries")
        parts, deadline = await self._parts.get(), current_deadline()

        async def work(index: int, query: pb.QueryInput) -> RequestVectors:
            field = f"queries[{index}]"
            parts.spaces.check_expected(query.expected_fingerprint, f"{field}.expected_fingerprint")
            check_query(query, field)
            palette = read_palette(query.palette, f"{field}.palette")
            return await parts.queries.embed(
                Request(
                    text=query.text, palette=palette, context=query.context, include_tags=query.include_tags
                ),
                deadline,
            )

        outcomes = await run_batch(
            request.queries, work, concurrency=self._queries_per_call, deadline=deadline
        )
        return pb.EmbedQueriesResponse(
            items=[query_item(outcome, parts.spaces) for outcome in outcomes],
            info=response_info(parts.models),
        )

    async def EmbedTexts(self, request: pb.EmbedTextsRequest, context: Any) -> pb.EmbedTextsResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.texts), "texts")
        parts, deadline = await self._parts.get(), current_deadline()

        async def work(index: int, text: str) -> NDArray[np.float32]:
            check_text(text, f"texts[{index}]", required=True)
            return np.asarray((await parts.encoder.encode([text], deadline))[0], np.float32)

        outcomes = await run_batch(request.texts, work, concurrency=self._queries_per_call, deadline=deadline)
        return pb.EmbedTextsResponse(
            items=[text_item(outcome, parts.spaces) for outcome in outcomes],
            info=response_info(parts.models),
        )


async def _answer(
    parts: EmbedParts, deadline: Deadline, request: pb.StreamEmbedDesignsRequest
) -> pb.StreamEmbedDesignsResponse:
    async def work() -> DesignVectors:
        return await embed_design(parts, request.design, "design", _packing(request), deadline)

    with collect():
        outcome = await settle(work())
        return pb.StreamEmbedDesignsResponse(
            item_id=request.item_id,
            item=design_item(outcome, parts.spaces),
            info=response_info(parts.models),
        )


def _packing(request: pb.EmbedDesignsRequest | pb.StreamEmbedDesignsRequest) -> Packing | None:
    """Of the tokens that are wanted; None wants none."""
    if not request.HasField("token_packing"):
        return None
    return read_packing(request.token_packing, "token_packing")


async def embed_design(
    parts: EmbedParts, design: pb.DesignInput, field: str, packing: Packing | None, deadline: Deadline
) -> DesignVectors:
    """Checks and embeds the design at path `field` of the request; packing: of tokens that are wanted."""
    check_design(design, field)
    sources = DesignSources(
        photo=PhotoSource.of(design.photo, f"{field}.photo"),
        crop=PhotoSource.of(design.crop, f"{field}.crop") if design.HasField("crop") else None,
        text=design.text,
        context=design.context,
        packing=packing,
    )
    return await parts.designs.embed(sources, deadline)


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
