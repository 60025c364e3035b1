"""Puts RankService together from its settings."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1 import rank_service_pb2_grpc as pb_grpc
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
from services.rank.clients import Peers
from services.rank.ingest.pipeline import Ingest, IngestLimits
from services.rank.photos.blobs import FsspecBlobs
from services.rank.photos.store import Photos
from services.rank.rerank.aesthetic import Beauty
from services.rank.rerank.aesthetic_model import AESTHETIC, AestheticModel
from services.rank.rerank.photo_scoring import Scoring
from services.rank.search.page_tokens import PageTokens
from services.rank.search.pipeline import Search
from services.rank.servicer import AestheticParts, RankParts, RankServicer
from services.rank.settings import RankSettings

log = logging.getLogger(__name__)
NAME = pb.DESCRIPTOR.services_by_name["RankService"].full_name


@asynccontextmanager
async def build(settings: RankSettings, registry: CollectorRegistry) -> AsyncIterator[Sequence[Service]]:
    """RankService with its connections to Milvus, the other services and its model; all closed at the end."""
    backend, why_not = _backend(settings, registry)
    try:
        async with serve_on(backend, settings, why_not=why_not) as services:
            yield services
    finally:
        if backend is not None:
            await backend.close()


def _backend(settings: RankSettings, registry: CollectorRegistry) -> tuple[InferenceBackend | None, str]:
    """Where the model `aesthetic` runs; a server without it serves all else, and says why."""
    if not settings.aesthetic:
        return None, "this server does not judge beauty (setting `aesthetic`)"
    try:
        return build_backend(settings, (AESTHETIC,), registry=registry), ""
    except FailedPrecondition as error:
        log.warning("hits and photos are not judged: %s", error)
        return None, "this server has no model `aesthetic`"


@asynccontextmanager
async def serve_on(
    backend: InferenceBackend | None, settings: RankSettings, *, why_not: str = ""
) -> AsyncIterator[Sequence[Service]]:
    """RankService with its model on `backend`, which stays the caller's. why_not: said where it has none."""
    model = AestheticModel(backend, why_not)
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
            peers = Peers(
                crop,
                embed,
                timeout_s=settings.peer_timeout_s,
                fingerprint_ttl_s=settings.fingerprint_ttl_s,
            )
            servicer = RankServicer(_parts(settings, milvus, peers, threads, model))

            async def ready() -> bool:
                await model.look(settings.canary_timeout_s / 2)
                return await milvus.answers(Deadline.after(settings.canary_timeout_s))

            yield [
                Service(
                    NAME, lambda server: pb_grpc.add_RankServiceServicer_to_server(servicer, server), ready
                )
            ]
    finally:
        threads.close()
        await milvus.close()


def _parts(
    settings: RankSettings, milvus: Milvus, peers: Peers, threads: WorkThreads, model: AestheticModel
) -> RankParts:
    store = Store(milvus)
    catalogue = Catalogue(milvus, store, settings.catalogue)
    photos = Photos(
        blobs=FsspecBlobs(settings.blob_dir),
        limits=settings.photo_limits(),
        uris=UriReader(settings.allowed_uri_prefixes, settings.max_photo_bytes),
        threads=threads,
    )
    backoff = Backoff(attempts=settings.ingest_attempts, initial_s=settings.ingest_backoff_s)

    async def photo_users(keys: list[str]) -> set[str]:
        return await catalogue.references(keys, Deadline.after(settings.milvus_timeout_s))

    return RankParts(
        catalogue=catalogue,
        store=store,
        ingest=Ingest(
            store=store,
            peers=peers,
            photos=photos,
            photo_users=photo_users,
            limits=IngestLimits(
                at_once=settings.max_photos,
                write_rows=settings.ingest_write_rows,
                call_s=settings.milvus_timeout_s,
                backoff=backoff,
            ),
        ),
        search=Search(
            milvus=milvus,
            store=store,
            peers=peers,
            photos=photos,
            threads=threads,
            beauty=Beauty(
                store,
                model,
                threads,
                timeout_s=settings.aesthetic_timeout_s,
                forget=catalogue.forget,
            ),
            candidates=settings.candidates,
        ),
        scoring=Scoring(model=model, peers=peers, photos=photos),
        aesthetic=AestheticParts(
            model, settings.aesthetic_weight if settings.aesthetic else 0.0, settings.aesthetic_head
        ),
        peers=peers,
        photos=photos,
        tokens=PageTokens(settings.page_token_key.get_secret_value() if settings.page_token_key else ""),
        weights={
            "design": settings.weight_design,
            "description": settings.weight_description,
            "palette": settings.weight_palette,
            "reference": settings.weight_reference,
        },
        stream_concurrency=settings.photos_per_call,
        backoff=backoff,
    )
