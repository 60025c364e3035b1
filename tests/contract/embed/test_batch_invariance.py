"""With the real weights: every embedding alone equals that embedding among others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.embed.v1 import embed_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from nails.encoders import ENCODERS
from nails.language.word_pieces import SentenceTokenizer, pad_rows, padded_length
from services.embed.build import build
from services.embed.settings import EmbedSettings
from services.kit.client import call, connect
from services.kit.deadline import Deadline
from services.kit.inference.local import LocalBackend
from services.kit.server import running_server

TOLERANCE = 1e-5
TEXTS = [
    "long almond nails, milky pink, a thin gold French line, one pearl on the ring finger",
    "short red nails",
    "短めのスクエア、白いフレンチ、薬指にパール",
    "ongles noirs mats avec des paillettes",
    "red",
    "a deep navy base with tiny stars and a crescent moon on the thumb, glossy, for a winter evening " * 3,
]


def unit(generator: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    values = generator.standard_normal(shape)
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), np.float32)


def image_rows(model: str, rows: int) -> dict[str, NDArray[Any]]:
    """Smooth, differing pictures in the models' range: noise alone would look the same to them."""
    generator = np.random.default_rng(len(model))
    side, coarse = {"nail_seg": (512, 16), "hand_detect": (320, 10), "hand_pose": (256, 8)}.get(
        model, (224, 7)
    )
    patches = generator.uniform(-1, 1, (rows, 3, coarse, coarse)).astype(np.float32)
    images = patches.repeat(side // coarse, axis=2).repeat(side // coarse, axis=3)
    return {"hands" if model == "hand_pose" else "images": images}


def fuse_rows(model: str, rows: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(3)
    if model == "design_fuse":
        inputs = {name: unit(generator, rows, 512) for name in ("align", "crop", "text")}
        inputs["text"][::2] = 0.0
        return inputs | {"style": unit(generator, rows, 256)}
    nnp_mask = (np.arange(16) < np.arange(rows)[:, None] * 3).astype(np.float32)
    palette_mask = (np.arange(12) < np.arange(rows)[:, None] % 4).astype(np.float32)
    palette = generator.uniform((20, -40, -40), (90, 40, 40), (rows, 12, 3)).astype(np.float32)
    return {
        "text": unit(generator, rows, 512),
        "mdd": unit(generator, rows, 512),
        "nnp": unit(generator, rows, 16, 512) * nnp_mask[..., None],
        "nnp_mask": nnp_mask,
        "palette": palette * palette_mask[..., None],
        "palette_mask": palette_mask,
    }


def text_rows(rows: int) -> dict[str, NDArray[Any]]:
    tokenizer = SentenceTokenizer()
    tokens = [tokenizer.encode(text) for text in TEXTS[:rows]]
    ids, mask = pad_rows(tokens, padded_length(max(map(len, tokens))))
    return {"input_ids": ids, "attention_mask": mask}


def rows_of(model: str, rows: int) -> dict[str, NDArray[Any]]:
    if model == "text_encode":
        return text_rows(rows)
    return fuse_rows(model, rows) if model.endswith("_fuse") else image_rows(model, rows)


def need(root: Path, *models: str) -> Path:
    """The model repository; skips where weights are missing."""
    repository = root / "triton_models"
    for model in models:
        if not (repository / model / "1" / "model.onnx").is_file():
            pytest.skip(f"no weights of {model}: `lunula models build` makes or finds them")
    return repository


@pytest.mark.parametrize("model", [*ENCODERS, "nail_seg", "hand_detect", "hand_pose", "artist_image"])
async def test_a_row_does_not_depend_on_the_rows_beside_it(root: Path, model: str) -> None:
    repository = need(root, model)
    backend = LocalBackend(repository, [model])
    inputs = rows_of(model, 6)
    try:
        together = await backend.infer(model, inputs, deadline=Deadline.after(100))
        for row in range(6):
            one = {name: tensor[row : row + 1] for name, tensor in inputs.items()}
            alone = await backend.infer(model, one, deadline=Deadline.after(100))
            for name, found in alone.items():
                # Half-precision tokens are rounded to steps larger than the tolerance.
                step = TOLERANCE if found.dtype != np.float16 else 2e-3
                # Scores over many bins are unbounded; the tolerance is relative to their size.
                scale = max(1.0, float(np.abs(together[name]).max()))
                gap = np.abs(found[0].astype(np.float64) - together[name][row]).max()
                assert gap <= step * scale, f"{name} of row {row} differs by {gap}"
        embedding = together.get("embedding")
        if embedding is not None:
            gaps = np.linalg.norm(embedding[:, None] - embedding[None], axis=-1)
            assert gaps[~np.eye(6, dtype=bool)].min() > 100 * TOLERANCE, "rows that differ must differ"
    finally:
        await backend.close()


@asynccontextmanager
async def real_embeds(root: Path) -> AsyncIterator[Any]:
    settings = EmbedSettings(port=0, model_repository=need(root, *ENCODERS), cached_texts=0)
    async with running_server(settings, build) as server, connect(server.address) as channel:
        await server.until_serving()
        yield pb_grpc.EmbedServiceStub(channel)


async def test_a_request_alone_equals_that_request_among_others(root: Path) -> None:
    queries = [pb.QueryInput(text=text, context="party" if i % 2 else "") for i, text in enumerate(TEXTS)]
    async with real_embeds(root) as stub:
        together = await call(stub.EmbedQueries, pb.EmbedQueriesRequest(queries=queries * 2), timeout=100)
        for index, query in enumerate(queries):
            alone = await call(stub.EmbedQueries, pb.EmbedQueriesRequest(queries=[query]), timeout=100)
            for other in (together.items[index], together.items[index + len(queries)]):
                assert_equal(alone.items[0].embedding, other.embedding, "design", "text")


async def test_a_design_alone_equals_that_design_among_others(
    root: Path, paint: Callable[..., Any], odd_photos: Mapping[str, bytes]
) -> None:
    photos = [paint(nails=[(20, 20, 60 + 20 * i, 160)], tint=20 * i).jpeg for i in range(4)]
    designs = [
        pb.DesignInput(photo=photo_pb2.Photo(data=data), text=text)
        for data, text in zip([*photos, *odd_photos.values()], ["", *TEXTS], strict=True)
    ]
    async with real_embeds(root) as stub:
        together = await call(stub.EmbedDesigns, pb.EmbedDesignsRequest(designs=designs), timeout=100)
        for index, design in enumerate(designs):
            alone = await call(stub.EmbedDesigns, pb.EmbedDesignsRequest(designs=[design]), timeout=100)
            assert_equal(alone.items[0].embedding, together.items[index].embedding, "design", "align")


async def test_a_rotated_photo_is_embedded_as_the_upright_one_is(
    root: Path, hand_photo: Any, odd_photos: Mapping[str, bytes]
) -> None:
    designs = [
        pb.DesignInput(photo=photo_pb2.Photo(data=data))
        for data in (hand_photo.jpeg, odd_photos["EXIF-rotated JPEG"], odd_photos["16-bit PNG"])
    ]
    async with real_embeds(root) as stub:
        response = await call(stub.EmbedDesigns, pb.EmbedDesignsRequest(designs=designs), timeout=100)
    upright, *others = [np.array(item.embedding.design.values) for item in response.items]
    for other in others:
        assert float(upright @ other) > 0.98


def assert_equal(one: Any, other: Any, *spaces: str) -> None:
    for space in spaces:
        first, second = np.array(getattr(one, space).values), np.array(getattr(other, space).values)
        assert first.size and np.abs(first - second).max() <= TOLERANCE, space
