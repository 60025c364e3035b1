"""A request on its way out: embedded, measured on every channel, fused, paged and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.rank.v1 import rank_service_pb2 as pb
from lunula.type.v1 import palette_pb2, photo_pb2, response_info_pb2, vector_pb2
from nails.aesthetic.rerank import AESTHETIC, term
from nails.aesthetic.tags import words_of_tags
from nails.colour.palette import PaletteColour
from nails.fusion import CHANNELS, Term, channel_weights, fuse
from nails.language.words import split_words
from services.intake.messages import palette_colours, palette_message
from services.kit.concurrency.threads import WorkThreads
from services.kit.concurrency.together import together
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, NotFound
from services.kit.retry import Backoff
from services.kit.telemetry.timings import stage
from services.rank.catalogue.filters import all_of, literal
from services.rank.catalogue.milvus import Milvus
from services.rank.catalogue.rows import FULL_FIELDS
from services.rank.catalogue.store import Store
from services.rank.catalogue.versions import Version
from services.rank.clients import EmbeddedQuery, Peers, check_fingerprint
from services.rank.photos.store import Photos
from services.rank.rerank.aesthetic import Beauty, Ranked, said_of
from services.rank.search.candidates import Query, measure
from services.rank.search.explanation import AskedColour, Explainer, asked_colours
from services.rank.search.page_tokens import Pinned
from services.rank.validation import wrong

_BACKOFF = Backoff(attempts=3)
Models = tuple[response_info_pb2.ModelVersion, ...]


@dataclass(frozen=True)
class Request:
    """A validated request. weights: the caller's or the defaults. expression: of the filters.

    artist_scope: whose designs, seen from the artist of `reference_design_id`. aesthetic_weight: of beauty,
    0 is none. aesthetic_tags: the caller's words for what the photos should be; may be empty.
    """

    text: str
    palette: tuple[PaletteColour, ...]
    reference_photo: photo_pb2.Photo | None
    reference_design_id: str
    context: str
    expression: str
    weights: Mapping[str, float]
    artist_scope: pb.ArtistScope.ValueType = pb.ARTIST_SCOPE_UNSPECIFIED
    aesthetic_weight: float = 0.0
    aesthetic_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Weighing:
    """Weights of the channels that are available, and of beauty."""

    weights: Mapping[str, float]
    available: Mapping[str, bool]
    aesthetic: float


@dataclass(frozen=True)
class _Reference:
    """vector: of the crop, None without a reference. expression: what its artist demands of hits."""

    vector: Sequence[float] | None = None
    expression: str = ""
    models: Models = ()


@dataclass(frozen=True)
class Hit:
    """One design of a page. row: all its fields. notes: why a channel measured nothing, by its name."""

    row: Mapping[str, Any]
    score: float
    terms: Sequence[Term]
    explanation: str
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Page:
    """Hits from `offset` on; more: whether others follow. palette: the one that was used.

    pinned: what later pages need to come in the same order.
    """

    hits: Sequence[Hit]
    more: bool
    phrases: Sequence[embed_pb.Phrase]
    palette: palette_pb2.Palette
    unavailable: Mapping[str, str]
    models: Models
    pinned: Pinned


class Search:
    """Searches catalogue versions."""

    def __init__(
        self,
        *,
        milvus: Milvus,
        store: Store,
        peers: Peers,
        photos: Photos,
        threads: WorkThreads,
        beauty: Beauty,
        candidates: int,
    ) -> None:
        """candidates: designs that each channel proposes. beauty: orders them among those that fit."""
        self._milvus = milvus
        self._store = store
        self._peers = peers
        self._photos = photos
        self._threads = threads
        self._beauty = beauty
        self._candidates = candidates
        self._explainer = Explainer()

    async def page(
        self,
        version: Version,
        request: Request,
        *,
        offset: int,
        size: int,
        pinned: Pinned,
        deadline: Deadline,
    ) -> Page:
        """Hits `offset` to `offset + size` of the request, best first; ties in the order of their ids.

        pinned: how beauty counts; on later pages as the first one did it.

        Raises the errors of the other services, FailedPrecondition FINGERPRINT_MISMATCH, NotFound
        DESIGN_NOT_FOUND, InvalidArgument WEIGHTS_WITHOUT_INPUT, FailedPrecondition CHANNELS_UNAVAILABLE or
        ARTIST_UNKNOWN.
        """
        can = await self._milvus.capabilities(deadline)
        asked, reference = await together(
            self._embedded(version, request, pinned.weight > 0, deadline),
            self._reference(version, request, deadline),
        )
        embedding = asked.embedding if asked is not None else embed_pb.QueryEmbedding()
        palette = request.palette or palette_colours(embedding.palette)
        searchable_words = request.text if split_words(request.text) else ""
        unavailable = {}
        if searchable_words and not can.bm25:
            unavailable["description"] = f"{can.product} {can.version} has no full-text search"
        query = Query(
            design=tuple(embedding.design.values) or None,
            words=searchable_words if can.bm25 else "",
            palette=palette,
            reference=reference.vector,
            expression=all_of(request.expression, reference.expression),
            exclude=request.reference_design_id,
        )
        available = _available(request, query, unavailable)
        with stage("search"):
            measures = await measure(self._store, version, query, limit=self._candidates, deadline=deadline)
        ranking = await self._beauty.rank(
            version,
            measures,
            channel_weights(request.weights, available),
            pinned,
            partial(self._tags, request, embedding),
            deadline,
        )
        if ranking.unavailable:
            unavailable[AESTHETIC] = ranking.unavailable
        shown = ranking.ranked[offset : offset + size]
        with stage("read"):
            rows = await self._store.read(
                version.names.design, [one.design_id for one in shown], FULL_FIELDS, deadline
            )
        with stage("explain"):
            phrases = embedding.phrases if request.text else ()

            # Some may have been deleted since they were measured.
            present = [(one, rows[one.design_id]) for one in shown if one.design_id in rows]
            weighing = _Weighing(request.weights, available, ranking.weight)

            def explained() -> list[Hit]:
                colours = asked_colours(palette, [row for _, row in present])
                return [
                    self._hit(one, row, weighing, phrases, asked)
                    for (one, row), asked in zip(present, colours, strict=True)
                ]

            hits = await self._threads.run(explained)
        return Page(
            hits=hits,
            more=offset + size < len(ranking.ranked),
            phrases=tuple(embedding.phrases) if request.text else (),
            palette=palette_message(palette),
            unavailable=unavailable,
            models=_unique((asked.models if asked is not None else ()) + reference.models + ranking.models),
            pinned=ranking.pinned,
        )

    def _hit(
        self,
        one: Ranked,
        row: Mapping[str, Any],
        weighing: _Weighing,
        phrases: Sequence[embed_pb.Phrase],
        colours: Sequence[AskedColour],
    ) -> Hit:
        available = weighing.available
        taking_part = {channel: one.raw[channel] for channel in CHANNELS if available[channel]}
        score, terms = fuse(taking_part, weighing.weights, available=available, part=1.0 - weighing.aesthetic)
        notes = {}
        if one.placed is not None:
            score += one.placed.contribution
            terms.append(term(one.placed, one.aesthetic, weighing.aesthetic))
            notes[AESTHETIC] = one.placed.standing.value
        explanation = self._explainer.explain(phrases, colours, row, terms, beauty=said_of(one))
        return Hit(row, score, terms, explanation, notes)

    async def _tags(
        self, request: Request, embedding: embed_pb.QueryEmbedding, deadline: Deadline
    ) -> Sequence[vector_pb2.Vector]:
        """Vectors of the caller's own tags, else of what the text is about."""
        if not request.aesthetic_tags:
            return [tag.vector for tag in embedding.tags]
        words = words_of_tags(request.aesthetic_tags)
        # Words may be fewer than tags, so that errors can only name them all.
        places = {f"texts[{index}]": "aesthetic_tags" for index in range(len(words))}
        return await self._peers.embed_texts(words, places, deadline, _BACKOFF)

    async def _embedded(
        self, version: Version, request: Request, include_tags: bool, deadline: Deadline
    ) -> EmbeddedQuery | None:
        """The request's vectors; colours alone are put into words, which is what the encoder reads."""
        text = request.text or ", ".join(colour.name.replace("_", " ") for colour in request.palette)
        if not text:
            return None
        made = await self._peers.embed_query(
            text,
            palette_message(request.palette),
            request.context,
            version.space.design_fingerprint,
            deadline,
            _BACKOFF,
            include_tags=include_tags and bool(request.text) and not request.aesthetic_tags,
        )
        check_fingerprint(made.embedding.design.fingerprint, version.space.design_fingerprint)
        return made

    async def _reference(self, version: Version, request: Request, deadline: Deadline) -> _Reference:
        """The vector of the reference's crop, stored or made now."""
        if request.reference_design_id:
            return await self._stored_reference(
                version, request.reference_design_id, request.artist_scope, deadline
            )
        if request.reference_photo is None:
            return _Reference()
        photo = await self._photos.read(request.reference_photo, "reference_photo", deadline)
        cropped = await self._peers.crop(photo.data, "reference_photo", deadline, _BACKOFF)
        crop = cropped.result
        made = await self._peers.embed_design(
            embed_pb.DesignInput(
                photo=photo_pb2.Photo(data=photo.data),
                crop=photo_pb2.Photo(data=crop.crop) if crop.crop else None,
            ),
            "",
            {"photo": "reference_photo", "crop": "reference_photo"},
            deadline,
            _BACKOFF,
        )
        check_fingerprint(made.align.fingerprint, version.space.align_fingerprint)
        return _Reference(tuple(made.align.values), models=cropped.models + made.models)

    async def _stored_reference(
        self, version: Version, design_id: str, scope: pb.ArtistScope.ValueType, deadline: Deadline
    ) -> _Reference:
        there, aligned = await together(
            self._store.read(version.names.design, [design_id], ("design_id", "artist_id"), deadline),
            self._store.read(version.names.align, [design_id], ("design_id", "vector"), deadline),
        )
        if design_id not in there or design_id not in aligned:
            raise NotFound(
                f"There is no design {design_id} in {version.version_id}.",
                reason="DESIGN_NOT_FOUND",
                fields=[("reference_design_id", "must be a design of the catalogue version")],
                resource=("design", design_id),
            )
        vector = tuple(float(value) for value in aligned[design_id]["vector"])
        return _Reference(vector, _of_artist(str(there[design_id]["artist_id"]), scope, design_id))


def _of_artist(artist: str, scope: pb.ArtistScope.ValueType, design_id: str) -> str:
    """What the reference's artist demands of hits."""
    if scope == pb.ARTIST_SCOPE_SAME and not artist:
        raise FailedPrecondition(
            f"It is not known who made design {design_id}.",
            reason="ARTIST_UNKNOWN",
            fields=[("artist_scope", "SAME needs a reference design with an artist_id")],
        )
    if not scope or not artist:
        return ""
    sign = "==" if scope == pb.ARTIST_SCOPE_SAME else "!="
    return f"artist_id {sign} {literal(artist)}"


def _available(request: Request, query: Query, unavailable: Mapping[str, str]) -> dict[str, bool]:
    """Channels that take part. Raises when none of them has a weight."""
    available = {
        "design": query.design is not None,
        "description": bool(query.words),
        "palette": bool(query.palette),
        "reference": query.reference is not None,
    }
    if any(channel_weights(request.weights, available).values()):
        return available
    if any(channel_weights(request.weights, dict.fromkeys(unavailable, True)).values()):
        raise FailedPrecondition(
            "All channels that have a weight are unavailable: "
            + "; ".join(f"{channel}: {why}" for channel, why in unavailable.items()),
            reason="CHANNELS_UNAVAILABLE",
            fields=[("weights", "must be positive for a channel that is available")],
        )
    raise wrong(
        "WEIGHTS_WITHOUT_INPUT", "weights", "must be positive for a channel that the request has input for"
    )


def _unique(models: Models) -> Models:
    return tuple({(model.name, model.fingerprint): model for model in models}.values())
