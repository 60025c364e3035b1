"""Puts EmbedService together from its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from nails.encoders import ENCODERS, TEXT_ENCODE
from nails.language.word_pieces import SentenceTokenizer
from services.embed.designs import DesignPipeline
from services.embed.queries import QueryPipeline
from services.embed.servicer import EmbedParts, EmbedServicer
from services.embed.settings import EmbedSettings
from services.embed.spaces import Spaces
from services.embed.text_encoder import TextEncoder, Tokenizer, text_width
from services.intake.photos import PhotoIntake
from services.kit.concurrency.lazy import Lazy
from services.kit.inference import InferenceBackend, build_backend, model_versions
from services.kit.server import Service


@asynccontextmanager
async def build(settings: EmbedSettings, registry: CollectorRegistry) -> AsyncIterator[Sequence[Service]]:
    """EmbedService on the backend that the settings name; everything is closed at the end."""
    backend = build_backend(settings, ENCODERS, registry=registry)
    try:
        async with serve_on(backend, settings, SentenceTokenizer(settings.max_tokens)) as services:
            yield services
    finally:
        await backend.close()


@asynccontextmanager
async def serve_on(
    backend: InferenceBackend, settings: EmbedSettings, tokenizer: Tokenizer
) -> AsyncIterator[Sequence[Service]]:
    """EmbedService on `backend`, which stays the caller's."""
    intake = PhotoIntake.from_settings(settings)

    async def parts() -> EmbedParts:
        spaces = await Spaces.read(backend)
        encoder = TextEncoder(
            backend=backend,
            tokenizer=tokenizer,
            threads=intake.threads,
            width=text_width(spaces.model(TEXT_ENCODE)),
            cached=settings.cached_texts,
        )
        queries = QueryPipeline(
            backend=backend, encoder=encoder, threads=intake.threads, max_queries=settings.max_queries
        )
        return EmbedParts(
            designs=DesignPipeline(backend=backend, intake=intake, spaces=spaces, encoder=encoder),
            queries=queries,
            encoder=encoder,
            spaces=spaces,
            models=tuple(await model_versions(backend, ENCODERS)),
        )

    lazy_parts = Lazy(backend, ENCODERS, parts)
    servicer = EmbedServicer(
        lazy_parts, photos_per_call=settings.photos_per_call, queries_per_call=settings.queries_per_call
    )
    try:
        yield [servicer.service(lazy_parts.ready)]
    finally:
        intake.close()
