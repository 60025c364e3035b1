"""Designs to vectors over a real server: results, batches, streams, and bad photos."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import numpy as np
import pytest

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.type.v1 import item_error_pb2, photo_pb2
from services.kit.client import call, stream
from services.kit.errors import FailedPrecondition, InvalidArgument

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
DENIED = grpc.StatusCode.PERMISSION_DENIED.value[0]


def design(photo: bytes, *, crop: bytes | None = None, text: str = "", context: str = "") -> pb.DesignInput:
    cropped = None if crop is None else photo_pb2.Photo(data=crop)
    return pb.DesignInput(photo=photo_pb2.Photo(data=photo), crop=cropped, text=text, context=context)


async def embed(embeds: Any, *designs: pb.DesignInput, expected: str = "") -> pb.EmbedDesignsResponse:
    request = pb.EmbedDesignsRequest(designs=designs, expected_fingerprint=expected)
    response: pb.EmbedDesignsResponse = await call(embeds.stub.EmbedDesigns, request, timeout=60)
    return response


async def stream_designs(embeds: Any, *designs: pb.DesignInput) -> dict[str, pb.EmbedDesignsItem]:
    async def requests() -> AsyncIterator[pb.StreamEmbedDesignsRequest]:
        for index, one in enumerate(designs):
            yield pb.StreamEmbedDesignsRequest(item_id=str(index), design=one)

    answers = stream(embeds.stub.StreamEmbedDesigns, requests(), timeout=100)
    return {answer.item_id: answer.item async for answer in answers}


def vector(item: pb.EmbedDesignsItem) -> np.ndarray[Any, Any]:
    assert item.HasField("embedding"), item.error
    return np.array(item.embedding.design.values)


def paths(error: item_error_pb2.ItemError) -> list[str]:
    return [violation.field for violation in error.field_violations]


async def test_a_design_has_unit_vectors_that_name_their_spaces(embeds: Any, hand_photo: Any) -> None:
    response = await embed(embeds, design(hand_photo.jpeg, text="milky pink"))
    embedding = response.items[0].embedding
    names = ("image_align", "image_style", "text_encode", "design_fuse", "query_fuse")
    joint = hashlib.sha256(":".join(f"fingerprint-of-{name}" for name in names).encode()).hexdigest()
    assert (embedding.design.space, embedding.design.fingerprint) == ("design", joint)
    assert (embedding.align.space, embedding.align.fingerprint) == ("align", "fingerprint-of-image_align")
    assert (len(embedding.design.values), len(embedding.align.values)) == (256, 512)
    for one in (embedding.design, embedding.align):
        assert np.linalg.norm(one.values) == pytest.approx(1.0, abs=1e-5)
    assert [model.name for model in response.info.models] == list(names)
    assert {"decode", "queue", "inference"} <= {timing.stage for timing in response.info.timings}


async def test_without_a_crop_the_photo_stands_in_for_it(embeds: Any, hand_photo: Any) -> None:
    response = await embed(embeds, design(hand_photo.jpeg), design(hand_photo.jpeg, crop=hand_photo.jpeg))
    first, second = response.items
    assert first.embedding == second.embedding


async def test_photo_crop_words_and_context_all_count(
    embeds: Any, hand_photo: Any, paint: Callable[..., Any]
) -> None:
    other = paint(nails=[(10, 10, 200, 200)]).jpeg
    variants = [
        design(hand_photo.jpeg),
        design(other),
        design(hand_photo.jpeg, crop=other),
        design(hand_photo.jpeg, text="gold line"),
        design(hand_photo.jpeg, context="a wedding"),
        design(hand_photo.jpeg, text="gold line", context="a wedding"),
    ]
    vectors = [vector(item) for item in (await embed(embeds, *variants)).items]
    for index, one in enumerate(vectors):
        for another in vectors[index + 1 :]:
            assert abs(float(one @ another)) < 0.9


async def test_blank_words_are_absent_words(embeds: Any, hand_photo: Any) -> None:
    response = await embed(embeds, design(hand_photo.jpeg), design(hand_photo.jpeg, text="  \n"))
    first, second = response.items
    assert first.embedding == second.embedding


async def test_a_design_has_the_same_vectors_alone_in_a_batch_and_in_a_stream(
    embeds: Any, paint: Callable[..., Any]
) -> None:
    designs = [
        design(paint(nails=[(10, 10, 60 + 5 * i, 90)], tint=i).jpeg, text=f"number {i}" * (i % 3))
        for i in range(20)
    ]
    together = [vector(item) for item in (await embed(embeds, *designs)).items]
    streamed = await stream_designs(embeds, *designs)
    for index, one in enumerate(designs):
        alone = vector((await embed(embeds, one)).items[0])
        assert np.allclose(alone, together[index], atol=1e-5)
        assert np.allclose(alone, vector(streamed[str(index)]), atol=1e-5)


async def test_odd_photos_are_embedded(embeds: Any, odd_photos: Mapping[str, bytes]) -> None:
    response = await embed(embeds, *(design(data) for data in odd_photos.values()))
    for name, item in zip(odd_photos, response.items, strict=True):
        assert item.HasField("embedding"), name


async def test_a_bad_photo_is_refused_with_reason_and_path(
    embeds: Any, hand_photo: Any, bad_photo: Any
) -> None:
    response = await embed(
        embeds,
        design(hand_photo.jpeg),
        design(bad_photo.data),
    )
    good, as_photo = response.items
    assert good.HasField("embedding")
    assert (as_photo.error.code, as_photo.error.reason) == (INVALID, bad_photo.reason)
    assert paths(as_photo.error) == ["designs[1].photo.data"]


async def test_a_bad_crop_is_refused_with_reason_and_path(
    embeds: Any, hand_photo: Any, bad_photo: Any
) -> None:
    item = (await embed(embeds, design(hand_photo.jpeg, crop=bad_photo.data))).items[0]
    assert (item.error.code, item.error.reason) == (INVALID, bad_photo.reason)
    assert paths(item.error) == ["designs[0].crop.data"]


async def test_a_bad_photo_in_a_stream_is_refused_and_the_stream_goes_on(
    embeds: Any, hand_photo: Any, bad_photo: Any
) -> None:
    good = design(hand_photo.jpeg)
    items = await stream_designs(embeds, good, design(bad_photo.data), good)
    assert (items["1"].error.code, items["1"].error.reason) == (INVALID, bad_photo.reason)
    assert paths(items["1"].error) == ["design.photo.data"]
    assert items["0"].embedding == items["2"].embedding and items["0"].HasField("embedding")


@pytest.mark.parametrize("streamed", [False, True])
async def test_one_poisoned_design_of_64_leaves_the_others_right(
    embeds: Any, paint: Callable[..., Any], truncated: Any, streamed: bool
) -> None:
    photos = [paint(nails=[(10, 10, 20 + i, 40 + i)], size=(128, 128)).jpeg for i in range(64)]
    clean = [vector(item) for item in (await embed(embeds, *(design(data) for data in photos))).items]
    photos[23] = truncated.data
    designs = [design(data) for data in photos]
    if streamed:
        found = await stream_designs(embeds, *designs)
        items = [found[str(index)] for index in range(64)]
    else:
        items = list((await embed(embeds, *designs)).items)
    assert items[23].error.reason == "PHOTO_CORRUPT"
    for index in set(range(64)) - {23}:
        assert np.allclose(vector(items[index]), clean[index], atol=1e-5)


@pytest.mark.parametrize("field", ["text", "context"])
async def test_a_text_of_100_000_characters_is_refused(embeds: Any, hand_photo: Any, field: str) -> None:
    item = (await embed(embeds, design(hand_photo.jpeg, **{field: "x" * 100_000}))).items[0]
    assert (item.error.code, item.error.reason) == (INVALID, "TEXT_TOO_LONG")
    assert paths(item.error) == [f"designs[0].{field}"]


async def test_a_design_without_a_photo_is_refused(embeds: Any) -> None:
    item = (await embed(embeds, pb.DesignInput(text="words alone"))).items[0]
    assert (item.error.code, item.error.reason) == (INVALID, "PHOTO_MISSING")
    assert paths(item.error) == ["designs[0].photo"]


async def test_a_uri_is_refused_where_settings_do_not_allow_it(embeds: Any) -> None:
    one = pb.DesignInput(photo=photo_pb2.Photo(uri="https://img.example/a.jpg"))
    item = (await embed(embeds, one)).items[0]
    assert (item.error.code, item.error.reason) == (DENIED, "URI_NOT_ALLOWED")
    assert paths(item.error) == ["designs[0].photo.uri"]


@pytest.mark.parametrize(("count", "reason"), [(0, "BATCH_EMPTY"), (65, "BATCH_TOO_LARGE")])
async def test_a_batch_of_the_wrong_size_is_refused(embeds: Any, count: int, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await embed(embeds, *[design(b"x")] * count)
    assert caught.value.reason == reason
    assert [path for path, _ in caught.value.fields] == ["designs"]


async def test_another_expected_fingerprint_is_refused_and_the_right_one_taken(
    embeds: Any, hand_photo: Any
) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await embed(embeds, design(hand_photo.jpeg), expected="0" * 64)
    assert caught.value.reason == "FINGERPRINT_MISMATCH"
    assert [path for path, _ in caught.value.fields] == ["expected_fingerprint"]
    actual = caught.value.metadata["actual"]
    response = await embed(embeds, design(hand_photo.jpeg), expected=actual)
    assert response.items[0].embedding.design.fingerprint == actual
