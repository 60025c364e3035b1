"""A real ClassifyService on a free port: a scripted image model, and a fastText model trained on the spot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import numpy as np
import pytest

from lunula.classify.v1 import classify_service_pb2_grpc as pb_grpc
from nails.artist.openset import BOTH, IMAGE, TEXT, Coefficients, OpenSet, Prototypes
from nails.artist.text_vectors import SparseRows, compute_rarities, vectorise
from nails.language.words import split_words
from services.classify.build import serve_on
from services.classify.features.references import References
from services.classify.features.text_model import FastTextModel
from services.classify.identify.label_evidence import LabelTable
from services.classify.settings import ClassifySettings
from services.kit.client import connect
from services.kit.inference.base import ModelMetadata
from services.kit.inference.fake import FakeBackend
from services.kit.server import RunningServer, running_server

LABELS = ("ayame", "botan", "chie", "dan")
"""The artists of the image model; the text model lacks the last of them, and has "emi" besides."""
SAYINGS = {
    "ayame": "milky pink pearl bridal 桜色",
    "botan": "black gold gothic lace 黒",
    "chie": "sea blue shell summer 海",
    "emi": "neon green graffiti 緑",
}


LABEL_TABLE = LabelTable({("book", "cup"): {"ayame": 3, "dan": 1}, (): {"botan": 2, "chie": 2}})
OPENSET = OpenSet(
    {
        IMAGE: Coefficients((8.0, 0.5, 10.0, 0.0), (-1.0, 0.0, 20.0, 0.0)),
        TEXT: Coefficients((2.0, 0.5, 0.0, 10.0), (-1.0, 0.0, 0.0, 20.0)),
        BOTH: Coefficients((8.0, 0.5, 6.0, 6.0), (-1.0, 0.0, 10.0, 10.0)),
    }
).to_parameters()
"""Coefficients of the unknown class and of enrolled artists in these tests; a real model's are fitted."""


class Classifies(NamedTuple):
    """A client's stub and the server behind it."""

    stub: Any
    server: RunningServer


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> FastTextModel:
    """A quantised model of the four sayings."""
    folder = tmp_path_factory.mktemp("artist_text")
    lines = [f"__label__{artist} {' '.join(split_words(text))}" for artist, text in SAYINGS.items()]
    (folder / "texts.txt").write_text("\n".join(lines * 30) + "\n", encoding="utf-8")
    # fastText leaves a part of its first layer unset when it has fewer than eleven threads.
    model = fasttext.train_supervised(
        str(folder / "texts.txt"), epoch=25, dim=16, wordNgrams=2, bucket=1000, verbose=0, thread=12
    )
    model.quantize(input=str(folder / "texts.txt"), retrain=False)
    model.save_model(str(folder / "model.ftz"))
    return FastTextModel(folder / "model.ftz")


def look(channels: Any) -> Any:
    """An embedding that tells colours apart: [N,3] means of the channels -> f32 [N,256] of length 1."""
    found = np.zeros((len(channels), 256), np.float32)
    found[:, :3] = channels
    found[:, 3] = 0.2
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="session")
def references() -> References:
    """Prototypes of three artists, of whom one likes red, one green and one blue photos."""
    rarity = compute_rarities(SAYINGS.values()).astype(np.float32)
    return References(
        trained=Prototypes(
            tuple(SAYINGS)[:3],
            look(2.0 * np.eye(3) - 1.0),
            SparseRows.stack(vectorise(SAYINGS[artist], rarity) for artist in tuple(SAYINGS)[:3]),
        ),
        rarity=rarity,
        image_fingerprint="fingerprint-of-artist_image",
        space="space-of-these-tests",
    )


def see_artists(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """artist_image that takes a red photo for ayame's, a green one for botan's, a blue one for chie's."""
    channels = inputs["images"].mean(axis=(2, 3))
    logits = np.concatenate([3 * channels, np.zeros((len(channels), 1))], axis=1)
    return {
        "logits": logits.astype(np.float32),
        "embedding": look(channels),
    }


@pytest.fixture
def open_classifies(
    compact_models: list[ModelMetadata],
    gate: Any,
    text_model: FastTextModel,
    references: References,
    tmp_path: Path,
) -> Callable[..., AbstractAsyncContextManager[Classifies]]:
    """Opens a server with settings and calibration parameters of the test's choice."""

    @asynccontextmanager
    async def open_(
        parameters: Mapping[str, str] | None = None,
        *,
        await_ready: bool = True,
        references: References | None = references,
        **settings: Any,
    ) -> AsyncIterator[Classifies]:
        image = next(model for model in compact_models if model.name == "artist_image")
        backend = FakeBackend(
            [replace(image, parameters=parameters or {})], answers={"artist_image": see_artists}, before=gate
        )
        chosen = ClassifySettings(port=0, **{"enrolled": tmp_path / "artists", **settings})
        async with (
            running_server(
                chosen,
                lambda s, _: serve_on(
                    backend,
                    s,
                    labels=LABELS,
                    text_model=text_model,
                    references=references,
                    label_table=LABEL_TABLE,
                ),
            ) as server,
            connect(server.address) as channel,
        ):
            if await_ready:
                await server.until_serving()
            yield Classifies(pb_grpc.ClassifyServiceStub(channel), server)

    return open_


@pytest.fixture
async def classifies(
    open_classifies: Callable[..., AbstractAsyncContextManager[Classifies]],
) -> AsyncIterator[Classifies]:
    """A server with the default settings."""
    async with open_classifies() as opened:
        yield opened
