"""The pipeline of one photo, where its deadline passes on the way and where several wait for room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from nails.photo.codec import PhotoLimits, encode_jpeg
from services.crop.models import HandFinder, NailFinder
from services.crop.pipeline import CropPipeline
from services.crop.results import CropOptions
from services.intake.photos import PhotoIntake, PhotoSource
from services.intake.uris import UriReader
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded
from services.kit.inference.base import ModelMetadata, TensorSpec
from services.kit.inference.fake import FakeBackend
from services.kit.telemetry.timings import collect

SOURCE = PhotoSource(encode_jpeg(np.full((120, 160, 3), 90, np.uint8)), "", "photo")


def model(name: str, tensor: str, side: int, **outputs: tuple[int, ...]) -> ModelMetadata:
    f4 = np.dtype("f4")
    return ModelMetadata(
        name,
        "1",
        "f",
        8,
        (TensorSpec(tensor, f4, (3, side, side)),),
        tuple(TensorSpec(key, f4, shape) for key, shape in outputs.items()),
        {},
    )


MODELS = [
    model("nail_seg", "images", 64, maps=(2, 32, 32)),
    model("hand_detect", "images", 64, boxes=(8, 4), scores=(8,)),
    model("hand_pose", "hands", 64, simcc_x=(21, 128), simcc_y=(21, 128)),
]


@pytest.fixture
def intake() -> Iterator[PhotoIntake]:
    """Room for two photos."""
    threads = WorkThreads(1)
    yield PhotoIntake(
        limits=PhotoLimits(),
        uris=UriReader((), 1),
        threads=threads,
        fetch_threads=threads,
        max_photos=2,
    )
    threads.close()


async def pipeline(intake: PhotoIntake, before: Callable[..., Any]) -> CropPipeline:
    def one_hand(inputs: Mapping[str, Any]) -> dict[str, Any]:
        rows = len(inputs["images"])
        boxes = np.tile(np.array([8, 12, 50, 50], np.float32), (rows, 8, 1))
        return {"boxes": boxes, "scores": np.full((rows, 8), 0.9, np.float32)}

    backend = FakeBackend(MODELS, answers={"hand_detect": one_hand}, before=before)
    return CropPipeline(
        intake=intake,
        nails=await NailFinder.from_backend(backend, intake.threads),
        hands=await HandFinder.from_backend(backend, intake.threads, max_hands=4),
        work_side=1600,
        enough_side=960,
        jpeg_quality=92,
    )


async def test_a_deadline_that_passes_between_stages_ends_the_work_there(intake: PhotoIntake) -> None:
    now, calls = [0.0], []

    async def before(name: str, inputs: Mapping[str, Any]) -> None:
        del inputs
        calls.append(name)
        if name == "hand_detect":
            now[0] = 10.0

    crops = await pipeline(intake, before)
    with pytest.raises(DeadlineExceeded):
        await crops.crop(SOURCE, CropOptions(), Deadline(5.0, lambda: now[0]))
    assert "hand_detect" in calls and "hand_pose" not in calls


async def test_a_deadline_that_has_passed_decodes_nothing(intake: PhotoIntake) -> None:
    async def before(name: str, inputs: Mapping[str, Any]) -> None:
        pytest.fail(f"{name} ran on {len(inputs)} inputs")

    crops = await pipeline(intake, before)
    with collect() as timings, pytest.raises(DeadlineExceeded):
        await crops.crop(SOURCE, CropOptions(), Deadline(5.0, lambda: 6.0))
    assert "decode" not in timings.milliseconds()


async def test_no_more_photos_are_held_than_there_is_room_for(intake: PhotoIntake) -> None:
    go, entered = asyncio.Event(), []

    async def before(name: str, inputs: Mapping[str, Any]) -> None:
        del inputs
        if name == "nail_seg":
            entered.append(name)
        await go.wait()

    crops = await pipeline(intake, before)
    running = [asyncio.create_task(crops.crop(SOURCE, CropOptions(), Deadline.never())) for _ in range(5)]
    while len(entered) < 2:  # noqa: ASYNC110  there is no event for it
        await asyncio.sleep(0)
    for task in running[2:]:
        task.cancel()
    await asyncio.gather(*running[2:], return_exceptions=True)
    go.set()
    assert len(await asyncio.gather(*running[:2])) == 2
    assert len(entered) == 2
    # The cancelled ones gave their place back.
    assert (await crops.crop(SOURCE, CropOptions(), Deadline.never())).size == (160, 120)
