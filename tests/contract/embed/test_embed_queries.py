"""Requests to vectors over a real server: what is read, what counts, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.type.v1 import item_error_pb2, palette_pb2
from services.kit.client import call
from services.kit.errors import InvalidArgument

INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION.value[0]
TEXT = "long almond nails, milky pink, a thin gold French line, no glitter"


def palette(*colours: tuple[float, float, float], weights: tuple[float, ...] = ()) -> palette_pb2.Palette:
    given = weights or (0.0,) * len(colours)
    return palette_pb2.Palette(
        colours=[
            palette_pb2.PaletteColour(
                colour=palette_pb2.LabColour(l=lab[0], a=lab[1], b=lab[2]), weight=weight
            )
            for lab, weight in zip(colours, given, strict=True)
        ]
    )


async def embed(embeds: Any, *queries: pb.QueryInput) -> list[pb.EmbedQueriesItem]:
    request = pb.EmbedQueriesRequest(queries=queries)
    return list((await call(embeds.stub.EmbedQueries, request, timeout=60)).items)


def vector(item: pb.EmbedQueriesItem) -> np.ndarray[Any, Any]:
    assert item.HasField("embedding"), item.error
    return np.array(item.embedding.design.values)


def facts(error: item_error_pb2.ItemError) -> tuple[int, str, list[str]]:
    return error.code, error.reason, [violation.field for violation in error.field_violations]


async def test_a_request_has_unit_vectors_and_tells_what_was_read(embeds: Any) -> None:
    embedding = (await embed(embeds, pb.QueryInput(text=TEXT)))[0].embedding
    assert np.linalg.norm(embedding.design.values) == pytest.approx(1.0, abs=1e-5)
    assert (embedding.text.space, embedding.text.fingerprint) == ("text", "fingerprint-of-text_encode")
    assert len(embedding.text.values) == 512
    assert embedding.mdd and embedding.nnp
    phrases = {(phrase.kind, phrase.name): phrase.negated for phrase in embedding.phrases}
    assert phrases[("shape", "almond")] is False
    assert any(negated for (_, name), negated in phrases.items() if "glitter" in name)
    assert not any("glitter" in phrase for phrase in embedding.nnp)


async def test_designs_and_requests_share_the_space_design(embeds: Any, hand_photo: Any) -> None:
    query = (await embed(embeds, pb.QueryInput(text=TEXT)))[0].embedding.design
    request = pb.EmbedDesignsRequest(designs=[pb.DesignInput(photo={"data": hand_photo.jpeg})])
    response = await call(embeds.stub.EmbedDesigns, request, timeout=30)
    shown = response.items[0].embedding.design
    assert (query.space, query.fingerprint, len(query.values)) == (
        shown.space,
        shown.fingerprint,
        len(shown.values),
    )


async def test_colours_named_in_the_text_become_the_palette_when_none_is_given(embeds: Any) -> None:
    items = await embed(
        embeds,
        pb.QueryInput(text="black nails with gold"),
        pb.QueryInput(text="黒いネイルにゴールド"),
        pb.QueryInput(text="black nails with gold", palette=palette((53.2, 80.1, 67.2))),
        pb.QueryInput(text="something nice"),
    )
    names = [[colour.name for colour in item.embedding.palette.colours] for item in items]
    assert names == [["black", "gold"], ["black", "gold"], ["red"], []]
    for item in items[:3]:
        assert sum(colour.weight for colour in item.embedding.palette.colours) == pytest.approx(1.0)


async def test_text_palette_and_context_all_count(embeds: Any) -> None:
    items = await embed(
        embeds,
        pb.QueryInput(text=TEXT),
        pb.QueryInput(text="square nails"),
        pb.QueryInput(text=TEXT, palette=palette((53.2, 80.1, 67.2))),
        pb.QueryInput(text=TEXT, context="a summer festival"),
    )
    vectors = [vector(item) for item in items]
    for index, one in enumerate(vectors):
        for another in vectors[index + 1 :]:
            assert abs(float(one @ another)) < 0.9
    assert items[3].embedding.mdd[0] == "a summer festival"


@pytest.mark.parametrize("cached", [0, 4096])
async def test_a_request_has_the_same_vectors_alone_and_in_a_batch(
    open_embeds: Callable[..., Any], cached: int
) -> None:
    texts = [TEXT, "red", "短めのスクエア、白いフレンチ", "a" * 3000, "gold " * 400, "🌸"]
    queries = [pb.QueryInput(text=text) for text in texts] * 4
    async with open_embeds(cached_texts=cached) as embeds:
        together = await embed(embeds, *queries)
        for index, query in enumerate(queries[: len(texts)]):
            alone = vector((await embed(embeds, query))[0])
            for repeat in range(index, len(queries), len(texts)):
                assert np.allclose(alone, vector(together[repeat]), atol=1e-5)


async def test_missing_weights_share_and_given_ones_are_scaled(embeds: Any) -> None:
    red, blue = (53.2, 80.1, 67.2), (32.3, 79.2, -107.9)
    items = await embed(
        embeds,
        pb.QueryInput(text="x", palette=palette(red, blue)),
        pb.QueryInput(text="x", palette=palette(red, blue, weights=(0.6, 0.2))),
    )
    weights = [[colour.weight for colour in item.embedding.palette.colours] for item in items]
    assert weights[0] == pytest.approx([0.5, 0.5])
    assert weights[1] == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(
    ("query", "reason", "field"),
    [
        (pb.QueryInput(text=""), "TEXT_EMPTY", "text"),
        (pb.QueryInput(text=" \n\t"), "TEXT_EMPTY", "text"),
        (pb.QueryInput(text="x" * 100_000), "TEXT_TOO_LONG", "text"),
        (pb.QueryInput(text="x", context="x" * 100_000), "TEXT_TOO_LONG", "context"),
        (
            pb.QueryInput(text="x", palette=palette((50, 0, 0), (float("nan"), 0, 0))),
            "COLOUR_NOT_FINITE",
            "palette.colours[1].colour",
        ),
        (
            pb.QueryInput(text="x", palette=palette((50, float("inf"), 0))),
            "COLOUR_NOT_FINITE",
            "palette.colours[0].colour",
        ),
        (
            pb.QueryInput(text="x", palette=palette((50, 0, 0), (50, 0, 0), (90, 120, 120))),
            "COLOUR_OUT_OF_GAMUT",
            "palette.colours[2].colour",
        ),
        (
            pb.QueryInput(text="x", palette=palette((50, 0, 0), weights=(-0.5,))),
            "COLOUR_WEIGHT_INVALID",
            "palette.colours[0].weight",
        ),
        (
            pb.QueryInput(text="x", palette=palette(*[(50.0, 0.0, 0.0)] * 13)),
            "PALETTE_TOO_MANY_COLOURS",
            "palette.colours",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_bad_request_is_refused_with_reason_and_path_and_harms_no_other(
    embeds: Any, query: pb.QueryInput, reason: str, field: str
) -> None:
    good, bad = await embed(embeds, pb.QueryInput(text="red nails"), query)
    assert good.HasField("embedding")
    assert facts(bad.error) == (INVALID, reason, [f"queries[1].{field}"])


async def test_another_expected_fingerprint_is_refused_for_its_request_alone(embeds: Any) -> None:
    good, bad = await embed(
        embeds, pb.QueryInput(text="red"), pb.QueryInput(text="red", expected_fingerprint="0" * 64)
    )
    assert good.HasField("embedding")
    assert facts(bad.error) == (PRECONDITION, "FINGERPRINT_MISMATCH", ["queries[1].expected_fingerprint"])
    right = good.embedding.design.fingerprint
    assert (await embed(embeds, pb.QueryInput(text="red", expected_fingerprint=right)))[0].HasField(
        "embedding"
    )


@pytest.mark.parametrize(("count", "reason"), [(0, "BATCH_EMPTY"), (65, "BATCH_TOO_LARGE")])
async def test_a_batch_of_the_wrong_size_is_refused(embeds: Any, count: int, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await embed(embeds, *[pb.QueryInput(text="x")] * count)
    assert caught.value.reason == reason
    assert [path for path, _ in caught.value.fields] == ["queries"]
