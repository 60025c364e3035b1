"""The two services that RankService calls, with errors told in the terms of the caller's own request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import numpy as np

from lunula.crop.v1 import crop_service_pb2 as crop_pb
from lunula.crop.v1.crop_service_pb2_grpc import CropServiceStub
from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from lunula.type.v1 import palette_pb2, photo_pb2, response_info_pb2, vector_pb2
from nails.aesthetic.tokens import Packing
from nails.photo.codec import encode_png
from services.kit.client import call
from services.kit.deadline import Deadline
from services.kit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    LunulaError,
    ResourceExhausted,
    Unavailable,
)
from services.kit.retry import Backoff
from services.kit.telemetry.timings import stage
from services.kit.wire.errors import from_item_error
from services.rank.catalogue.token_rows import TokenSpace
from services.rank.catalogue.versions import Space

T = TypeVar("T")

# What a peer may say about a caller's request; everything else is between the services.
_ABOUT_THE_REQUEST = (InvalidArgument, FailedPrecondition, ResourceExhausted)
_RETRY_AFTER_S = 1.0
_MISMATCH = "FINGERPRINT_MISMATCH"


@dataclass(frozen=True)
class CroppedPhoto:
    """Nails, crop and palette of a photo, and the models that found them."""

    result: crop_pb.CropResult
    models: tuple[response_info_pb2.ModelVersion, ...]


@dataclass(frozen=True)
class EmbeddedDesign:
    """Vectors of a design and the models that made them. tokens, photo_align: None where not asked for."""

    design: vector_pb2.Vector
    align: vector_pb2.Vector
    models: tuple[response_info_pb2.ModelVersion, ...]
    tokens: embed_pb.ImageTokens | None = None
    photo_align: vector_pb2.Vector | None = None

    @property
    def token_space(self) -> TokenSpace | None:
        """What the tokens are; None where there are none."""
        if self.tokens is None or self.photo_align is None:
            return None
        packing = Packing.of({"grid": str(self.tokens.packing.grid), "bits": str(self.tokens.packing.bits)})
        return TokenSpace(self.tokens.fingerprint, packing, self.tokens.dims, len(self.photo_align.values))


@dataclass(frozen=True)
class EmbeddedQuery:
    """Vectors of a request, what was read out of it, and the models that did it."""

    embedding: embed_pb.QueryEmbedding
    models: tuple[response_info_pb2.ModelVersion, ...]


class Peers:
    """CropService and EmbedService."""

    def __init__(
        self,
        crop: grpc.aio.Channel,
        embed: grpc.aio.Channel,
        *,
        timeout_s: float,
        fingerprint_ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """crop, embed: channels to the services. timeout_s: of one call; a nearer deadline wins.

        fingerprint_ttl_s: see `space`.
        """
        self._crop = CropServiceStub(crop)
        self._embed = EmbedServiceStub(embed)
        self._timeout_s = timeout_s
        self._ttl_s = fingerprint_ttl_s
        self._clock = clock
        self._asking = asyncio.Lock()
        self._space: Space | None = None
        self._packing: Packing | None = None
        self._asked_at = -float("inf")
        self._models: dict[str, response_info_pb2.ModelVersion] = {}

    @property
    def models(self) -> list[response_info_pb2.ModelVersion]:
        """The models that took part in the latest answers about designs, by their names."""
        return [self._models[name] for name in sorted(self._models)]

    async def crop(self, photo: bytes, field: str, deadline: Deadline, backoff: Backoff) -> CroppedPhoto:
        """Nails, crop and palette of a photo; errors name `field`."""
        request = crop_pb.CropImagesRequest(photos=[photo_pb2.Photo(data=photo)])
        with stage("crop"):
            response: crop_pb.CropImagesResponse = await self._call(
                "CropService", self._crop.CropImages, request, {}, deadline, backoff
            )
        item = _only(response.items)
        if item.WhichOneof("outcome") == "result":
            self._seen(response.info)
            return CroppedPhoto(item.result, tuple(response.info.models))
        raise _relocated(from_item_error(item.error), {"photos[0]": field})

    async def embed_design(
        self,
        design: embed_pb.DesignInput,
        expected_fingerprint: str,
        places: Mapping[str, str],
        deadline: Deadline,
        backoff: Backoff,
        *,
        packing: Packing | None = None,
    ) -> EmbeddedDesign:
        """Vectors of one design. places: where its parts are in the caller's request, by their names.

        packing: of the image tokens that are wanted too.
        """
        request = embed_pb.EmbedDesignsRequest(
            designs=[design],
            expected_fingerprint=expected_fingerprint,
            token_packing=(
                None if packing is None else embed_pb.TokenPacking(grid=packing.grid, bits=packing.bits)
            ),
        )
        moved = {f"designs[0].{part}": place for part, place in places.items()}
        with stage("embed"):
            response: embed_pb.EmbedDesignsResponse = await self._call(
                "EmbedService", self._embed.EmbedDesigns, request, moved, deadline, backoff
            )
        item = _only(response.items)
        if item.WhichOneof("outcome") != "embedding":
            raise _relocated(from_item_error(item.error), moved)
        self._seen(response.info)
        made = item.embedding
        return EmbeddedDesign(
            made.design,
            made.align,
            tuple(response.info.models),
            made.tokens if made.HasField("tokens") else None,
            made.photo_align if made.HasField("photo_align") else None,
        )

    async def embed_query(
        self,
        text: str,
        palette: palette_pb2.Palette,
        context: str,
        expected_fingerprint: str,
        deadline: Deadline,
        backoff: Backoff,
        *,
        include_tags: bool = False,
    ) -> EmbeddedQuery:
        """Vectors of one request whose fields are called text, palette and context.

        include_tags: of what it is about, too.
        """
        query = embed_pb.QueryInput(
            text=text,
            palette=palette,
            context=context,
            expected_fingerprint=expected_fingerprint,
            include_tags=include_tags,
        )
        request = embed_pb.EmbedQueriesRequest(queries=[query])
        with stage("embed"):
            response: embed_pb.EmbedQueriesResponse = await self._call(
                "EmbedService", self._embed.EmbedQueries, request, {"queries[0].": ""}, deadline, backoff
            )
        item = _only(response.items)
        if item.WhichOneof("outcome") != "embedding":
            wrong = from_item_error(item.error)
            if wrong.reason == _MISMATCH:
                raise _other_models({"expected": expected_fingerprint})
            raise _relocated(wrong, {"queries[0].": ""})
        return EmbeddedQuery(item.embedding, tuple(response.info.models))

    async def embed_texts(
        self, texts: Sequence[str], places: Mapping[str, str], deadline: Deadline, backoff: Backoff
    ) -> list[vector_pb2.Vector]:
        """Vectors of sentences, in order. places: where they are in the caller's request, by our paths."""
        request = embed_pb.EmbedTextsRequest(texts=texts)
        with stage("embed"):
            response: embed_pb.EmbedTextsResponse = await self._call(
                "EmbedService", self._embed.EmbedTexts, request, places, deadline, backoff
            )
        if len(response.items) != len(texts):
            raise Internal("EmbedService gave another number of vectors", reason="PEER_REFUSED")
        for item in response.items:
            if item.WhichOneof("outcome") != "vector":
                raise _relocated(from_item_error(item.error), places)
        return [item.vector for item in response.items]

    async def space(
        self,
        deadline: Deadline,
        backoff: Backoff,
        *,
        fresh: bool = False,
        packing: Packing | None = None,
    ) -> Space:
        """What EmbedService makes now, found out by embedding a small grey photo.

        An answer is believed for `fingerprint_ttl_s` unless `fresh` is set. packing: of the image tokens that
        are wanted; the space has none without it, where EmbedService gives none, and where a catalogue cannot
        keep them.
        """
        async with self._asking:
            young = self._clock() - self._asked_at < self._ttl_s
            if not fresh and self._space is not None and young and packing in (None, self._packing):
                return self._space
            probe = embed_pb.DesignInput(photo=photo_pb2.Photo(data=_probe_photo()))
            made = await self._probe(probe, packing, deadline, backoff)
            tokens = made.token_space
            self._space = Space(
                design_fingerprint=made.design.fingerprint,
                align_fingerprint=made.align.fingerprint,
                design_dimensions=len(made.design.values),
                align_dimensions=len(made.align.values),
                tokens=tokens if tokens is not None and tokens.fits else None,
            )
            self._packing = packing
            self._asked_at = self._clock()
            return self._space

    async def _probe(
        self, design: embed_pb.DesignInput, packing: Packing | None, deadline: Deadline, backoff: Backoff
    ) -> EmbeddedDesign:
        """With tokens where the models have them: that they do not is no reason to take no designs."""
        try:
            return await self.embed_design(design, "", {}, deadline, backoff, packing=packing)
        except FailedPrecondition as error:
            if packing is None or error.reason != "MODEL_UNSUITABLE":
                raise
            return await self.embed_design(design, "", {}, deadline, backoff)

    def _seen(self, info: response_info_pb2.ResponseInfo) -> None:
        self._models.update({model.name: model for model in info.models})

    async def _call(
        self,
        peer: str,
        method: Any,
        request: Any,
        places: Mapping[str, str],
        deadline: Deadline,
        backoff: Backoff,
    ) -> Any:
        try:
            return await call(method, request, timeout=deadline.within(self._timeout_s), backoff=backoff)
        except DeadlineExceeded:
            # Only the caller's own deadline is his business; our limit means that the peer is too slow.
            if deadline.remaining() < 0.01:
                raise
            raise _away(peer, "gave no answer in time", _RETRY_AFTER_S) from None
        except Unavailable as error:
            raise _away(peer, f"is away: {error.message}", error.retry_after_s or _RETRY_AFTER_S) from error
        except _ABOUT_THE_REQUEST as error:
            if error.reason == _MISMATCH:
                # The caller never named a fingerprint: we did, the version's.
                raise _other_models(error.metadata) from error
            raise _relocated(error, places) from error
        except LunulaError as error:
            raise Internal(f"{peer} refused: {error.message}", reason="PEER_REFUSED") from error


def check_fingerprint(actual: str, expected: str) -> None:
    """Vectors of different models are never compared: raises FailedPrecondition FINGERPRINT_MISMATCH.

    actual: of what EmbedService makes now; expected: of the catalogue version.
    """
    if actual != expected:
        raise _other_models({"expected": expected, "actual": actual})


def _other_models(metadata: Mapping[str, str]) -> FailedPrecondition:
    return FailedPrecondition(
        "EmbedService runs other models than those that made this catalogue version, and their vectors "
        "cannot be compared. Use a version that was made with its present models; where there is none, "
        "create one, index the designs into it and promote it.",
        reason=_MISMATCH,
        metadata=dict(metadata),
    )


def _away(peer: str, what: str, retry_after_s: float) -> Unavailable:
    reason = {"CropService": "CROP_SERVICE_UNAVAILABLE", "EmbedService": "EMBED_SERVICE_UNAVAILABLE"}[peer]
    return Unavailable(f"{peer} {what}", reason=reason, retry_after_s=retry_after_s)


def _relocated(error: LunulaError, places: Mapping[str, str]) -> LunulaError:
    """The same error with field paths of the caller's request instead of ours to the peer."""
    if isinstance(error, DeadlineExceeded):
        return Unavailable(error.message, reason="PEER_TOO_SLOW", retry_after_s=_RETRY_AFTER_S)
    fields = []
    for path, description in error.fields:
        for ours, theirs in places.items():
            if path.startswith(ours):
                fields.append((theirs + path.removeprefix(ours), description))
                break
    return type(error)(
        error.message,
        reason=error.reason,
        fields=fields,
        resource=error.resource,
        retry_after_s=error.retry_after_s,
        metadata=error.metadata,
    )


def _only(items: Sequence[T]) -> T:
    if len(items) != 1:
        raise Internal(f"a peer answered one item with {len(items)}", reason="PEER_REFUSED")
    return items[0]


def _probe_photo() -> bytes:
    return encode_png(np.full((64, 64, 3), 127, np.uint8))
