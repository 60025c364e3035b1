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
from services.kit.errors import FailedPrecondition, LunulaError, NotFound, Unavailable
from services.kit.retry import Backoff
from services.kit.scope import current_deadline
from services.kit.telemetry.timings import stage
from services.kit.wire.errors import to_item_error
from services.kit.wire.response_info import response_info
from services.rank.catalogue.filters import expression
from services.rank.catalogue.rows import FULL_FIELDS, design_message
from services.rank.catalogue.store import Store
from services.rank.catalogue.versions import Catalogue, Space, Version
from services.rank.clients import Peers, check_fingerprint
from services.rank.ingest.pipeline import Ingest
from services.rank.messages import hit_message, read_search, score_item
from services.rank.photos.store import Photos
from services.rank.rerank.aesthetic_model import AestheticModel
from services.rank.rerank.photo_scoring import PhotoScore, Scoring
from services.rank.search.page_tokens import PagePosition, PageTokens, Pinned, request_digest
from services.rank.search.pipeline import Search
from services.rank.validation import (
    MAX_DELETED,
    MAX_NOTE,
    check_design_id,
    page_size,
    read_tags,
    wrong,
)

_HITS, _MOST_HITS = 10, 100
_LISTED, _MOST_LISTED = 50, 1_000
_WORTH_A_FLUSH = 200


@dataclass(frozen=True)
class AestheticParts:
    """The model, and how much beauty counts where a request does not say. head: designs that are judged."""

    model: AestheticModel
    weight: float
    head: int


@dataclass(frozen=True)
class RankParts:
    """What the methods work with. weights: the defaults. stream_concurrency: designs of a stream at once."""

    catalogue: Catalogue
    store: Store
    ingest: Ingest
    search: Search
    peers: Peers
    photos: Photos
    scoring: Scoring
    aesthetic: AestheticParts
    tokens: PageTokens
    weights: Mapping[str, float]
    stream_concurrency: int
    backoff: Backoff


class RankServicer(pb_grpc.RankServiceServicer):
    """Translates between the contract and the rooms of this package."""

    def __init__(self, parts: RankParts) -> None:
        self._parts = parts

    async def IndexDesigns(
        self, request_iterator: AsyncIterator[pb.IndexDesignsRequest], context: Any
    ) -> AsyncIterator[pb.IndexDesignsResponse]:
        """See the contract."""
        del context
        deadline = current_deadline()
        first = await anext(aiter(request_iterator), None)
        if first is None:
            return
        version = await self._writable(first, deadline)
        received = 0

        async def numbered() -> AsyncIterator[tuple[int, pb.IndexDesignsRequest]]:
            nonlocal received
            received = 1
            yield 0, first
            async for request in request_iterator:
                received += 1
                yield received - 1, request

        async def work(item: tuple[int, pb.IndexDesignsRequest]) -> pb.IndexDesignsResponse:
            return await self._indexed(version, *item, deadline)

        answered = 0
        answers = run_stream(numbered(), work, concurrency=self._parts.stream_concurrency)
        async with aclosing(answers):
            async for response in answers:
                answered += 1
                # An answer with nothing else under way may be the last.
                if answered == received:
                    response.info.CopyFrom(response_info(self._parts.peers.models))
                yield response
        await self._parts.store.flush(version.names, deadline, least_rows=_WORTH_A_FLUSH)

    async def SearchDesigns(self, request: pb.SearchDesignsRequest, context: Any) -> pb.SearchDesignsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        size = page_size(request.page_size, default=_HITS, largest=_MOST_HITS)
        wanted = read_search(request, self._parts.weights, self._parts.aesthetic.weight)
        digest = request_digest(request)
        position = self._position(request.page_token, digest, request.version_id)
        # A token without it is of a first page that knew nothing of beauty.
        pinned = position.pinned or Pinned(
            0.0 if request.page_token else wanted.aesthetic_weight, self._parts.aesthetic.head
        )
        version = await self._parts.catalogue.resolve(position.version, deadline)
        if version is None:
            if request.reference_design_id:
                raise _no_design(request.reference_design_id, "reference_design_id")
            return pb.SearchDesignsResponse(info=response_info())
        async with self._parts.catalogue.using(version):
            page = await self._parts.search.page(
                version, wanted, offset=position.offset, size=size, pinned=pinned, deadline=deadline
            )
        following = PagePosition(version.version_id, offset=position.offset + size, pinned=page.pinned)
        return pb.SearchDesignsResponse(
            hits=[hit_message(hit, self._design(hit.row)) for hit in page.hits],
            next_page_token=self._parts.tokens.encode(following, digest) if page.more else "",
            version_id=version.version_id,
            phrases=page.phrases,
            palette=page.palette,
            unavailable_channels=page.unavailable,
            info=response_info(page.models),
        )

    async def ScoreAesthetics(
        self, request: pb.ScoreAestheticsRequest, context: Any
    ) -> pb.ScoreAestheticsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        check_batch_size(len(request.photos), "photos")
        words = read_tags(request.tags, "tags")
        scoring = self._parts.scoring
        judge = await scoring.judge()
        tags = await scoring.tags(judge, words, not request.disable_auto_tags, deadline)

        async def work(index: int, photo: photo_pb2.Photo) -> PhotoScore:
            return await scoring.score(judge, photo, f"photos[{index}]", tags, deadline)

        outcomes = await run_batch(
            request.photos, work, concurrency=self._parts.stream_concurrency, deadline=deadline
        )
        models = {
            model.name: model
            for outcome in outcomes
            if isinstance(outcome, PhotoScore)
            for model in outcome.models
        }
        return pb.ScoreAestheticsResponse(
            items=[score_item(outcome) for outcome in outcomes],
            info=response_info(tuple(models.values()) or (judge.version,)),
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
                rows = await self._parts.store.read(
                    version.names.design, [request.design_id], FULL_FIELDS, deadline
                )
            row = rows.get(request.design_id)
        if row is None:
            raise _no_design(request.design_id, "design_id")
        photo = await self._parts.photos.get(str(row["photo"])) if request.include_photo else None
        return pb.GetDesignResponse(design=self._design(row, photo), info=response_info())

    async def ListDesigns(self, request: pb.ListDesignsRequest, context: Any) -> pb.ListDesignsResponse:
        """See the contract."""
        del context
        deadline = current_deadline()
        size = page_size(request.page_size, default=_LISTED, largest=_MOST_LISTED)
        condition = expression(request.filters)
        digest = request_digest(request)
        position = self._position(request.page_token, digest, request.version_id)
        version = await self._parts.catalogue.resolve(position.version, deadline)
        if version is None:
            return pb.ListDesignsResponse(info=response_info())
        async with self._parts.catalogue.using(version):
            with stage("read"):
                total = await self._parts.store.count(version.names.design, condition, deadline)
                # One more than asked for tells whether another page follows.
                rows = await self._parts.store.page(
                    version.names.design, condition, position.after, size + 1, FULL_FIELDS, deadline
                )
        token = ""
        if len(rows) > size:
            rows = rows[:size]
            token = self._parts.tokens.encode(
                PagePosition(version.version_id, after=str(rows[-1]["design_id"])), digest
            )
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
            raise wrong("BATCH_SIZE_INVALID", "design_ids", f"must be 1 to {MAX_DELETED} ids")
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
        space = await self._space(deadline)
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
            raise wrong("VERSION_MISSING", "version_id", "must be given")
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

    async def _writable(self, first: pb.IndexDesignsRequest, deadline: Deadline) -> Version:
        """The version that the stream writes to; refuses the stream where its vectors would not fit."""
        catalogue = self._parts.catalogue
        version = await catalogue.resolve(first.version_id, deadline)
        if version is None:
            version = await catalogue.live_or_first(lambda: self._space(deadline), deadline)
        expected = first.expected_fingerprint
        if expected:
            _check_expected(version, expected)
        try:
            space = await self._space(deadline)
        except Unavailable:
            return version  # each design will say so itself, and may find the service back
        check_fingerprint(space.design_fingerprint, version.space.design_fingerprint)
        return await catalogue.with_tokens(version, space.tokens, deadline)

    async def _space(self, deadline: Deadline) -> Space:
        """What EmbedService makes now, with the image tokens that the aesthetic model reads."""
        try:
            packing = (await self._parts.aesthetic.model.get()).packing
        except LunulaError:
            packing = None  # tokens can be added when the model is there
        return await self._parts.peers.space(deadline, self._parts.backoff, fresh=True, packing=packing)

    async def _indexed(
        self, version: Version, sequence: int, request: pb.IndexDesignsRequest, deadline: Deadline
    ) -> pb.IndexDesignsResponse:
        async def work() -> pb.IndexState.ValueType:
            async with self._parts.catalogue.using(version):
                return await self._parts.ingest.index(version, request, deadline)

        outcome = await settle(work())
        response = pb.IndexDesignsResponse(design_id=request.design.design_id, sequence=sequence)
        if isinstance(outcome, LunulaError):
            response.state = pb.INDEX_STATE_FAILED
            response.error.CopyFrom(to_item_error(outcome))
        else:
            response.state = outcome
        return response

    def _position(self, token: str, digest: str, version_id: str) -> PagePosition:
        return self._parts.tokens.decode(token, digest) if token else PagePosition(version_id)

    def _design(self, row: Mapping[str, Any], photo: bytes | None = None) -> pb.Design:
        return design_message(row, photo_uri=self._parts.photos.uri(str(row["photo"])), photo=photo)

    async def _version(self, version: Version, live: str, deadline: Deadline) -> pb.CatalogueVersion:
        ready = await self._parts.catalogue.resolve(version.version_id, deadline) or version
        message = pb.CatalogueVersion(
            version_id=version.version_id,
            live=version.version_id == live,
            design_count=await self._parts.store.count(ready.names.design, "", deadline),
            fingerprint=version.space.design_fingerprint,
            note=version.note,
            token_fingerprint=ready.tokens.fingerprint if ready.tokens is not None else "",
        )
        message.create_time.FromMilliseconds(version.create_time_ms)
        return message


def _check_expected(version: Version, expected: str) -> None:
    actual = version.space.design_fingerprint
    if actual != expected:
        raise FailedPrecondition(
            f"Catalogue version {version.version_id} was made by other models than the ones expected.",
            reason="FINGERPRINT_MISMATCH",
            fields=[("expected_fingerprint", f"the fingerprint of {version.version_id} is {actual}")],
            metadata={"expected": expected, "actual": actual},
        )


def _no_design(design_id: str, field: str) -> NotFound:
    return NotFound(
        f"There is no design {design_id}.",
        reason="DESIGN_NOT_FOUND",
        fields=[(field, "must be a design of the catalogue version")],
        resource=("design", design_id),
    )
