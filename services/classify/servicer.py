"""ClassifyService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from lunula.classify.v1 import classify_service_pb2 as pb
from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from services.classify.enrolment.enrol import build_record, check_enrollable
from services.classify.enrolment.listing import ListedArtist, list_page
from services.classify.enrolment.store import EnrolmentStore
from services.classify.features.extractor import FeatureExtractor, WorkFeatures
from services.classify.features.references import References
from services.classify.identify.identifier import Identification, Identifier
from services.classify.messages import artist_message, identification_item, read_origin, read_work
from services.classify.validation import check_artist_id, check_work_ids, read_page_size, read_top_k
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.kit.concurrency.lazy import Lazy
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import LunulaError
from services.kit.models import ModelVersion
from services.kit.scope import current_deadline
from services.kit.server import Service
from services.kit.telemetry.timings import collect, stage
from services.kit.wire.response_info import response_info


@dataclass(frozen=True)
class ClassifyParts:
    """What is made from the models' metadata.

    space: fingerprint of the vectors that are made, "" where no artist can be enrolled. dim: numbers of an
    image embedding. models: named in every response.
    """

    extractor: FeatureExtractor
    identifier: Identifier
    references: References | None
    space: str
    dim: int
    models: tuple[ModelVersion, ...]


class ClassifyServicer(pb_grpc.ClassifyServiceServicer):
    """Translates between the contract and the packages beside it."""

    def __init__(
        self,
        parts: Lazy[ClassifyParts],
        enrolment: EnrolmentStore,
        *,
        threads: WorkThreads,
        works_per_call: int,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """threads: for comparisons. works_per_call: of one call in progress at once. now_s: Unix time."""
        self._parts = parts
        self._enrolment = enrolment
        self._threads = threads
        self._works_per_call = works_per_call
        self._now_s = now_s

    def service(self, ready: Callable[[], Awaitable[bool]]) -> Service:
        """What a server is given; `ready` is its readiness check."""
        return Service(
            pb.DESCRIPTOR.services_by_name["ClassifyService"].full_name,
            lambda server: pb_grpc.add_ClassifyServiceServicer_to_server(self, server),
            ready,
        )

    async def IdentifyArtists(
        self, request: pb.IdentifyArtistsRequest, context: Any
    ) -> pb.IdentifyArtistsResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.works), "works")
        top_k = read_top_k(request.top_k)
        parts, deadline = await self._parts.get(), current_deadline()
        identify = partial(self._identify, parts, top_k=top_k, deadline=deadline)

        async def work(index: int, item: pb.Work) -> Identification:
            return await identify(item, f"works[{index}]")

        outcomes = await run_batch(request.works, work, concurrency=self._works_per_call, deadline=deadline)
        return pb.IdentifyArtistsResponse(
            items=[identification_item(outcome) for outcome in outcomes], info=response_info(parts.models)
        )

    async def StreamIdentifyArtists(
        self, request_iterator: AsyncIterator[pb.StreamIdentifyArtistsRequest], context: Any
    ) -> AsyncIterator[pb.StreamIdentifyArtistsResponse]:
        """See the contract."""
        del context
        answer = partial(self._answer, await self._parts.get(), current_deadline())
        answers = run_stream(request_iterator, answer, concurrency=self._works_per_call)
        async with aclosing(answers):
            async for response in answers:
                yield response

    async def EnrolArtist(self, request: pb.EnrolArtistRequest, context: Any) -> pb.EnrolArtistResponse:
        """See the contract."""
        del context
        check_artist_id(request.artist_id)
        check_batch_size(len(request.works), "works")
        check_work_ids([work.work_id for work in request.works])
        parts, deadline = await self._parts.get(), current_deadline()
        check_enrollable(request.artist_id, parts.identifier.artists, parts.references)
        self._enrolment.check_room(request.artist_id)

        async def work(index: int, item: pb.Work) -> WorkFeatures:
            return await parts.extractor.extract(read_work(item, f"works[{index}]"), deadline)

        works = []
        for outcome in await run_batch(
            request.works, work, concurrency=self._works_per_call, deadline=deadline
        ):
            if isinstance(outcome, LunulaError):
                raise outcome
            works.append(outcome)
        deadline.check("enrolling the artist")
        record = build_record(
            request.artist_id,
            works,
            [item.work_id for item in request.works],
            space=parts.space,
            dim=parts.dim,
            now_ms=round(1000 * self._now_s()),
        )
        replaced = await self._enrolment.put(record)
        return pb.EnrolArtistResponse(
            artist=artist_message(ListedArtist(record.artist, record), parts.space),
            replaced=replaced,
            info=response_info(parts.models),
        )

    async def RemoveEnrolledArtist(
        self, request: pb.RemoveEnrolledArtistRequest, context: Any
    ) -> pb.RemoveEnrolledArtistResponse:
        """See the contract."""
        del context
        check_artist_id(request.artist_id)
        await self._enrolment.remove(request.artist_id)
        return pb.RemoveEnrolledArtistResponse(info=response_info())

    async def ListArtists(self, request: pb.ListArtistsRequest, context: Any) -> pb.ListArtistsResponse:
        """See the contract."""
        del context
        size, origin = read_page_size(request.page_size), read_origin(request.origin)
        parts = await self._parts.get()
        page = list_page(
            parts.identifier.artists,
            self._enrolment.kept,
            origin=origin,
            token=request.page_token,
            size=size,
        )
        return pb.ListArtistsResponse(
            artists=[artist_message(artist, parts.space) for artist in page.artists],
            next_page_token=page.token,
            total_size=page.total,
            info=response_info(parts.models),
        )

    async def _identify(
        self, parts: ClassifyParts, work: pb.Work, field: str, *, top_k: int, deadline: Deadline
    ) -> Identification:
        # Taken before the work is read: an artist who is enrolled meanwhile is in the next answer.
        gallery = self._enrolment.gallery(parts.space)
        features = await parts.extractor.extract(read_work(work, field), deadline)
        deadline.check("comparing the work with the artists")
        with stage("compare"):
            return await self._threads.run(parts.identifier.identify, features, gallery, top_k)

    async def _answer(
        self, parts: ClassifyParts, deadline: Deadline, request: pb.StreamIdentifyArtistsRequest
    ) -> pb.StreamIdentifyArtistsResponse:
        async def work() -> Identification:
            top_k = read_top_k(request.top_k)
            return await self._identify(parts, request.work, "work", top_k=top_k, deadline=deadline)

        with collect():
            item = identification_item(await settle(work()))
            return pb.StreamIdentifyArtistsResponse(
                item_id=request.item_id, item=item, info=response_info(parts.models)
            )
