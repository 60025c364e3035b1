"""EmbedService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.embed.v1 import embed_service_pb2_grpc as pb_grpc
from services.embed.designs import DesignPipeline, DesignVectors
from services.embed.messages import design_item, query_item, read_design, read_packing, read_query, text_item
from services.embed.queries import QueryPipeline, RequestVectors
from services.embed.spaces import Spaces
from services.embed.text_encoder import TextEncoder
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.intake.texts import check_text
from services.kit.concurrency.lazy import Lazy
from services.kit.deadline import Deadline
from services.kit.models import ModelVersion
from services.kit.scope import current_deadline
from services.kit.server import Service
from services.kit.telemetry.timings import collect
from services.kit.wire.response_info import response_info


@dataclass(frozen=True)
class EmbedParts:
    """What is made from the models' metadata. models: named in every response."""

    designs: DesignPipeline
    queries: QueryPipeline
    encoder: TextEncoder
    spaces: Spaces
    models: tuple[ModelVersion, ...]


class EmbedServicer(pb_grpc.EmbedServiceServicer):
    """Translates between the contract and the two pipelines."""

    def __init__(self, parts: Lazy[EmbedParts], *, photos_per_call: int, queries_per_call: int) -> None:
        """photos_per_call, queries_per_call: items of one call in progress at once."""
        self._parts = parts
        self._photos_per_call = photos_per_call
        self._queries_per_call = queries_per_call

    def service(self, ready: Callable[[], Awaitable[bool]]) -> Service:
        """What a server is given; `ready` is its readiness check."""
        return Service(
            pb.DESCRIPTOR.services_by_name["EmbedService"].full_name,
            lambda server: pb_grpc.add_EmbedServiceServicer_to_server(self, server),
            ready,
        )

    async def EmbedDesigns(self, request: pb.EmbedDesignsRequest, context: Any) -> pb.EmbedDesignsResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.designs), "designs")
        parts, deadline = await self._parts.get(), current_deadline()
        parts.spaces.check_expected(request.expected_fingerprint, "expected_fingerprint")
        packing = read_packing(request)

        async def work(index: int, design: pb.DesignInput) -> DesignVectors:
            return await parts.designs.embed(read_design(design, f"designs[{index}]", packing), deadline)

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
            return await parts.queries.embed(read_query(query, field), deadline)

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
        design = read_design(request.design, "design", read_packing(request))
        return await parts.designs.embed(design, deadline)

    with collect():
        outcome = await settle(work())
        return pb.StreamEmbedDesignsResponse(
            item_id=request.item_id,
            item=design_item(outcome, parts.spaces),
            info=response_info(parts.models),
        )
