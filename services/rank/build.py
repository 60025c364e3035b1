"""Puts RankService together from its settings."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from nails.aesthetic.rerank import AESTHETIC
from services.intake.uris import UriReader
from services.kit.client import ClientTls, connect
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition
from services.kit.inference import InferenceBackend, build_backend
from services.kit.retry import Backoff
from services.kit.server import Service
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.store import Store
from services.rank.catalogue.versions import Catalogue
from services.rank.clients.crop import CropClient
from services.rank.clients.embed import EmbedClient
from services.rank.ingest.pipeline import Ingest, IngestLimits
from services.rank.photos.blobs import FsspecBlobs
from services.rank.photos.store import Photos
from services.rank.rerank.aesthetic import AestheticReranker, Defaults
from services.rank.rerank.aesthetic_model import AestheticModel
from services.rank.rerank.photo_scoring import PhotoScoring
from services.rank.search.page_tokens import PageTokens
from services.rank.search.pipeline import Search
from services.rank.servicer import NAME, RankParts, RankServicer, register
from services.rank.settings import RankSettings

log = logging.getLogger(__name__)


@asynccontextmanager
async def build(settings: RankSettings, registry: CollectorRegistry) -> AsyncIterator[Sequence[Service]]:
    """RankService with its connections to Milvus, the other services and its model; all closed at the end."""
    backend, absent = _backend(settings, registry)
    try:
        async with serve_on(backend, settings, absent=absent) as services:
            yield services
    finally:
        if backend is not None:
            await backend.close()


def _backend(settings: RankSettings, registry: CollectorRegistry) -> tuple[InferenceBackend | None, str]:
    """Where the model `aesthetic` runs; a server without it serves all else, and says why."""
    if not settings.aesthetic:
        return None, "this server gives no aesthetic scores (setting `aesthetic`)"
    try:
        return build_backend(settings, (AESTHETIC,), registry=registry), ""
    except FailedPrecondition as error:
        log.warning("aesthetic scores are unavailable: %s", error)
        return None, "this server has no model `aesthetic`"


@asynccontextmanager
async def serve_on(
    backend: InferenceBackend | None, settings: RankSettings, *, absent: str = ""
) -> AsyncIterator[Sequence[Service]]:
    """RankService with its model on `backend`, which stays the caller's. absent: why there is none."""
    model = AestheticModel(backend, absent)
    milvus = Milvus(
        settings.milvus_uri,
        token=settings.milvus_token.get_secret_value() if settings.milvus_token else "",
        timeout_s=settings.milvus_timeout_s,
        threads=settings.milvus_threads,
        consistency=settings.consistency,
    )
    threads = WorkThreads(settings.photo_threads)
    tls = (
        ClientTls(settings.upstream_ca, settings.upstream_cert, settings.upstream_key)
        if settings.upstream_ca or settings.upstream_cert
        else None
    )
    token = settings.upstream_token.get_secret_value() if settings.upstream_token else None
    try:
        async with (
            connect(
                settings.crop_address, tls=tls, token=token, max_message_bytes=settings.max_message_bytes
            ) as crop,
            connect(
                settings.embed_address, tls=tls, token=token, max_message_bytes=settings.max_message_bytes
            ) as embed,
        ):
            servicer = RankServicer(
                _parts(
                    settings,
                    milvus,
                    CropClient(crop, timeout_s=settings.upstream_timeout_s),
                    EmbedClient(
                        embed,
                        timeout_s=settings.upstream_timeout_s,
                        space_ttl_s=settings.fingerprint_ttl_s,
                    ),
                    threads,
                    model,
                )
            )

            async def ready() -> bool:
                await model.check(settings.canary_timeout_s / 2)
                return await milvus.answers(Deadline.after(settings.canary_timeout_s))

            yield [Service(NAME, lambda server: register(servicer, server), ready)]
    finally:
        threads.close()
        await milvus.close()


def _parts(
    settings: RankSettings,
    milvus: Milvus,
    crop: CropClient,
    embed: EmbedClient,
    threads: WorkThreads,
    model: AestheticModel,
) -> RankParts:
    store = Store(milvus)
    catalogue = Catalogue(milvus, store, settings.catalogue)
    photos = Photos(
        blobs=FsspecBlobs(settings.blob_dir),
        limits=settings.photo_limits(),
        uris=UriReader(settings.allowed_uri_prefixes, settings.max_photo_bytes),
        threads=threads,
    )
    reranker = AestheticReranker(
        model=model,
        embed=embed,
        threads=threads,
        defaults=Defaults(
            weight=settings.aesthetic_weight if settings.aesthetic else 0.0, head=settings.aesthetic_head
        ),
        timeout_s=settings.aesthetic_timeout_s,
        forget=catalogue.forget,
    )
    return RankParts(
        catalogue=catalogue,
        store=store,
        ingest=Ingest(
            catalogue=catalogue,
            store=store,
            crop=crop,
            embed=embed,
            photos=photos,
            extra_options=reranker.embed_options,
            limits=IngestLimits(
                at_once=settings.max_photos,
                write_rows=settings.ingest_write_rows,
                call_s=settings.milvus_timeout_s,
                backoff=Backoff(attempts=settings.ingest_attempts, initial_s=settings.ingest_backoff_s),
            ),
        ),
        search=Search(
            crop=crop,
            embed=embed,
            photos=photos,
            threads=threads,
            reranker=reranker,
            candidates=settings.candidates,
        ),
        photos=photos,
        scoring=PhotoScoring(model=model, embed=embed, photos=photos),
        tokens=PageTokens(settings.page_token_key.get_secret_value() if settings.page_token_key else ""),
        weights=settings.channel_weights(),
        stream_concurrency=settings.photos_per_call,
    )
