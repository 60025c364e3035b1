"""Image tokens, tags and sentences on demand, over a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.type.v1 import photo_pb2
from nails.aesthetic.tokens import Packing, pack, pooled, unpack
from services.kit.client import call, stream
from services.kit.errors import InvalidArgument
from services.kit.inference.fake import FakeBackend

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
SMALL = pb.TokenPacking(grid=4, bits=8)


def design(photo: bytes, crop: bytes | None = None) -> pb.DesignInput:
    cropped = None if crop is None else photo_pb2.Photo(data=crop)
    return pb.DesignInput(photo=photo_pb2.Photo(data=photo), crop=cropped)


async def embed(embeds: Any, *designs: pb.DesignInput, **fields: Any) -> list[pb.EmbedDesignsItem]:
    request = pb.EmbedDesignsRequest(designs=designs, **fields)
    return list((await call(embeds.stub.EmbedDesigns, request, timeout=60)).items)


async def test_tokens_come_only_where_they_are_asked_for(embeds: Any, hand_photo: Any) -> None:
    plain = (await embed(embeds, design(hand_photo.jpeg)))[0].embedding
    assert not plain.HasField("tokens")
    assert not plain.HasField("photo_align")
    result = (await embed(embeds, design(hand_photo.jpeg), token_packing=SMALL))[0].embedding
    assert (result.design, result.align) == (plain.design, plain.align)
    assert (result.tokens.dims, result.tokens.packing) == (320, SMALL)
    assert len(result.tokens.data) == Packing(4, 8).size(320)
    assert np.isfinite(unpack(result.tokens.data, Packing(4, 8), 320)).all()


async def test_tokens_and_their_vector_are_of_the_whole_photo(
    embeds: Any, hand_photo: Any, paint: Any
) -> None:
    other = paint(nails=[(10, 10, 200, 200)]).jpeg
    alone, cropped = await embed(
        embeds, design(hand_photo.jpeg), design(hand_photo.jpeg, other), token_packing=SMALL
    )
    assert cropped.embedding.tokens == alone.embedding.tokens
    assert cropped.embedding.photo_align == alone.embedding.photo_align == alone.embedding.align
    assert cropped.embedding.align != cropped.embedding.photo_align


async def test_packings_are_those_of_one_image_and_each_has_a_fingerprint_of_its_own(
    embeds: Any, hand_photo: Any
) -> None:
    whole, fine, coarse = [
        (await embed(embeds, design(hand_photo.jpeg), token_packing=packing))[0].embedding.tokens
        for packing in (
            pb.TokenPacking(grid=7, bits=16),
            pb.TokenPacking(grid=7, bits=8),
            pb.TokenPacking(grid=2, bits=16),
        )
    ]
    tokens = unpack(whole.data, Packing(7, 16), 320)
    assert pack(tokens, Packing(7, 8)) == fine.data
    assert np.allclose(unpack(coarse.data, Packing(2, 16), 320), pooled(tokens, 2), atol=1e-3)
    assert len({whole.fingerprint, fine.fingerprint, coarse.fingerprint}) == 3


async def test_tokens_cost_no_second_inference(embeds: Any, hand_photo: Any, gate: Any) -> None:
    calls: list[str] = []

    def note(model: str, _: Any) -> None:
        calls.append(model)

    gate.error = note
    await embed(embeds, design(hand_photo.jpeg), token_packing=SMALL)
    assert sorted(calls) == ["design_fuse", "image_align", "image_style"]


async def test_a_bad_photo_has_no_tokens_and_its_neighbour_has(
    embeds: Any, hand_photo: Any, truncated: Any
) -> None:
    good, bad = await embed(embeds, design(hand_photo.jpeg), design(truncated.data), token_packing=SMALL)
    assert good.embedding.tokens.data
    assert bad.error.reason == "PHOTO_CORRUPT"


@pytest.mark.parametrize(
    "packing",
    [
        pb.TokenPacking(),
        pb.TokenPacking(grid=5, bits=8),
        pb.TokenPacking(grid=7, bits=4),
        pb.TokenPacking(grid=-7, bits=16),
        pb.TokenPacking(grid=2**31 - 1, bits=16),
    ],
)
async def test_a_packing_that_there_is_not_is_refused(
    embeds: Any, hand_photo: Any, packing: pb.TokenPacking
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await embed(embeds, design(hand_photo.jpeg), token_packing=packing)
    assert caught.value.reason == "TOKEN_PACKING_INVALID"
    assert [path for path, _ in caught.value.fields] == ["token_packing"]


async def test_a_stream_gives_tokens_design_by_design(embeds: Any, hand_photo: Any) -> None:
    async def requests() -> AsyncIterator[pb.StreamEmbedDesignsRequest]:
        one = design(hand_photo.jpeg)
        yield pb.StreamEmbedDesignsRequest(item_id="with", design=one, token_packing=SMALL)
        yield pb.StreamEmbedDesignsRequest(item_id="without", design=one)
        yield pb.StreamEmbedDesignsRequest(item_id="wrong", design=one, token_packing=pb.TokenPacking(grid=6))

    answers: Any = stream(embeds.stub.StreamEmbedDesigns, requests(), timeout=60)
    items = {answer.item_id: answer.item async for answer in answers}
    (single,) = await embed(embeds, design(hand_photo.jpeg), token_packing=SMALL)
    assert items["with"].embedding.tokens == single.embedding.tokens
    assert not items["without"].embedding.HasField("tokens")
    assert items["wrong"].error.reason == "TOKEN_PACKING_INVALID"


async def test_a_model_without_tokens_says_so(
    embeds: Any, hand_photo: Any, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer = fake_backend.infer

    async def tokenless(model: str, inputs: Any, *, deadline: Any) -> Any:
        outputs = await infer(model, inputs, deadline=deadline)
        outputs.pop("tokens", None)
        return outputs

    monkeypatch.setattr(fake_backend, "infer", tokenless)
    (item,) = await embed(embeds, design(hand_photo.jpeg), token_packing=SMALL)
    assert item.error.reason == "MODEL_UNSUITABLE"
    (item,) = await embed(embeds, design(hand_photo.jpeg))
    assert item.HasField("embedding")


async def queries(embeds: Any, *texts: str, include_tags: bool = True) -> list[pb.QueryEmbedding]:
    request = pb.EmbedQueriesRequest(
        queries=[pb.QueryInput(text=text, include_tags=include_tags) for text in texts]
    )
    items = (await call(embeds.stub.EmbedQueries, request, timeout=60)).items
    assert all(item.HasField("embedding") for item in items)
    return [item.embedding for item in items]


async def test_a_request_tells_what_it_is_about_where_that_is_asked(embeds: Any) -> None:
    text = "marble nails for a wedding, no glitter"
    (result,) = await queries(embeds, text)
    (plain,) = await queries(embeds, text, include_tags=False)
    assert [tag.words for tag in result.tags] == ["marble", "wedding"]
    assert not plain.tags
    assert (result.design, result.text) == (plain.design, plain.text)
    (marble,) = (await texts(embeds, "marble")).items
    assert np.allclose(result.tags[0].vector.values, marble.vector.values, atol=1e-6)
    assert result.tags[0].vector.fingerprint == marble.vector.fingerprint == "fingerprint-of-text_encode"


async def test_a_request_of_no_theme_is_about_its_lines(embeds: Any) -> None:
    (result,) = await queries(embeds, "long almond nails in red")
    assert [tag.words for tag in result.tags] == list(result.mdd)


async def texts(embeds: Any, *sentences: str) -> pb.EmbedTextsResponse:
    response: pb.EmbedTextsResponse = await call(
        embeds.stub.EmbedTexts, pb.EmbedTextsRequest(texts=sentences), timeout=60
    )
    return response


async def test_sentences_are_unit_vectors_of_the_space_text(embeds: Any) -> None:
    response = await texts(embeds, "marble", "桜", "a wedding in the snow", "marble")
    vectors = [np.array(item.vector.values) for item in response.items]
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) for vector in vectors)
    assert np.allclose(vectors[0], vectors[3])
    assert abs(float(vectors[0] @ vectors[1])) < 0.9
    assert {item.vector.space for item in response.items} == {"text"}
    assert "text_encode" in {model.name for model in response.info.models}


async def test_a_bad_sentence_fails_alone(embeds: Any) -> None:
    items = (await texts(embeds, "marble", "  ", "x" * 1_000_000, "dots")).items
    assert [item.WhichOneof("outcome") for item in items] == ["vector", "error", "error", "vector"]
    for index, reason in ((1, "TEXT_EMPTY"), (2, "TEXT_TOO_LONG")):
        error = items[index].error
        assert (error.code, error.reason) == (INVALID, reason)
        assert [violation.field for violation in error.field_violations] == [f"texts[{index}]"]


@pytest.mark.parametrize(("count", "reason"), [(0, "BATCH_EMPTY"), (65, "BATCH_TOO_LARGE")])
async def test_too_few_or_many_sentences_are_refused(embeds: Any, count: int, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await texts(embeds, *["x"] * count)
    assert caught.value.reason == reason
    assert [path for path, _ in caught.value.fields] == ["texts"]
