"""The inputs that the models get for a photo, and what is made of their outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from services.crop.models import HandFinder, NailFinder
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition
from services.kit.inference.base import ModelMetadata, TensorSpec
from services.kit.inference.fake import FakeBackend

NEVER = Deadline.never()
IMAGE = np.full((240, 320, 3), 90, np.uint8)


@pytest.fixture
def threads() -> Iterator[WorkThreads]:
    pool = WorkThreads(1)
    yield pool
    pool.close()


def metadata(
    name: str, tensor: str, side: int, outputs: Mapping[str, tuple[int, ...]], **parameters: str
) -> Any:
    return ModelMetadata(
        name=name,
        version="1",
        fingerprint="f",
        max_batch_size=8,
        inputs=(TensorSpec(tensor, np.dtype("f4"), (3, side, side)),),
        outputs=tuple(TensorSpec(key, np.dtype("f4"), shape) for key, shape in outputs.items()),
        parameters=parameters,
    )


def hand_models(scores: list[float], calls: list[str]) -> FakeBackend:
    """Detects as many hands as scores; every inference is noted."""

    def detect(_: Mapping[str, Any]) -> dict[str, Any]:
        boxes = np.zeros((1, 8, 4), np.float32)
        found = np.zeros((1, 8), np.float32)
        for index, score in enumerate(scores):
            boxes[0, index] = 10 + 50 * index, 100, 50 + 50 * index, 180
            found[0, index] = score
        return {"boxes": boxes, "scores": found}

    async def note(model: str, inputs: Mapping[str, Any]) -> None:
        calls.append(f"{model} x{len(next(iter(inputs.values())))}")

    return FakeBackend(
        [
            metadata("hand_detect", "images", 320, {"boxes": (8, 4), "scores": (8,)}),
            metadata("hand_pose", "hands", 256, {"simcc_x": (21, 512), "simcc_y": (21, 512)}),
        ],
        answers={"hand_detect": detect},
        before=note,
    )


async def test_the_pose_model_is_not_asked_when_no_hand_was_detected(threads: WorkThreads) -> None:
    calls: list[str] = []
    finder = await HandFinder.from_backend(hand_models([0.29], calls), threads, max_hands=4)
    assert await finder.find(IMAGE, deadline=NEVER) == []
    assert calls == ["hand_detect x1"]


async def test_all_hands_of_a_photo_are_posed_in_one_batch_and_no_more_than_allowed(
    threads: WorkThreads,
) -> None:
    calls: list[str] = []
    finder = await HandFinder.from_backend(hand_models([0.5, 0.9, 0.4], calls), threads, max_hands=2)
    hands = await finder.find(IMAGE, deadline=NEVER)
    assert [round(hand.score, 1) for hand in hands] == [0.9, 0.5]
    assert calls == ["hand_detect x1", "hand_pose x2"]


async def test_the_decoder_follows_the_models_parameter(threads: WorkThreads) -> None:
    def yolo(_: Mapping[str, Any]) -> dict[str, Any]:
        boxes = np.zeros((1, 37, 5), np.float32)
        boxes[0, :5, 0] = 320, 320, 200, 100, 0.8
        boxes[0, 5, 0] = 1.0
        protos = np.full((1, 32, 160, 160), -5.0, np.float32)
        protos[0, 0] = 5.0
        return {"boxes": boxes, "protos": protos}

    backend = FakeBackend(
        [
            metadata(
                "nail_seg", "images", 640, {"boxes": (37, 5), "protos": (32, 160, 160)}, decoder="yolo_seg"
            )
        ],
        answers={"nail_seg": yolo},
    )
    finder = await NailFinder.from_backend(backend, threads)
    (nail,) = await finder.find(IMAGE, min_score=0.5, deadline=NEVER)
    assert nail.score == pytest.approx(0.8)
    assert nail.centroid == pytest.approx((160, 120), abs=2)


async def test_an_unknown_decoder_is_refused(threads: WorkThreads) -> None:
    backend = FakeBackend([metadata("nail_seg", "images", 64, {"maps": (2, 32, 32)}, decoder="guess")])
    with pytest.raises(FailedPrecondition) as caught:
        await NailFinder.from_backend(backend, threads)
    assert caught.value.reason == "MODEL_UNSUITABLE"


async def test_a_model_that_takes_no_square_images_is_refused(threads: WorkThreads) -> None:
    model = ModelMetadata(
        "nail_seg", "1", "f", 8, (TensorSpec("images", np.dtype("f4"), (3, 64, 32)),), (), {}
    )
    with pytest.raises(FailedPrecondition):
        await NailFinder.from_backend(FakeBackend([model]), threads)
