"""Runs the models that find nails and hands in a photo."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.perception.closer_look import cut_region, merge_looks
from nails.perception.hands import Hand, HandDecoder, assemble_hands
from nails.perception.nail_decode import NailInstance
from nails.perception.nail_decoder import NailDecoder
from nails.photo.preprocess import Letterbox, hand_detect_input, hand_pose_input, nail_seg_input
from services.intake.model_io import image_side, infer_one
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition
from services.kit.inference.base import InferenceBackend
from services.kit.telemetry.timings import stage

NAIL_SEG, HAND_DETECT, HAND_POSE = "nail_seg", "hand_detect", "hand_pose"
MODELS = (NAIL_SEG, HAND_DETECT, HAND_POSE)

Image = NDArray[np.uint8]


class NailFinder:
    """Finds nails with `nail_seg`, read by the decoder that the model's parameters name."""

    def __init__(
        self, backend: InferenceBackend, threads: WorkThreads, *, side: int, decoder: NailDecoder
    ) -> None:
        self._backend = backend
        self._threads = threads
        self._side = side
        self._decoder = decoder

    @classmethod
    async def from_backend(cls, backend: InferenceBackend, threads: WorkThreads) -> NailFinder:
        """Reads the model's metadata. Raises FailedPrecondition MODEL_UNSUITABLE for an unknown decoder."""
        model = await backend.metadata(NAIL_SEG)
        try:
            decoder = NailDecoder.from_parameters(model.parameters)
        except ValueError as error:
            raise FailedPrecondition(f"nail_seg: {error}", reason="MODEL_UNSUITABLE") from error
        return cls(backend, threads, side=image_side(model), decoder=decoder)

    async def find(self, image: Image, *, min_score: float, deadline: Deadline) -> list[NailInstance]:
        """The nails of image [h,w,3], best score first, in its pixels."""
        nails = await self._look(image, min_score=min_score, deadline=deadline)
        region = self._decoder.second_region(nails, (image.shape[1], image.shape[0]))
        if region is None:
            return nails
        closer = await self._look(cut_region(image, region), min_score=min_score, deadline=deadline)
        return merge_looks(nails, closer, region)

    async def _look(self, image: Image, *, min_score: float, deadline: Deadline) -> list[NailInstance]:
        with stage("preprocess"):
            tensor, placed = await self._threads.run(nail_seg_input, image, self._side)
        deadline.check("looking for nails")
        outputs = await infer_one(self._backend, NAIL_SEG, {"images": tensor}, deadline=deadline)
        deadline.check("looking for nails")
        with stage("postprocess"):
            return await self._threads.run(self._decode, outputs, placed, image.shape[:2], min_score)

    def _decode(
        self, outputs: dict[str, NDArray[Any]], placed: Letterbox, shape: tuple[int, int], min_score: float
    ) -> list[NailInstance]:
        return self._decoder.decode(outputs, placed, (shape[1], shape[0]), min_score=min_score)


@dataclass(frozen=True)
class HandFinder:
    """Finds hands with `hand_detect`, and their joints with `hand_pose` where a hand was found.

    The pose model never runs on a photo without a detected hand: it would invent one.
    """

    backend: InferenceBackend
    threads: WorkThreads
    detect_side: int
    pose_side: int
    max_hands: int
    decoder: HandDecoder

    @classmethod
    async def from_backend(
        cls, backend: InferenceBackend, threads: WorkThreads, *, max_hands: int
    ) -> HandFinder:
        """Reads the models' metadata. Raises FailedPrecondition MODEL_UNSUITABLE for limits out of range."""
        detect, pose = await backend.metadata(HAND_DETECT), await backend.metadata(HAND_POSE)
        try:
            decoder = HandDecoder.from_parameters(detect.parameters)
        except ValueError as error:
            raise FailedPrecondition(f"hand_detect: {error}", reason="MODEL_UNSUITABLE") from error
        return cls(backend, threads, image_side(detect), image_side(pose), max_hands, decoder)

    async def find(self, image: Image, *, deadline: Deadline) -> list[Hand]:
        """The hands of image [h,w,3], best score first, in its pixels; at most `max_hands`."""
        with stage("preprocess"):
            tensor, placed = await self.threads.run(hand_detect_input, image, self.detect_side)
        deadline.check("looking for hands")
        outputs = await infer_one(self.backend, HAND_DETECT, {"images": tensor}, deadline=deadline)
        size = (image.shape[1], image.shape[0])
        boxes, scores = self.decoder.decode(outputs["boxes"], outputs["scores"], placed, size)
        boxes, scores = boxes[: self.max_hands], scores[: self.max_hands]
        if not len(boxes):
            return []
        return await self._pose(image, boxes, scores, deadline)

    async def _pose(
        self, image: Image, boxes: NDArray[np.float32], scores: NDArray[np.float32], deadline: Deadline
    ) -> list[Hand]:
        with stage("preprocess"):
            inputs = await asyncio.gather(
                *(self.threads.run(hand_pose_input, image, box, self.pose_side) for box in boxes)
            )
        deadline.check("finding joints")
        tensors = np.stack([tensor for tensor, _ in inputs])
        outputs = await self.backend.infer(HAND_POSE, {"hands": tensors}, deadline=deadline)
        placed = [transform for _, transform in inputs]
        return assemble_hands(boxes, scores, outputs["simcc_x"], outputs["simcc_y"], placed)
