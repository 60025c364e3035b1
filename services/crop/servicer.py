"""CropService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from services.crop.messages import check_response_size, crop_item, read_options
from services.crop.pipeline import CropPipeline
from services.crop.results import CropOptions, CroppedPhoto
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.intake.messages import read_photo
from services.kit.concurrency.lazy import Lazy
from services.kit.deadline import Deadline
from services.kit.models import ModelVersion
from services.kit.scope import current_deadline
from services.kit.server import Service
from services.kit.telemetry.timings import collect
from services.kit.wire.response_info import response_info


@dataclass(frozen=True)
class CropParts:
    """What is made from the models' metadata. models: named in every response."""

    pipeline: CropPipeline
    models: tuple[ModelVersion, ...]


class CropServicer(pb_grpc.CropServiceServicer):
    """Translates between the contract and `CropPipeline`."""

    def __init__(
        self,
        parts: Lazy[CropParts],
        *,
        min_nail_score: float,
        photos_per_call: int,
        max_message_bytes: int,
    ) -> None:
        """min_nail_score: where the caller gives none. photos_per_call: of one call, in progress at once."""
        self._max_message_bytes = max_message_bytes
        self._parts = parts
        self._min_nail_score = min_nail_score
        self._photos_per_call = photos_per_call

    def service(self, ready: Callable[[], Awaitable[bool]]) -> Service:
        """What a server is given; `ready` is its readiness check."""
        return Service(
            pb.DESCRIPTOR.services_by_name["CropService"].full_name,
            lambda server: pb_grpc.add_CropServiceServicer_to_server(self, server),
            ready,
        )

    async def CropImages(self, request: pb.CropImagesRequest, context: Any) -> pb.CropImagesResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.photos), "photos")
        options = self._options(request.options)
        check_response_size(len(request.photos), options, self._max_message_bytes)
        parts, deadline = await self._parts.get(), current_deadline()

        async def work(index: int, photo: photo_pb2.Photo) -> CroppedPhoto:
            source = read_photo(photo, f"photos[{index}]")
            return await parts.pipeline.crop(source, options, deadline)

        outcomes = await run_batch(request.photos, work, concurrency=self._photos_per_call, deadline=deadline)
        return pb.CropImagesResponse(
            items=[crop_item(outcome) for outcome in outcomes], info=response_info(parts.models)
        )

    async def StreamCrops(
        self, request_iterator: AsyncIterator[pb.StreamCropsRequest], context: Any
    ) -> AsyncIterator[pb.StreamCropsResponse]:
        """See the contract."""
        del context
        answer = partial(self._answer, await self._parts.get(), current_deadline())
        answers = run_stream(request_iterator, answer, concurrency=self._photos_per_call)
        async with aclosing(answers):
            async for response in answers:
                yield response

    async def _answer(
        self, parts: CropParts, deadline: Deadline, request: pb.StreamCropsRequest
    ) -> pb.StreamCropsResponse:
        async def work() -> CroppedPhoto:
            options = self._options(request.options)
            return await parts.pipeline.crop(read_photo(request.photo, "photo"), options, deadline)

        with collect():
            item = crop_item(await settle(work()))
            return pb.StreamCropsResponse(
                item_id=request.item_id, item=item, info=response_info(parts.models)
            )

    def _options(self, options: pb.CropOptions) -> CropOptions:
        return read_options(options, default_min_score=self._min_nail_score)
