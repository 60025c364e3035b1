"""CropService and EmbedService for RankService's tests: real servers, answers that a test can reason about.

A text is the sum of fixed random directions, one a word, so that texts with common words are near each other.
A photo is a direction of its own, drawn from its bytes. Palettes are the photo's mean colour. Image tokens
all equal the aesthetic score that a test gives the photo, and the model's double reads them as that.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lunula.crop.v1 import crop_service_pb2 as crop_pb
from lunula.crop.v1 import crop_service_pb2_grpc as crop_grpc
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.embed.v1 import embed_service_pb2_grpc as embed_grpc
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2, photo_pb2, vector_pb2
from nails.aesthetic.tags import tags_of_request
from nails.aesthetic.tokens import Packing, pack
from nails.colour.cielab import srgb_to_lab
from nails.colour.palette import nearest_name
from nails.language.phrases import parse_request
from nails.language.words import split_words
from nails.photo.codec import PhotoError, decode_photo, encode_png
from services.kit.errors import FailedPrecondition, InvalidArgument, LunulaError
from services.kit.models import ModelVersion
from services.kit.server import RunningServer, Service, running_server
from services.kit.settings import ServiceSettings
from services.kit.wire.errors import to_item_error
from services.kit.wire.response_info import response_info

DIMENSIONS, ALIGN_DIMENSIONS, TOKEN_DIMENSIONS = 48, 24, 8


def direction(key: str | bytes, dimensions: int) -> NDArray[np.float64]:
    """A unit vector that only this key has."""
    raw = key.encode() if isinstance(key, str) else key
    seed = int.from_bytes(hashlib.sha256(raw).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return vector / np.linalg.norm(vector)


def text_vector(text: str) -> NDArray[np.float64]:
    """The sum of the words' directions; zeros without words."""
    return sum((direction(word, DIMENSIONS) for word in split_words(text)), np.zeros(DIMENSIONS))


def tag_vector(words: str) -> list[float]:
    """What EmbedService's double makes of a tag."""
    return unit(direction(words, ALIGN_DIMENSIONS))


def unit(vector: NDArray[np.float64]) -> list[float]:
    return (vector / np.linalg.norm(vector)).tolist()


class Doubles:
    """What both servers consult. Tests turn its knobs while the servers run.

    generation: part of every fingerprint, as if the models were exchanged. aesthetic_scores: of photos, 5 for
    others.
    tokenless: the models give no image tokens. gate: open unless closed; work
    waits before it. calls: how often each method was called.
    """

    def __init__(self) -> None:
        self.generation = "a"
        self.aesthetic_scores: dict[bytes, float] = {}
        self.tokenless = False
        self.calls: dict[str, int] = {"crop": 0, "designs": 0, "queries": 0, "texts": 0}
        self.error: LunulaError | None = None
        self.waiting = asyncio.Event()
        self.cancelled = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def design_fingerprint(self) -> str:
        return f"design-{self.generation}"

    @property
    def align_fingerprint(self) -> str:
        return f"align-{self.generation}"

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def pass_gate(self, method: str) -> None:
        self.calls[method] += 1
        if self.error is not None:
            raise self.error
        if self._open.is_set():
            return
        self.waiting.set()
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class CropDouble(crop_grpc.CropServiceServicer):
    """Crops nothing, names the mean colour."""

    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    async def CropImages(self, request: crop_pb.CropImagesRequest, context: Any) -> Any:
        del context
        await self._doubles.pass_gate("crop")
        items = []
        for index, photo in enumerate(request.photos):
            try:
                image = decode_photo(photo.data)
            except PhotoError as error:
                wrong = InvalidArgument(
                    error.description,
                    reason=error.reason,
                    fields=[(f"photos[{index}].data", error.description)],
                )
                items.append(crop_pb.CropItem(error=to_item_error(wrong)))
                continue
            height, width = image.shape[:2]
            lab = srgb_to_lab(image.reshape(-1, 3).mean(axis=0, keepdims=True).astype(np.uint8))[0]
            colour = palette_pb2.PaletteColour(
                colour=palette_pb2.LabColour(l=lab[0], a=lab[1], b=lab[2]), weight=1, name=nearest_name(lab)
            )
            result = crop_pb.CropResult(
                size=photo_pb2.ImageSize(width=width, height=height),
                target_hand=-1,
                crop_box=photo_pb2.Box(x0=0, y0=0, x1=width, y1=height),
                crop=encode_png(image[:16, :16]),
                palette=palette_pb2.Palette(colours=[colour]),
            )
            items.append(crop_pb.CropItem(result=result))
        return crop_pb.CropImagesResponse(items=items, info=response_info())


class EmbedDouble(embed_grpc.EmbedServiceServicer):
    """Vectors of words and bytes."""

    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    async def EmbedDesigns(self, request: embed_pb.EmbedDesignsRequest, context: Any) -> Any:
        del context
        await self._doubles.pass_gate("designs")
        self._check(request.expected_fingerprint)
        packing = None
        if request.HasField("token_packing"):
            packing = Packing(request.token_packing.grid, request.token_packing.bits)
            if self._doubles.tokenless:
                raise FailedPrecondition("no tokens", reason="MODEL_UNSUITABLE")
        items = []
        for design in request.designs:
            try:
                decode_photo(design.photo.data)
            except PhotoError as error:
                path = "designs[0].photo.data"
                wrong = InvalidArgument(
                    error.description, reason=error.reason, fields=[(path, error.description)]
                )
                items.append(embed_pb.EmbedDesignsItem(error=to_item_error(wrong)))
                continue
            fused = text_vector(design.text) + 0.3 * direction(design.photo.data, DIMENSIONS)
            items.append(
                embed_pb.EmbedDesignsItem(
                    embedding=embed_pb.DesignEmbedding(
                        design=self._vector("design", fused, self._doubles.design_fingerprint),
                        align=self._vector(
                            "align",
                            direction(design.photo.data, ALIGN_DIMENSIONS),
                            self._doubles.align_fingerprint,
                        ),
                        **(self._tokens(design.photo.data, packing) if packing is not None else {}),
                    )
                )
            )
        return embed_pb.EmbedDesignsResponse(items=items, info=response_info(self._models()))

    async def EmbedQueries(self, request: embed_pb.EmbedQueriesRequest, context: Any) -> Any:
        del context
        await self._doubles.pass_gate("queries")
        items = []
        for query in request.queries:
            self._check(query.expected_fingerprint)
            reading = parse_request(query.text)
            palette = query.palette
            if not palette.colours:
                palette = palette_pb2.Palette(
                    colours=[
                        palette_pb2.PaletteColour(
                            colour=palette_pb2.LabColour(l=colour.lab[0], a=colour.lab[1], b=colour.lab[2]),
                            weight=1 / len(reading.colours),
                            name=colour.name,
                        )
                        for colour in reading.colours
                    ]
                )
            fused = text_vector(query.text)
            if not fused.any():
                fused = direction(query.text, DIMENSIONS)
            items.append(
                embed_pb.EmbedQueriesItem(
                    embedding=embed_pb.QueryEmbedding(
                        design=self._vector("design", fused, self._doubles.design_fingerprint),
                        phrases=[
                            embed_pb.Phrase(kind=p.kind, text=p.text, name=p.name, negated=p.negated)
                            for p in reading.phrases
                        ],
                        palette=palette,
                        tags=[
                            embed_pb.TagEmbedding(words=words, vector=self._text(words))
                            for words in tags_of_request(reading.phrases, reading.mdd)
                            if query.include_tags
                        ],
                    )
                )
            )
        return embed_pb.EmbedQueriesResponse(items=items, info=response_info(self._models()))

    async def EmbedTexts(self, request: embed_pb.EmbedTextsRequest, context: Any) -> Any:
        del context
        await self._doubles.pass_gate("texts")
        items = [embed_pb.EmbedTextsItem(vector=self._text(words)) for words in request.texts]
        return embed_pb.EmbedTextsResponse(items=items, info=response_info(self._models()))

    def _text(self, words: str) -> vector_pb2.Vector:
        return vector_pb2.Vector(
            space="text", values=tag_vector(words), fingerprint=f"text-{self._doubles.generation}"
        )

    def _tokens(self, data: bytes, packing: Packing) -> dict[str, Any]:
        tokens = np.full((49, TOKEN_DIMENSIONS), self._doubles.aesthetic_scores.get(data, 5.0), np.float32)
        return {
            "tokens": embed_pb.ImageTokens(
                data=pack(tokens, packing),
                packing=embed_pb.TokenPacking(grid=packing.grid, bits=packing.bits),
                dims=TOKEN_DIMENSIONS,
                fingerprint=f"tokens-{self._doubles.generation}-{packing.grid}-{packing.bits}",
            ),
            "photo_align": self._vector(
                "align", direction(data, ALIGN_DIMENSIONS), self._doubles.align_fingerprint
            ),
        }

    def _check(self, expected: str) -> None:
        if expected and expected != self._doubles.design_fingerprint:
            raise FailedPrecondition("other models", reason="FINGERPRINT_MISMATCH")

    def _models(self) -> Sequence[ModelVersion]:
        return [ModelVersion(name="double", version="1", fingerprint=self._doubles.design_fingerprint)]

    @staticmethod
    def _vector(space: str, values: NDArray[np.float64], fingerprint: str) -> vector_pb2.Vector:
        return vector_pb2.Vector(space=space, values=unit(values), fingerprint=fingerprint)


class Neighbours(NamedTuple):
    """Both servers, and the knobs."""

    crop: RunningServer
    embed: RunningServer
    doubles: Doubles


async def _ready() -> bool:
    return True


def _service(name: str, register: Any, servicer: Any) -> Any:
    @asynccontextmanager
    async def build(settings: ServiceSettings, registry: Any) -> AsyncIterator[list[Service]]:
        del settings, registry
        yield [Service(name, lambda server: register(servicer, server), _ready)]

    return build


@asynccontextmanager
async def embed_server(doubles: Doubles, port: int = 0) -> AsyncIterator[RunningServer]:
    """An EmbedService."""
    build = _service(
        "lunula.embed.v1.EmbedService",
        embed_grpc.add_EmbedServiceServicer_to_server,
        EmbedDouble(doubles),
    )
    async with running_server(ServiceSettings(port=port, drain_s=0), build) as server:
        await server.until_serving()
        yield server


@asynccontextmanager
async def neighbours() -> AsyncIterator[Neighbours]:
    """A CropService and an EmbedService on free ports."""
    doubles = Doubles()
    build = _service(
        "lunula.crop.v1.CropService", crop_grpc.add_CropServiceServicer_to_server, CropDouble(doubles)
    )
    async with (
        running_server(ServiceSettings(port=0, drain_s=0), build) as crop,
        embed_server(doubles) as embed,
    ):
        await crop.until_serving()
        yield Neighbours(crop, embed, doubles)


def photo(colour: tuple[int, int, int], key: str = "") -> bytes:
    """A small photo of one colour; every key makes another file of it."""
    image = np.full((32, 32, 3), colour, np.uint8)
    image[0, :4] = np.frombuffer(hashlib.sha256(key.encode()).digest()[:12], np.uint8).reshape(4, 3)
    return encode_png(image)


def design(design_id: str, *, colour: tuple[int, int, int] = (200, 120, 140), **fields: Any) -> pb.Design:
    """A design with a photo of its own."""
    return pb.Design(design_id=design_id, photo=photo_pb2.Photo(data=photo(colour, design_id)), **fields)


async def index(stub: Any, designs: Sequence[pb.Design], **first: Any) -> list[pb.IndexDesignsResponse]:
    """Sends the designs in one stream; the answers by sequence."""

    async def requests() -> AsyncIterator[pb.IndexDesignsRequest]:
        for number, one in enumerate(designs):
            yield pb.IndexDesignsRequest(design=one, **(first if number == 0 else {}))

    answers = [answer async for answer in stub.IndexDesigns(requests(), timeout=60)]
    return sorted(answers, key=lambda answer: answer.sequence)
