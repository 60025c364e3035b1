"""The way of one request: words and colours to a vector (paper N, LIFM with IPFM's palette)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic_tags import tags_of_request
from nails.palette import MAX_COLORS, PaletteColor
from nails.phrases import Phrase, Reading, parse
from services.embed.spaces import QUERY_FUSE
from services.embed.text_encoder import TextEncoder
from services.intake.model_io import infer_one, vector
from services.intake.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.inference.base import InferenceBackend
from services.kit.timings import stage

MAX_PHRASES = 16
"""Noun phrases that the model takes; those after them are not used."""


@dataclass(frozen=True)
class Request:
    """What a person wants. palette: colours that they picked, may be empty; context: may be empty.

    read_tags: whether vectors of what it is about are wanted too.
    """

    text: str
    palette: tuple[PaletteColor, ...]
    context: str
    read_tags: bool = False


@dataclass(frozen=True)
class RequestVectors:
    """Unit vectors and what was read.

    design [D] of the space "design", text [D_n] of the space "text"; mdd and nnp as they were encoded;
    palette: the person's, else the colours that the text names. tags: words and their vectors [D_n].
    """

    design: NDArray[np.float32]
    text: NDArray[np.float32]
    mdd: tuple[str, ...]
    nnp: tuple[str, ...]
    phrases: tuple[Phrase, ...]
    palette: tuple[PaletteColor, ...]
    tags: tuple[tuple[str, NDArray[np.float32]], ...] = ()


class QueryPipeline:
    """Embeds one request at a time; batching happens below, in the backend."""

    def __init__(
        self, *, backend: InferenceBackend, encoder: TextEncoder, threads: WorkThreads, max_queries: int
    ) -> None:
        """max_queries: requests worked on at once over all calls, so that their phrases fit the queues."""
        self._slots = asyncio.Semaphore(max_queries)
        self._backend = backend
        self._encoder = encoder
        self._threads = threads

    async def embed(self, request: Request, deadline: Deadline) -> RequestVectors:
        """The vectors of a request.

        Its context is the first, widest line of the multi-level description. Raises what
        InferenceBackend.infer raises.
        """
        with stage("queue"):
            await self._slots.acquire()
        try:
            return await self._embed(request, deadline)
        finally:
            self._slots.release()

    async def _embed(self, request: Request, deadline: Deadline) -> RequestVectors:
        with stage("phrases"):
            reading = await self._threads.run(parse, request.text)
        deadline.check("reading the request")
        context = request.context.strip()
        mdd = ((context,) if context else ()) + tuple(reading.mdd)
        nnp = tuple(reading.nnp[:MAX_PHRASES])
        palette = request.palette or named_colours(reading)
        described = ". ".join(mdd)
        tags = tags_of_request(reading.phrases, mdd) if request.read_tags else ()
        encoded = await self._encoder.encode([request.text, described, *nnp, *tags], deadline)
        vectors, tag_vectors = encoded[: 2 + len(nnp)], encoded[2 + len(nnp) :]
        deadline.check("embedding the request")
        fused = await infer_one(self._backend, QUERY_FUSE, fuse_inputs(vectors, palette), deadline=deadline)
        return RequestVectors(
            design=vector(fused, QUERY_FUSE),
            text=vectors[0],
            mdd=mdd,
            nnp=nnp,
            phrases=tuple(reading.phrases),
            palette=palette,
            tags=tuple(zip(tags, tag_vectors, strict=True)),
        )


def named_colours(reading: Reading) -> tuple[PaletteColor, ...]:
    """The colours that a text names, in equal shares."""
    colours = reading.colours[:MAX_COLORS]
    return tuple(
        PaletteColor(lab=colour.lab, weight=1.0 / len(colours), name=colour.name) for colour in colours
    )


def fuse_inputs(vectors: NDArray[np.float32], palette: Sequence[PaletteColor]) -> dict[str, NDArray[Any]]:
    """Inputs of query_fuse for one request.

    vectors: [2 + n, D_n], of the text, its multi-level description, and n <= 16 noun phrases.
    """
    width, phrases = vectors.shape[1], len(vectors) - 2
    nnp, nnp_mask = np.zeros((MAX_PHRASES, width), np.float32), np.zeros(MAX_PHRASES, np.float32)
    nnp[:phrases], nnp_mask[:phrases] = vectors[2:], 1.0
    colours, colour_mask = np.zeros((MAX_COLORS, 3), np.float32), np.zeros(MAX_COLORS, np.float32)
    for row, colour in enumerate(palette):
        colours[row], colour_mask[row] = colour.lab, 1.0
    return {
        "text": vectors[0],
        "mdd": vectors[1],
        "nnp": nnp,
        "nnp_mask": nnp_mask,
        "palette": colours,
        "palette_mask": colour_mask,
    }
