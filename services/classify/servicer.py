"""ClassifyService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from lunula.type.v1 import response_info_pb2
from services.classify.identify import Identified, Identifier, WorkSources
from services.classify.validate import check_work, read_top_k
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.intake.late import Late
from services.intake.photos import PhotoSource
from services.kit.deadline import Deadline
from services.kit.errors import LunulaError, to_item_error
from services.kit.scope import current_deadline, response_info
from services.kit.timings import collect


@dataclass(frozen=True)
class ClassifyParts:
    """What needs the model server's answer before it can be made. models: named in every response."""

    identifier: Identifier
    models: tuple[response_info_pb2.ModelVersion, ...]


class ClassifyServicer(pb_grpc.ClassifyServiceServicer):
    """Translates between the contract and `Identifier`."""

    def __init__(self, parts: Late[ClassifyParts], *, works_per_call: int) -> None:
        """works_per_call: works of one call worked on at once."""
        self._parts = parts
        self._works_per_call = works_per_call

    async def IdentifyArtists(
        self, request: pb.IdentifyArtistsRequest, context: Any
    ) -> pb.IdentifyArtistsResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.works), "works")
        top_k = read_top_k(request.top_k)
        parts, deadline = await self._parts.get(), current_deadline()

        async def work(index: int, item: pb.Work) -> Identified:
            return await _identify(parts, item, f"works[{index}]", top_k, deadline)

        outcomes = await run_batch(request.works, work, concurrency=self._works_per_call, deadline=deadline)
        return pb.IdentifyArtistsResponse(
            items=[to_item(outcome) for outcome in outcomes], info=response_info(parts.models)
        )

    async def StreamIdentifyArtists(
        self, request_iterator: AsyncIterator[pb.StreamIdentifyArtistsRequest], context: Any
    ) -> AsyncIterator[pb.StreamIdentifyArtistsResponse]:
        """See the contract."""
        del context
        answer = partial(_answer, await self._parts.get(), current_deadline())
        answers = run_stream(request_iterator, answer, concurrency=self._works_per_call)
        async with aclosing(answers):
            async for response in answers:
                yield response


async def _answer(
    parts: ClassifyParts, deadline: Deadline, request: pb.StreamIdentifyArtistsRequest
) -> pb.StreamIdentifyArtistsResponse:
    async def work() -> Identified:
        return await _identify(parts, request.work, "work", read_top_k(request.top_k), deadline)

    with collect():
        item = to_item(await settle(work()))
        return pb.StreamIdentifyArtistsResponse(
            item_id=request.item_id, item=item, info=response_info(parts.models)
        )


async def _identify(
    parts: ClassifyParts, work: pb.Work, field: str, top_k: int, deadline: Deadline
) -> Identified:
    check_work(work, field)
    sources = WorkSources(
        field=field,
        photo=PhotoSource.of(work.photo, f"{field}.photo") if work.HasField("photo") else None,
        text="\n".join(part for part in (work.title, work.description) if part.strip()),
    )
    return await parts.identifier.identify(sources, top_k, deadline)


def to_item(outcome: Identified | LunulaError) -> pb.IdentifyArtistsItem:
    """The message of a result or an error."""
    if isinstance(outcome, LunulaError):
        return pb.IdentifyArtistsItem(error=to_item_error(outcome))
    modalities = [
        modality
        for modality, used in (
            (pb.MODALITY_IMAGE, outcome.by_image),
            (pb.MODALITY_TEXT, outcome.by_text),
        )
        if used
    ]
    candidates = [
        pb.ArtistCandidate(
            artist_id=candidate.artist,
            probability=candidate.probability,
            image_probability=candidate.image,
            text_probability=candidate.text,
        )
        for candidate in outcome.candidates
    ]
    return pb.IdentifyArtistsItem(
        identification=pb.Identification(
            candidates=candidates, unknown_probability=outcome.unknown, modalities=modalities
        )
    )
