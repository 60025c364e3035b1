"""EmbedService: vectors of designs, requests and words, and the space that its models make."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import grpc
import numpy as np

from lunula.embed.v1 import embed_service_pb2 as pb
from lunula.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from lunula.type.v1 import photo_pb2, vector_pb2
from nails.aesthetic.tokens import Packing
from nails.colour.palette import PaletteColour
from nails.language.phrases import Phrase
from nails.photo.codec import encode_png
from services.intake.messages import palette_colours, palette_message
from services.kit.errors import FailedPrecondition, Internal
from services.kit.models import ModelVersion
from services.kit.telemetry.timings import stage
from services.kit.wire.errors import from_item_error
from services.kit.wire.response_info import read_models
from services.rank.catalogue.companions import describe_space
from services.rank.catalogue.version import Space
from services.rank.clients.upstream_call import MISMATCH, Budget, UpstreamCaller, only_item, relocate
from services.rank.upstream import (
    EmbeddedDesign,
    EmbeddedQuery,
    ImageTokens,
    Vector,
    fingerprint_mismatch,
)


class EmbedClient:
    """Calls EmbedService."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        timeout_s: float,
        space_ttl_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """timeout_s: of one call; a nearer deadline wins. space_ttl_s: how long `space` is cached."""
        self._stub = EmbedServiceStub(channel)
        self._call = UpstreamCaller("EmbedService", "EMBED_SERVICE_UNAVAILABLE", timeout_s)
        self.models: dict[str, ModelVersion] = {}
        """The models that took part in the latest answers about designs, by name."""
        self._space_ttl_s = space_ttl_s
        self._clock_s = clock_s
        self._describing = asyncio.Lock()
        self._space: Space | None = None
        self._space_packing: Packing | None = None
        self._space_read_s = -float("inf")

    async def embed_design(
        self,
        photo: bytes,
        budget: Budget,
        *,
        places: Mapping[str, str],
        crop: bytes = b"",
        text: str = "",
        context: str = "",
        expected_fingerprint: str = "",
        packing: Packing | None = None,
    ) -> EmbeddedDesign:
        """Vectors of one design. crop: empty where the photo stands in for it.

        places: where the parts are in the caller's request, by their names here. packing: of the image tokens
        that are wanted too. Raises as UpstreamCaller does.
        """
        request = pb.EmbedDesignsRequest(
            designs=[
                pb.DesignInput(
                    photo=photo_pb2.Photo(data=photo),
                    crop=photo_pb2.Photo(data=crop) if crop else None,
                    text=text,
                    context=context,
                )
            ],
            expected_fingerprint=expected_fingerprint,
            token_packing=(
                None if packing is None else pb.TokenPacking(grid=packing.grid, bits=packing.bits)
            ),
        )
        moved = {f"designs[0].{part}": place for part, place in places.items()}
        with stage("embed"):
            response: pb.EmbedDesignsResponse = await self._call(
                self._stub.EmbedDesigns, request, budget, moved
            )
        item = only_item(response.items)
        if item.WhichOneof("outcome") != "embedding":
            raise relocate(from_item_error(item.error), moved)
        models = read_models(response.info)
        self.models.update({model.name: model for model in models})
        made = item.embedding
        return EmbeddedDesign(
            _vector(made.design),
            _vector(made.align),
            models,
            _tokens(made.tokens) if made.HasField("tokens") else None,
            _vector(made.photo_align) if made.HasField("photo_align") else None,
        )

    async def embed_query(
        self,
        text: str,
        palette: Sequence[PaletteColour],
        context: str,
        budget: Budget,
        *,
        expected_fingerprint: str,
        include_tags: bool,
    ) -> EmbeddedQuery:
        """The vector of one request whose fields are called text, palette and context.

        include_tags: vectors of what it is about, too. Raises as UpstreamCaller does.
        """
        query = pb.QueryInput(
            text=text,
            palette=palette_message(palette),
            context=context,
            expected_fingerprint=expected_fingerprint,
            include_tags=include_tags,
        )
        places = {"queries[0].": ""}
        with stage("embed"):
            response: pb.EmbedQueriesResponse = await self._call(
                self._stub.EmbedQueries, pb.EmbedQueriesRequest(queries=[query]), budget, places
            )
        item = only_item(response.items)
        if item.WhichOneof("outcome") != "embedding":
            error = from_item_error(item.error)
            if error.reason == MISMATCH:
                raise fingerprint_mismatch({"expected": expected_fingerprint})
            raise relocate(error, places)
        made = item.embedding
        return EmbeddedQuery(
            _vector(made.design),
            tuple(Phrase(one.kind, one.text, one.name, one.negated) for one in made.phrases),
            palette_colours(made.palette),
            tuple(_vector(tag.vector) for tag in made.tags),
            read_models(response.info),
        )

    async def embed_texts(
        self, texts: Sequence[str], places: Mapping[str, str], budget: Budget
    ) -> list[Vector]:
        """Vectors of sentences, in order. places: where they are in the caller's request, by our paths."""
        with stage("embed"):
            response: pb.EmbedTextsResponse = await self._call(
                self._stub.EmbedTexts, pb.EmbedTextsRequest(texts=texts), budget, places
            )
        if len(response.items) != len(texts):
            raise Internal("EmbedService gave another number of vectors", reason="UPSTREAM_REFUSED")
        for item in response.items:
            if item.WhichOneof("outcome") != "vector":
                raise relocate(from_item_error(item.error), places)
        return [_vector(item.vector) for item in response.items]

    async def space(self, budget: Budget, *, fresh: bool = False, packing: Packing | None = None) -> Space:
        """What a catalogue version made now would hold, found out by embedding a small grey photo.

        Cached for `space_ttl_s` unless `fresh` is set. packing: of the image tokens that are wanted; where
        EmbedService gives none, the space has no such companion.
        """
        async with self._describing:
            young = self._clock_s() - self._space_read_s < self._space_ttl_s
            if not fresh and self._space is not None and young and packing in (None, self._space_packing):
                return self._space
            self._space = describe_space(await self._probe(packing, budget))
            self._space_packing = packing
            self._space_read_s = self._clock_s()
            return self._space

    async def _probe(self, packing: Packing | None, budget: Budget) -> EmbeddedDesign:
        """With tokens where the models have them: that they do not is no reason to take no designs."""
        photo = encode_png(np.full((64, 64, 3), 127, np.uint8))
        try:
            return await self.embed_design(photo, budget, places={}, packing=packing)
        except FailedPrecondition as error:
            if packing is None or error.reason != "MODEL_UNSUITABLE":
                raise
            return await self.embed_design(photo, budget, places={})


def _vector(message: vector_pb2.Vector) -> Vector:
    return Vector(tuple(message.values), message.fingerprint)


def _tokens(message: pb.ImageTokens) -> ImageTokens:
    packing = Packing.of({"grid": str(message.packing.grid), "bits": str(message.packing.bits)})
    return ImageTokens(message.data, packing, message.dims, message.fingerprint)
