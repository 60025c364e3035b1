"""RankService's methods: messages in, plain objects through, messages out. Nothing else happens here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.rank.v1 import rank_service_pb2_grpc as pb_grpc
from lunula.type.v1 import photo_pb2
from services.intake.items import check_batch_size, run_batch, run_stream, settle
from services.intake.texts import check_text
from services.kit.deadline import Deadline
from services.kit.errors import NotFound, invalid_field
from services.kit.scope import current_deadline
from services.kit.telemetry.timings import stage
from services.kit.wire.response_info import response_info
from services.rank.catalogue.rows import FULL_FIELDS
from services.rank.catalogue.store import Store
from services.rank.catalogue.version import Version
from services.rank.catalogue.versions import Catalogue
from services.rank.catalogue.view import Row
from services.rank.ingest.pipeline import IndexOutcome, Ingest
from services.rank.messages import (
    design_message,
    index_message,
    read_design,
    read_filters,
    read_photo,
    read_search,
    request_digest,
    score_message,
    search_message,
    version_message,
)
from services.rank.photos.store import Photos
from services.rank.rerank.photo_scoring import PhotoScore, PhotoScoring
from services.rank.search.page_tokens import PagePosition, PageTokens, invalid_token
from services.rank.search.pipeline import Search
from services.rank.validation import (
    MAX_DELETED,
    MAX_NOTE,
    check_design_id,
    check_page_size,
    check_tags,
)

NAME = pb.DESCRIPTOR.services_by_name["RankService"].full_name

_DEFAULT_HITS, _MAX_HITS = 10, 100
_DEFAULT_DESIGNS, _MAX_DESIGNS = 50, 1_000
_LEAST_FLUSH = 200
"""Rows for which a flush at the end of a stream is worth its time."""


@dataclass(frozen=True)
class RankParts:
    """What the methods work with. weights: of the channels, by default. stream_concurrency: designs of a
    stream, or photos of a batch, at once."""

    catalogue: Catalogue
    store: Store
    ingest: Ingest
    search: Search
    photos: Photos
    scoring: PhotoScoring
    tokens: PageTokens
    weights: Mapping[str, float]
    stream_concurrency: int


class RankServicer(pb_grpc.RankServiceServicer):
    """Translates between the contract and the parts of this package."""

    def __init__(self, parts: RankParts) -> None:
        self._parts = parts

    async def IndexDesigns(
        self, request_iterator: AsyncIterator[pb.IndexDesignsRequest], context: Any
    ) -> AsyncIterator[pb.IndexDesignsResponse]:
        """See the contract."""
        del context
        deadline = current_deadline()
        ingest = self._parts.ingest
        first = await anext(aiter(request_iterator), None)
        if first is None:
            return
        version = await ingest.open_version(first.version_id, first.expected_fingerprint, deadline)
        received = 0

        async def numbered() -> AsyncIterator[tuple[int, pb.IndexDesignsRequest]]:
            nonlocal received
            received = 1
            yield 0, first
            async for request in request_iterator:
                received += 1
                yield received - 1, request

        async def work(item: tuple[int, pb.IndexDesignsRequest]) -> pb.IndexDesignsResponse:
            sequence, request = item
            outcome = await settle(self._index(version, request, deadline))
            return index_message(request.design.design_id, sequence, outcome)

        answered = 0
        answers = run_stream(numbered(), work, concurrency=self._parts.stream_concurrency)
        async with aclosing(answers):
            async for response in answers:
                answered += 1
                # An answer with nothing else under way may be the last.
                if answered == received:
                    response.info.CopyFrom(response_info(ingest.models))
                yield response
        await self._parts.store.at(version, deadline).flush(least_rows=_LEAST_FLUSH)

    async def SearchDesigns(self, request: pb.SearchDesignsRequest, context: Any) -> pb.SearchDesignsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        size = check_page_size(request.page_size, default=_DEFAULT_HITS, largest=_MAX_HITS)
        search_request = read_search(request, self._parts.weights)
        digest = request_digest(request)
        position = self._position(request.page_token, digest, request.version_id)
        try:
            plan = self._parts.search.plan(search_request, position.pinned, first_page=not request.page_token)
        except (ValueError, TypeError, OverflowError):
            raise invalid_token() from None
        version = await self._parts.catalogue.resolve(position.version, deadline)
        if version is None:
            if request.reference_design_id:
                raise _no_design(request.reference_design_id, "reference_design_id")
            return pb.SearchDesignsResponse(info=response_info())
        async with self._parts.catalogue.using(version):
            view = self._parts.store.at(version, deadline)
            page = await self._parts.search.page(
                view, search_request, plan, offset=position.offset, size=size
            )
        designs = [self._design(hit.row) for hit in page.hits]
        response = search_message(page, designs, version.version_id)
        if page.more:
            following = PagePosition(version.version_id, offset=position.offset + size, pinned=page.pinned)
            response.next_page_token = self._parts.tokens.encode(following, digest)
        response.info.CopyFrom(response_info(page.models))
        return response

    async def ScoreAesthetics(
        self, request: pb.ScoreAestheticsRequest, context: Any
    ) -> pb.ScoreAestheticsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        check_batch_size(len(request.photos), "photos")
        words = check_tags(request.tags, "tags")
        scoring = self._parts.scoring
        model = await scoring.model()
        tags = await scoring.tags(model, words, not request.disable_auto_tags, deadline)

        async def work(index: int, photo: photo_pb2.Photo) -> PhotoScore:
            return await scoring.score(model, read_photo(photo), f"photos[{index}]", tags, deadline)

        outcomes = await run_batch(
            request.photos, work, concurrency=self._parts.stream_concurrency, deadline=deadline
        )
        models = {
            one.name: one for outcome in outcomes if isinstance(outcome, PhotoScore) for one in outcome.models
        }
        return pb.ScoreAestheticsResponse(
            items=[score_message(outcome) for outcome in outcomes],
            info=response_info(tuple(models.values()) or (model.version,)),
        )

    async def GetDesign(self, request: pb.GetDesignRequest, context: Any) -> pb.GetDesignResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        check_design_id(request.design_id, "design_id")
        version = await self._parts.catalogue.resolve(request.version_id, deadline)
        row = None
        if version is not None:
            async with self._parts.catalogue.using(version):
                rows = await self._parts.store.at(version, deadline).read([request.design_id], FULL_FIELDS)
            row = rows.get(request.design_id)
        if row is None:
            raise _no_design(request.design_id, "design_id")
        photo = await self._parts.photos.get(str(row["photo"])) if request.include_photo else None
        return pb.GetDesignResponse(design=self._design(row, photo), info=response_info())

    async def ListDesigns(self, request: pb.ListDesignsRequest, context: Any) -> pb.ListDesignsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        size = check_page_size(request.page_size, default=_DEFAULT_DESIGNS, largest=_MAX_DESIGNS)
        condition = read_filters(request.filters)
        digest = request_digest(request)
        position = self._position(request.page_token, digest, request.version_id)
        version = await self._parts.catalogue.resolve(position.version, deadline)
        if version is None:
            return pb.ListDesignsResponse(info=response_info())
        async with self._parts.catalogue.using(version):
            view = self._parts.store.at(version, deadline)
            with stage("read"):
                total = await view.count(condition)
                # One more than requested shows whether another page follows.
                rows = await view.page(condition, position.after, size + 1, FULL_FIELDS)
        token = ""
        if len(rows) > size:
            rows = rows[:size]
            following = PagePosition(version.version_id, after=str(rows[-1]["design_id"]))
            token = self._parts.tokens.encode(following, digest)
        return pb.ListDesignsResponse(
            designs=[self._design(row) for row in rows],
            next_page_token=token,
            total_size=total,
            info=response_info(),
        )

    async def DeleteDesigns(self, request: pb.DeleteDesignsRequest, context: Any) -> pb.DeleteDesignsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        if not 1 <= len(request.design_ids) <= MAX_DELETED:
            raise invalid_field("BATCH_SIZE_INVALID", "design_ids", f"must be 1 to {MAX_DELETED} ids")
        for index, design_id in enumerate(request.design_ids):
            check_design_id(design_id, f"design_ids[{index}]")
        version = await self._parts.catalogue.resolve(request.version_id, deadline)
        deleted: list[str] = []
        missing = list(dict.fromkeys(request.design_ids))
        if version is not None:
            async with self._parts.catalogue.using(version):
                deleted, missing = await self._parts.ingest.delete(
                    version, list(request.design_ids), deadline
                )
        return pb.DeleteDesignsResponse(
            deleted_count=len(deleted), missing_design_ids=missing, info=response_info()
        )

    async def CreateCatalogueVersion(
        self, request: pb.CreateCatalogueVersionRequest, context: Any
    ) -> pb.CreateCatalogueVersionResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        check_text(request.note, "note", max_characters=MAX_NOTE)
        space = await self._parts.ingest.current_space(deadline)
        version = await self._parts.catalogue.create(space, request.note, deadline)
        return pb.CreateCatalogueVersionResponse(
            version=await self._version(version, "", deadline), info=response_info()
        )

    async def ListCatalogueVersions(
        self, request: pb.ListCatalogueVersionsRequest, context: Any
    ) -> pb.ListCatalogueVersionsResponse:
        """See the contract."""
        del request, context
        deadline = current_deadline()
        live = await self._parts.catalogue.live_id(deadline)
        versions = await self._parts.catalogue.versions(deadline)
        return pb.ListCatalogueVersionsResponse(
            versions=[await self._version(version, live, deadline) for version in versions],
            info=response_info(),
        )

    async def PromoteCatalogueVersion(
        self, request: pb.PromoteCatalogueVersionRequest, context: Any
    ) -> pb.PromoteCatalogueVersionResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        if not request.version_id:
            raise invalid_field("VERSION_MISSING", "version_id", "must be given")
        version = await self._parts.catalogue.promote(request.version_id, deadline)
        return pb.PromoteCatalogueVersionResponse(
            version=await self._version(version, version.version_id, deadline), info=response_info()
        )

    async def RollBackCatalogueVersion(
        self, request: pb.RollBackCatalogueVersionRequest, context: Any
    ) -> pb.RollBackCatalogueVersionResponse:
        """See the contract."""
        del request, context
        deadline = current_deadline()
        version = await self._parts.catalogue.roll_back(deadline)
        return pb.RollBackCatalogueVersionResponse(
            version=await self._version(version, version.version_id, deadline), info=response_info()
        )

    async def _index(
        self, version: Version, request: pb.IndexDesignsRequest, deadline: Deadline
    ) -> IndexOutcome:
        async with self._parts.catalogue.using(version):
            text, photo = read_design(request)
            return await self._parts.ingest.index(version, text, photo, deadline)

    def _position(self, token: str, digest: str, version_id: str) -> PagePosition:
        return self._parts.tokens.decode(token, digest) if token else PagePosition(version_id)

    def _design(self, row: Row, photo: bytes | None = None) -> pb.Design:
        return design_message(row, photo_uri=self._parts.photos.uri(str(row["photo"])), photo=photo)

    async def _version(self, version: Version, live: str, deadline: Deadline) -> pb.CatalogueVersion:
        ready = await self._parts.catalogue.resolve(version.version_id, deadline) or version
        count = await self._parts.store.at(ready, deadline).count()
        return version_message(ready, live=version.version_id == live, design_count=count)


def register(servicer: RankServicer, server: Any) -> None:
    """Adds the service to a gRPC server."""
    pb_grpc.add_RankServiceServicer_to_server(servicer, server)


def _no_design(design_id: str, field: str) -> NotFound:
    return NotFound(
        f"There is no design {design_id}.",
        reason="DESIGN_NOT_FOUND",
        fields=[(field, "must be a design of the catalogue version")],
        resource=("design", design_id),
    )
