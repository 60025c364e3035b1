"""CropService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1 import crop_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from nails.perception.quality import Flag
from services.crop.findings import Box, CropOptions, CroppedPhoto, FoundHand, FoundNail, Point
from services.crop.pipeline import CropPipeline
from services.crop.validate import check_answer_size, read_options
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.intake.palettes import palette_message
from services.intake.photos import PhotoSource
from services.kit.concurrency.lazy import Lazy
from services.kit.deadline import Deadline
from services.kit.errors import LunulaError
from services.kit.models import ModelVersion
from services.kit.scope import current_deadline
from services.kit.telemetry.timings import collect
from services.kit.wire.errors import to_item_error
from services.kit.wire.response_info import response_info


@dataclass(frozen=True)
class CropParts:
    """What needs the model server's answer before it can be made. models: named in every response."""

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
        """min_nail_score: where the caller says nothing. photos_per_call: worked on at once for one call."""
        self._max_message_bytes = max_message_bytes
        self._parts = parts
        self._min_nail_score = min_nail_score
        self._photos_per_call = photos_per_call

    async def CropImages(self, request: pb.CropImagesRequest, context: Any) -> pb.CropImagesResponse:
        """See the contract."""
        del context
        check_batch_size(len(request.photos), "photos")
        options = self._options(request.options)
        check_answer_size(len(request.photos), options, self._max_message_bytes)
        parts, deadline = await self._parts.get(), current_deadline()

        async def work(index: int, photo: photo_pb2.Photo) -> CroppedPhoto:
            source = PhotoSource.of(photo, f"photos[{index}]")
            return await parts.pipeline.crop(source, options, deadline)

        outcomes = await run_batch(request.photos, work, concurrency=self._photos_per_call, deadline=deadline)
        return pb.CropImagesResponse(
            items=[to_item(outcome) for outcome in outcomes], info=response_info(parts.models)
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
            return await parts.pipeline.crop(PhotoSource.of(request.photo, "photo"), options, deadline)

        with collect():
            item = to_item(await settle(work()))
            return pb.StreamCropsResponse(
                item_id=request.item_id, item=item, info=response_info(parts.models)
            )

    def _options(self, options: pb.CropOptions) -> CropOptions:
        return read_options(options, default_min_score=self._min_nail_score)


def to_item(outcome: CroppedPhoto | LunulaError) -> pb.CropItem:
    """The message of a result or an error."""
    if isinstance(outcome, LunulaError):
        return pb.CropItem(error=to_item_error(outcome))
    width, height = outcome.size
    size = photo_pb2.ImageSize(width=width, height=height)
    return pb.CropItem(
        result=pb.CropResult(
            size=size,
            nails=[_nail(nail, size) for nail in outcome.nails],
            hands=[_hand(hand) for hand in outcome.hands],
            target_hand=outcome.target_hand,
            rule=pb.CropRule.ValueType(outcome.rule.value),
            crop_box=_box(outcome.crop_box),
            crop=outcome.crop,
            palette=palette_message(outcome.palette),
            quality_flags=[_FLAGS[flag] for flag in outcome.flags],
            overlay=outcome.overlay,
        )
    )


_FLAGS = {flag: pb.QualityFlag.Value(f"QUALITY_FLAG_{flag.name}") for flag in Flag}


def _box(box: Box) -> photo_pb2.Box:
    x0, y0, x1, y1 = box
    return photo_pb2.Box(x0=x0, y0=y0, x1=x1, y1=y1)


def _point(point: Point) -> photo_pb2.Point:
    return photo_pb2.Point(x=point[0], y=point[1])


def _nail(nail: FoundNail, size: photo_pb2.ImageSize) -> pb.Nail:
    mask = None if nail.counts is None else pb.RleMask(size=size, counts=nail.counts)
    return pb.Nail(
        box=_box(nail.box),
        score=nail.score,
        centroid=_point(nail.centroid),
        area=nail.area,
        hand_index=nail.hand,
        mask=mask,
    )


def _hand(hand: FoundHand) -> pb.Hand:
    joints = [pb.Joint(position=_point(point), score=score) for point, score in hand.joints]
    return pb.Hand(box=_box(hand.box), score=hand.score, joints=joints)
