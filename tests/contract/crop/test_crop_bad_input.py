"""Bad photos and bad batches: each has its code, its reason and its path, and harms nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.type.v1 import item_error_pb2, photo_pb2
from services.kit.client import call, stream
from services.kit.errors import InvalidArgument

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
DENIED = grpc.StatusCode.PERMISSION_DENIED.value[0]


def paths(error: item_error_pb2.ItemError) -> list[str]:
    return [violation.field for violation in error.field_violations]


async def stream_crops(crops: Any, *photos: photo_pb2.Photo) -> dict[str, pb.CropItem]:
    async def requests() -> AsyncIterator[pb.StreamCropsRequest]:
        for index, photo in enumerate(photos):
            yield pb.StreamCropsRequest(item_id=str(index), photo=photo)

    answers = stream(crops.stub.StreamCrops, requests(), timeout=100)
    return {answer.item_id: answer.item async for answer in answers}


async def test_a_bad_photo_is_refused_with_reason_and_path(
    crops: Any, hand_photo: Any, bad_photo: Any
) -> None:
    request = pb.CropImagesRequest(
        photos=[photo_pb2.Photo(data=hand_photo.jpeg), photo_pb2.Photo(data=bad_photo.data)]
    )
    response = await call(crops.stub.CropImages, request, timeout=30)
    good, bad = response.items
    assert len(good.result.nails) == 7
    assert (bad.error.code, bad.error.reason) == (INVALID, bad_photo.reason)
    assert paths(bad.error) == ["photos[1].data"]


async def test_a_bad_photo_in_a_stream_is_refused_and_the_stream_goes_on(
    crops: Any, hand_photo: Any, bad_photo: Any
) -> None:
    good = photo_pb2.Photo(data=hand_photo.jpeg)
    items = await stream_crops(crops, good, photo_pb2.Photo(data=bad_photo.data), good)
    assert (items["1"].error.code, items["1"].error.reason) == (INVALID, bad_photo.reason)
    assert paths(items["1"].error) == ["photo.data"]
    assert [len(items[key].result.nails) for key in ("0", "2")] == [7, 7]


async def test_one_poisoned_photo_in_a_batch_of_64_leaves_the_others_right(
    crops: Any, paint: Callable[..., Any], truncated: Any
) -> None:
    datas = [paint(nails=nails_of(index), size=(256, 192)).jpeg for index in range(64)]
    datas[17] = truncated.data
    request = pb.CropImagesRequest(photos=[photo_pb2.Photo(data=data) for data in datas])
    response = await call(crops.stub.CropImages, request, timeout=100)
    assert len(response.items) == 64
    for index, item in enumerate(response.items):
        if index == 17:
            assert item.error.reason == "PHOTO_CORRUPT" and paths(item.error) == ["photos[17].data"]
        else:
            assert len(item.result.nails) == len(nails_of(index)), index


async def test_one_poisoned_photo_in_a_stream_of_64_leaves_the_others_right(
    crops: Any, paint: Callable[..., Any], truncated: Any
) -> None:
    datas = [paint(nails=nails_of(index), size=(256, 192)).jpeg for index in range(64)]
    datas[40] = truncated.data
    items = await stream_crops(crops, *(photo_pb2.Photo(data=data) for data in datas))
    assert len(items) == 64
    assert items.pop("40").error.reason == "PHOTO_CORRUPT"
    for key, item in items.items():
        assert len(item.result.nails) == len(nails_of(int(key))), key


def nails_of(index: int) -> list[tuple[int, int, int, int]]:
    """As many nails as tell neighbouring photos apart."""
    return [(10 + 48 * i, 60, 42 + 48 * i, 120) for i in range(index % 5)]


async def test_a_photo_without_source_is_refused(crops: Any) -> None:
    response = await call(crops.stub.CropImages, pb.CropImagesRequest(photos=[photo_pb2.Photo()]), timeout=30)
    error = response.items[0].error
    assert (error.code, error.reason, paths(error)) == (INVALID, "PHOTO_MISSING", ["photos[0]"])


@pytest.mark.parametrize(("count", "reason"), [(0, "BATCH_EMPTY"), (65, "BATCH_TOO_LARGE")])
async def test_a_batch_of_the_wrong_size_is_refused(crops: Any, count: int, reason: str) -> None:
    request = pb.CropImagesRequest(photos=[photo_pb2.Photo(data=b"x")] * count)
    with pytest.raises(InvalidArgument) as caught:
        await call(crops.stub.CropImages, request, timeout=30)
    assert caught.value.reason == reason
    assert [path for path, _ in caught.value.fields] == ["photos"]


@pytest.mark.parametrize("uri", ["https://img.example/a.jpg", "file:///etc/hostname", "ftp://img.example/a"])
async def test_a_uri_is_refused_where_settings_do_not_allow_it(crops: Any, uri: str) -> None:
    request = pb.CropImagesRequest(photos=[photo_pb2.Photo(uri=uri)])
    error = (await call(crops.stub.CropImages, request, timeout=30)).items[0].error
    assert (error.code, error.reason, paths(error)) == (DENIED, "URI_NOT_ALLOWED", ["photos[0].uri"])


async def test_a_uri_is_read_where_settings_allow_it(
    open_crops: Callable[..., Any], tmp_path: Path, hand_photo: Any
) -> None:
    (tmp_path / "hand.jpg").write_bytes(hand_photo.jpeg)
    async with open_crops(allowed_uri_prefixes=(tmp_path.as_uri(),)) as crops:
        request = pb.CropImagesRequest(
            photos=[
                photo_pb2.Photo(uri=(tmp_path / "hand.jpg").as_uri()),
                photo_pb2.Photo(uri=(tmp_path / "none.jpg").as_uri()),
            ]
        )
        read, absent = (await call(crops.stub.CropImages, request, timeout=30)).items
    assert len(read.result.nails) == 7
    assert (absent.error.reason, paths(absent.error)) == ("URI_NOT_FOUND", ["photos[1].uri"])


@pytest.mark.parametrize("options", [{"include_overlay": True}, {"crop_size": 1024}])
async def test_a_batch_whose_answer_might_not_fit_a_message_is_refused_and_may_be_streamed(
    crops: Any, paint: Callable[..., Any], options: dict[str, Any]
) -> None:
    photo = photo_pb2.Photo(data=paint(nails=[], size=(64, 64)).jpeg)
    request = pb.CropImagesRequest(photos=[photo] * 64, options=pb.CropOptions(**options))
    with pytest.raises(InvalidArgument) as caught:
        await call(crops.stub.CropImages, request, timeout=30)
    assert caught.value.reason == "ANSWER_TOO_LARGE"
    assert [path for path, _ in caught.value.fields] == ["photos"]
    request = pb.CropImagesRequest(photos=[photo] * 8, options=pb.CropOptions(**options))
    assert all(
        item.HasField("result") for item in (await call(crops.stub.CropImages, request, timeout=60)).items
    )
