"""The pipeline of one design: from photo, crop and text to vectors (paper N, CVFIM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.tokens import SIDE, Packing, pack
from nails.encoders import DECODE_SIDE, DESIGN_FUSE, IMAGE_ALIGN, IMAGE_STYLE
from nails.photo.preprocess import backbone_input
from services.embed.spaces import Spaces
from services.embed.text_encoder import TextEncoder
from services.intake.model_io import image_side, infer_one, read_embedding
from services.intake.photos import LoadedPhoto, PhotoIntake, PhotoSource
from services.kit.concurrency.together import together
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal
from services.kit.inference.base import InferenceBackend
from services.kit.telemetry.timings import stage

Image = NDArray[np.float32]


@dataclass(frozen=True)
class DesignSources:
    """A design to embed. crop: None: the photo is used in its place. text, context: may be empty.

    packing: of the image tokens to make beside the vectors; None makes none.
    """

    photo: PhotoSource
    crop: PhotoSource | None
    text: str
    context: str
    packing: Packing | None = None


@dataclass(frozen=True)
class PackedTokens:
    """Image tokens of the whole photo, `dims` numbers each, and the packing of their bytes."""

    data: bytes
    dims: int
    packing: Packing


@dataclass(frozen=True)
class DesignVectors:
    """Unit vectors: design [D] of the space "design", align [D_a] of the crop in the space "align".

    tokens, photo_align [D_a]: of the whole photo; None without a packing.
    """

    design: NDArray[np.float32]
    align: NDArray[np.float32]
    tokens: PackedTokens | None = None
    photo_align: NDArray[np.float32] | None = None


class DesignPipeline:
    """Embeds one design at a time; batching happens below, in the backend."""

    def __init__(
        self,
        *,
        backend: InferenceBackend,
        intake: PhotoIntake,
        spaces: Spaces,
        encoder: TextEncoder,
    ) -> None:
        self._backend = backend
        self._intake = intake
        self._encoder = encoder
        self._align_side = image_side(spaces.model(IMAGE_ALIGN))
        self._style_side = image_side(spaces.model(IMAGE_STYLE))

    async def embed(self, sources: DesignSources, deadline: Deadline) -> DesignVectors:
        """The vectors of a design.

        The context, a story or occasion that the design belongs to, is read as the end of its text. Tokens
        come out of the call that gives the photo's vector. Raises what PhotoIntake.load and
        InferenceBackend.infer raise, FailedPrecondition MODEL_UNSUITABLE where the model gives no tokens.
        """
        async with self._intake.slot():
            (style, (align, tokens)), crop, text = await together(
                self._photo(sources.photo, sources.packing, deadline),
                self._crop(sources.crop, deadline),
                self._text(sources, deadline),
            )
        crop_align = align if crop is None else crop
        deadline.check("embedding the design")
        fused = await infer_one(
            self._backend,
            DESIGN_FUSE,
            {"style": style, "align": align, "crop": crop_align, "text": text},
            deadline=deadline,
        )
        return DesignVectors(
            design=read_embedding(fused, DESIGN_FUSE),
            align=crop_align,
            tokens=tokens,
            photo_align=align if tokens is not None else None,
        )

    async def _photo(
        self, source: PhotoSource, packing: Packing | None, deadline: Deadline
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], PackedTokens | None]]:
        """Of the whole photo: style [D_s], and align [D_a] with the tokens."""
        photo = await self._intake.load(source, max_side=DECODE_SIDE, deadline=deadline)
        align_input = await self._prepare(photo, self._align_side)
        style_input = (
            align_input
            if self._style_side == self._align_side
            else await self._prepare(photo, self._style_side)
        )
        deadline.check("embedding the photo")
        return await together(
            self._encode(IMAGE_STYLE, style_input, deadline),
            self._encode_with_tokens(align_input, packing, deadline),
        )

    async def _crop(self, source: PhotoSource | None, deadline: Deadline) -> NDArray[np.float32] | None:
        if source is None:
            return None
        crop = await self._intake.load(source, max_side=DECODE_SIDE, deadline=deadline)
        return await self._encode(IMAGE_ALIGN, await self._prepare(crop, self._align_side), deadline)

    async def _prepare(self, photo: LoadedPhoto, side: int) -> Image:
        with stage("preprocess"):
            return await self._intake.threads.run(backbone_input, photo.image, side)

    async def _encode(self, model: str, image: Image, deadline: Deadline) -> NDArray[np.float32]:
        outputs = await infer_one(self._backend, model, {"images": image}, deadline=deadline)
        return read_embedding(outputs, model)

    async def _encode_with_tokens(
        self, image: Image, packing: Packing | None, deadline: Deadline
    ) -> tuple[NDArray[np.float32], PackedTokens | None]:
        """The vector of an image, and its tokens where there is a packing: one inference gives both."""
        outputs = await infer_one(self._backend, IMAGE_ALIGN, {"images": image}, deadline=deadline)
        align = read_embedding(outputs, IMAGE_ALIGN)
        if packing is None:
            return align, None
        tokens = outputs.get("tokens")
        if tokens is None or tokens.ndim != 2 or len(tokens) != SIDE * SIDE:
            raise FailedPrecondition(
                f"model {IMAGE_ALIGN} gives no {SIDE} x {SIDE} image tokens", reason="MODEL_UNSUITABLE"
            )
        try:
            data = pack(tokens, packing)
        except ValueError as error:
            raise Internal(f"{IMAGE_ALIGN}: {error}", reason="MODEL_OUTPUT_NOT_FINITE") from error
        return align, PackedTokens(data, tokens.shape[1], packing)

    async def _text(self, sources: DesignSources, deadline: Deadline) -> NDArray[np.float32]:
        """The text's vector [D_n]; zeros where there is no text."""
        words = ". ".join(part for part in (sources.text.strip(), sources.context.strip()) if part)
        if not words:
            return np.zeros(self._encoder.width, np.float32)
        vectors = await self._encoder.encode([words], deadline)
        return np.asarray(vectors[0], np.float32)
