"""The pipeline of one request: from text and colours to a vector (paper N, LIFM with IPFM's palette)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.tags import tags_of_request
from nails.colour.palette import PaletteColour
from nails.encoders import MAX_PHRASES, QUERY_FUSE, named_palette, query_fuse_inputs
from nails.language.phrases import Phrase, parse_request
from services.embed.text_encoder import TextEncoder
from services.intake.model_io import infer_one, read_embedding
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.inference.base import InferenceBackend
from services.kit.telemetry.timings import stage


@dataclass(frozen=True)
class Request:
    """A person's request. palette: the colours that they picked, may be empty; context: may be empty.

    include_tags: also make vectors of its subjects.
    """

    text: str
    palette: tuple[PaletteColour, ...]
    context: str
    include_tags: bool = False


@dataclass(frozen=True)
class RequestVectors:
    """Unit vectors of a request, and what was read in it.

    design [D] of the space "design", text [D_n] of the space "text"; mdd and nnp as they were encoded;
    palette: the person's, else the colours that the text names. tags: subjects and their vectors [D_n].
    """

    design: NDArray[np.float32]
    text: NDArray[np.float32]
    mdd: tuple[str, ...]
    nnp: tuple[str, ...]
    phrases: tuple[Phrase, ...]
    palette: tuple[PaletteColour, ...]
    tags: tuple[tuple[str, NDArray[np.float32]], ...] = ()


class QueryPipeline:
    """Embeds one request at a time; batching happens below, in the backend."""

    def __init__(
        self, *, backend: InferenceBackend, encoder: TextEncoder, threads: WorkThreads, max_queries: int
    ) -> None:
        """max_queries: requests in progress at once over all calls, so that their phrases fit the queues."""
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
            reading = await self._threads.run(parse_request, request.text)
        deadline.check("reading the request")
        context = request.context.strip()
        mdd = ((context,) if context else ()) + tuple(reading.mdd)
        nnp = tuple(reading.nnp[:MAX_PHRASES])
        palette = request.palette or named_palette(reading)
        described = ". ".join(mdd)
        tags = tags_of_request(reading.phrases, mdd) if request.include_tags else ()
        encoded = await self._encoder.encode([request.text, described, *nnp, *tags], deadline)
        vectors, tag_vectors = encoded[: 2 + len(nnp)], encoded[2 + len(nnp) :]
        deadline.check("embedding the request")
        fused = await infer_one(
            self._backend, QUERY_FUSE, query_fuse_inputs(vectors, palette), deadline=deadline
        )
        return RequestVectors(
            design=read_embedding(fused, QUERY_FUSE),
            text=vectors[0],
            mdd=mdd,
            nnp=nnp,
            phrases=tuple(reading.phrases),
            palette=palette,
            tags=tuple(zip(tags, tag_vectors, strict=True)),
        )
