"""What CropService finds in photos, over a real server."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lunula.crop.v1 import crop_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from nails.perception.masks import decode_rle
from services.kit.client import call
from services.kit.errors import InvalidArgument


def photos(*datas: bytes) -> list[photo_pb2.Photo]:
    return [photo_pb2.Photo(data=data) for data in datas]


async def crop(crops: Any, *datas: bytes, **options: Any) -> pb.CropImagesResponse:
    request = pb.CropImagesRequest(photos=photos(*datas), options=pb.CropOptions(**options))
    response: pb.CropImagesResponse = await call(crops.stub.CropImages, request, timeout=60)
    return response


async def test_the_nails_of_the_hand_with_most_are_cropped(crops: Any, hand_photo: Any) -> None:
    response = await crop(crops, hand_photo.jpeg)
    result = response.items[0].result
    assert (result.size.width, result.size.height) == (640, 480)
    assert len(result.nails) == 7
    assert [len(hand.joints) for hand in result.hands] == [21, 21]
    assert result.rule == pb.CROP_RULE_TARGET_HAND
    assert result.hands[result.target_hand].box.x0 == pytest.approx(40, abs=4)
    found = sorted((nail.box.x0, nail.box.y0, nail.box.x1, nail.box.y1) for nail in result.nails)
    for box, drawn in zip(found, sorted(hand_photo.nails), strict=True):
        assert np.allclose(box, drawn, atol=4)
    of_hand = [nail for nail in result.nails if nail.hand_index == result.target_hand]
    assert len(of_hand) == 5
    box = result.crop_box
    for nail in of_hand:
        assert box.x0 <= nail.box.x0 and nail.box.x1 <= box.x1
        assert box.y0 <= nail.box.y0 and nail.box.y1 <= box.y1
    assert box.x1 - box.x0 == pytest.approx(box.y1 - box.y0)
    assert box.x1 < 500, "the nails of the other hand are not in the crop"


async def test_the_crop_is_an_image_of_the_size_and_format_asked_for(crops: Any, hand_photo: Any) -> None:
    for options, size, format_ in (
        ({}, 384, "PNG"),
        ({"crop_size": 128, "crop_format": pb.CROP_FORMAT_JPEG}, 128, "JPEG"),
    ):
        result = (await crop(crops, hand_photo.jpeg, **options)).items[0].result
        with Image.open(io.BytesIO(result.crop)) as image:
            assert (image.size, image.format, image.mode) == ((size, size), format_, "RGB")


async def test_the_palette_is_of_nail_pixels_only(crops: Any, hand_photo: Any) -> None:
    palette = (await crop(crops, hand_photo.jpeg)).items[0].result.palette
    assert palette.colours[0].name == "red" and palette.colours[0].weight > 0.9
    assert sum(colour.weight for colour in palette.colours) == pytest.approx(1.0)
    assert palette.colours[0].colour.l == pytest.approx(53, abs=3)


async def test_without_a_hand_no_hand_is_invented(crops: Any, paint: Callable[..., Any]) -> None:
    nails = [(60 + 90 * i, 200, 110 + 90 * i, 280) for i in range(4)]
    result = (await crop(crops, paint(nails=nails).jpeg)).items[0].result
    assert list(result.hands) == []
    assert result.rule == pb.CROP_RULE_ALL_NAILS and result.target_hand == -1
    assert [nail.hand_index for nail in result.nails] == [-1] * 4


async def test_a_photo_without_nails_is_cropped_whole_and_flagged(
    crops: Any, paint: Callable[..., Any]
) -> None:
    result = (await crop(crops, paint(nails=[]).jpeg)).items[0].result
    assert result.rule == pb.CROP_RULE_WHOLE_PHOTO
    assert pb.QUALITY_FLAG_NO_NAILS in result.quality_flags
    assert list(result.palette.colours) == [] and list(result.nails) == []
    assert (result.crop_box.x1, result.crop_box.y1) == (640, 480)


async def test_masks_are_given_only_when_asked_for_and_cover_the_nails(crops: Any, hand_photo: Any) -> None:
    plain = (await crop(crops, hand_photo.jpeg)).items[0].result
    assert not any(nail.HasField("mask") for nail in plain.nails)
    result = (await crop(crops, hand_photo.jpeg, include_masks=True)).items[0].result
    for nail in result.nails:
        assert (nail.mask.size.width, nail.mask.size.height) == (640, 480)
        mask = decode_rle(nail.mask.counts, 480, 640)
        assert mask.sum() == nail.area
        x, y = int(nail.centroid.x), int(nail.centroid.y)
        assert mask[y, x]


async def test_a_photo_larger_than_the_working_size_is_answered_in_its_own_pixels(
    crops: Any, paint: Callable[..., Any]
) -> None:
    nails = [(400 + 500 * i, 800, 600 + 500 * i, 1200) for i in range(4)]
    photo = paint(nails=nails, hands=((300, 700, 2400, 2200),), size=(3200, 2400))
    result = (await crop(crops, photo.jpeg, include_masks=True)).items[0].result
    assert (result.size.width, result.size.height) == (3200, 2400)
    found = sorted((nail.box.x0, nail.box.y0, nail.box.x1, nail.box.y1) for nail in result.nails)
    for box, drawn in zip(found, nails, strict=True):
        assert np.allclose(box, drawn, atol=16)
    nail = result.nails[0]
    mask = decode_rle(nail.mask.counts, 2400, 3200)
    assert mask.sum() == pytest.approx(nail.area, rel=0.02)
    assert np.allclose(result.hands[0].box.x1, 2400, atol=30)


async def test_the_overlay_is_a_png_when_asked_for(crops: Any, hand_photo: Any) -> None:
    assert (await crop(crops, hand_photo.jpeg)).items[0].result.overlay == b""
    overlay = (await crop(crops, hand_photo.jpeg, include_overlay=True)).items[0].result.overlay
    with Image.open(io.BytesIO(overlay)) as image:
        assert image.format == "PNG"


async def test_nails_below_the_asked_score_are_dropped(crops: Any, hand_photo: Any) -> None:
    assert len((await crop(crops, hand_photo.jpeg, min_nail_score=0.9)).items[0].result.nails) == 7
    assert len((await crop(crops, hand_photo.jpeg, min_nail_score=0.99)).items[0].result.nails) == 0


async def test_odd_photos_are_handled_as_the_upright_one_is(
    crops: Any, hand_photo: Any, odd_photos: Mapping[str, bytes]
) -> None:
    response = await crop(crops, hand_photo.jpeg, *odd_photos.values())
    plain, *others = (item.result for item in response.items)
    for name, result in zip(odd_photos, others, strict=True):
        assert result.size == plain.size, name
        assert (result.rule, len(result.nails), len(result.hands)) == (plain.rule, 7, 2), name
        box, expected = result.crop_box, plain.crop_box
        assert np.allclose(
            (box.x0, box.y0, box.x1, box.y1), (expected.x0, expected.y0, expected.x1, expected.y1), atol=3
        ), name


async def test_the_response_names_models_and_stages(crops: Any, hand_photo: Any) -> None:
    info = (await crop(crops, hand_photo.jpeg)).info
    assert [(model.name, model.fingerprint) for model in info.models] == [
        (name, f"fingerprint-of-{name}") for name in ("nail_seg", "hand_detect", "hand_pose")
    ]
    assert {"decode", "queue", "inference", "postprocess"} <= {timing.stage for timing in info.timings}
    assert info.request_id


@pytest.mark.parametrize(
    ("options", "reason", "field"),
    [
        ({"crop_size": 1025}, "CROP_SIZE_OUT_OF_RANGE", "options.crop_size"),
        ({"crop_size": -1}, "CROP_SIZE_OUT_OF_RANGE", "options.crop_size"),
        ({"crop_format": 99}, "CROP_FORMAT_UNKNOWN", "options.crop_format"),
        ({"min_nail_score": 1.5}, "SCORE_OUT_OF_RANGE", "options.min_nail_score"),
        ({"min_nail_score": float("nan")}, "SCORE_OUT_OF_RANGE", "options.min_nail_score"),
    ],
)
async def test_options_out_of_range_are_refused(
    crops: Any, hand_photo: Any, options: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await crop(crops, hand_photo.jpeg, **options)
    assert caught.value.reason == reason
    assert [path for path, _ in caught.value.fields] == [field]
