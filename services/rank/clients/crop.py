"""CropService: the crop of one hand, and the palette of its nails."""

from __future__ import annotations

import grpc

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.crop.v1.crop_service_pb2_grpc import CropServiceStub
from lunula.type.v1 import photo_pb2
from services.intake.messages import palette_colours
from services.kit.models import ModelVersion
from services.kit.telemetry.timings import stage
from services.kit.wire.errors import from_item_error
from services.kit.wire.response_info import read_models
from services.rank.clients.upstream_call import Budget, UpstreamCaller, only_item, relocate
from services.rank.upstream import CroppedPhoto


class CropClient:
    """Calls CropService."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_s: float) -> None:
        """timeout_s: of one call; a nearer deadline wins."""
        self._stub = CropServiceStub(channel)
        self._call = UpstreamCaller("CropService", "CROP_SERVICE_UNAVAILABLE", timeout_s)
        self.models: dict[str, ModelVersion] = {}
        """The models that took part in the latest answers, by name."""

    async def crop(self, photo: bytes, field: str, budget: Budget) -> CroppedPhoto:
        """Crop and palette of a photo; errors name `field`. Raises as UpstreamCaller does."""
        request = pb.CropImagesRequest(photos=[photo_pb2.Photo(data=photo)])
        with stage("crop"):
            response: pb.CropImagesResponse = await self._call(self._stub.CropImages, request, budget)
        item = only_item(response.items)
        if item.WhichOneof("outcome") != "result":
            raise relocate(from_item_error(item.error), {"photos[0]": field})
        models = read_models(response.info)
        self.models.update({model.name: model for model in models})
        box = item.result.crop_box
        return CroppedPhoto(
            item.result.crop,
            (box.x0, box.y0, box.x1, box.y1),
            palette_colours(item.result.palette),
            models,
        )
