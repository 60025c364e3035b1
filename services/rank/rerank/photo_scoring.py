"""Photos that callers send, judged for what they are meant to be (paper Q)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunula.embed.v1 import embed_service_pb2 as embed_pb
from lunula.type.v1 import photo_pb2, response_info_pb2, vector_pb2
from nails.aesthetic.tags import AUTO_TAGS, KnownTag, words_of_tags
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal
from services.kit.retry import Backoff
from services.kit.telemetry.timings import stage
from services.rank.catalogue.token_rows import PhotoTokens, read_batch
from services.rank.clients import EmbeddedDesign, Peers
from services.rank.photos.store import Photos
from services.rank.rerank.aesthetic_model import AestheticModel, Judge, Matrix, tag_matrix

_BACKOFF = Backoff(attempts=3)
_TEXTS_A_CALL = 64
AUTO_COSINE = 0.1
"""A photo looks like nothing of the vocabulary where no cosine is above this."""


@dataclass(frozen=True)
class Tags:
    """What photos are judged as. words, vectors: the caller's. auto: to look for where there are none."""

    words: tuple[str, ...] = ()
    vectors: Matrix | None = None
    auto: Matrix | None = None


@dataclass(frozen=True)
class PhotoScore:
    """How beautiful a photo is. alignment: mean cosine with `words`, None without. found: in the photo.

    models: that took part.
    """

    score: float
    distribution: tuple[float, ...]
    beauty: float
    words: tuple[str, ...]
    alignment: float | None
    found: tuple[tuple[KnownTag, float], ...]
    models: tuple[response_info_pb2.ModelVersion, ...]


class Scoring:
    """Judges photos, one at a time; batching happens below, in the backend."""

    def __init__(self, *, model: AestheticModel, peers: Peers, photos: Photos) -> None:
        self._model = model
        self._peers = peers
        self._photos = photos
        self._known: list[vector_pb2.Vector] = []

    async def judge(self) -> Judge:
        """The model as it is served now. Raises as AestheticModel.get does."""
        return await self._model.get()

    async def tags(self, judge: Judge, words: Sequence[str], auto: bool, deadline: Deadline) -> Tags:
        """The words' vectors; without words and with `auto`, those of the tags to look for."""
        if words:
            asked = words_of_tags(words)
            places = {f"texts[{index}]": "tags" for index in range(len(asked))}
            vectors = await self._peers.embed_texts(asked, places, deadline, _BACKOFF)
            return Tags(asked, tag_matrix(judge, vectors))
        if not auto:
            return Tags()
        known = await self._known_tags(deadline)
        judge.check_made_with("text_encode", known[0].fingerprint)
        matrix = np.array([vector.values for vector in known], np.float32)
        # Where photos and words are not of one space there is nothing to look for.
        return Tags(auto=matrix if matrix.shape[1] == judge.align_dims else None)

    async def score(
        self, judge: Judge, photo: photo_pb2.Photo, field: str, tags: Tags, deadline: Deadline
    ) -> PhotoScore:
        """The score of the photo at path `field`. Raises as Photos.read, Peers and the backend do."""
        read = await self._photos.read(photo, field, deadline)
        made = await self._peers.embed_design(
            embed_pb.DesignInput(photo=photo_pb2.Photo(data=read.data)),
            "",
            {"photo": field},
            deadline,
            _BACKOFF,
            packing=judge.packing,
        )
        tokens, align = _looked_at(judge, made)
        unit = align[0] / max(float(np.linalg.norm(align[0])), 1e-12)
        found: tuple[tuple[KnownTag, float], ...] = ()
        words, vectors = tags.words, tags.vectors
        if tags.auto is not None:
            found, vectors = _best(tags.auto, unit)
            words = tuple(tag.words for tag, _ in found)
        if vectors is None:
            vectors = np.zeros((0, judge.tag_dims), np.float32)
        deadline.check("judging the photo")
        with stage("beauty"):
            scores = await self._model.score(judge, tokens, align, vectors, deadline)
        score = float(scores.score[0])
        return PhotoScore(
            score=score,
            distribution=tuple(scores.distribution[0].tolist()),
            beauty=judge.beauty(score),
            words=words,
            alignment=_alignment(vectors, unit),
            found=found,
            models=(*made.models, judge.version),
        )

    async def _known_tags(self, deadline: Deadline) -> list[vector_pb2.Vector]:
        """Vectors of AUTO_TAGS, kept until EmbedService has another text model: the first is always asked."""
        words = [tag.words for tag in AUTO_TAGS]
        (first,) = await self._peers.embed_texts(words[:1], {}, deadline, _BACKOFF)
        if not self._known or self._known[0].fingerprint != first.fingerprint:
            self._known = [
                vector
                for start in range(0, len(words), _TEXTS_A_CALL)
                for vector in await self._peers.embed_texts(
                    words[start : start + _TEXTS_A_CALL], {}, deadline, _BACKOFF
                )
            ]
        return self._known


def _looked_at(judge: Judge, made: EmbeddedDesign) -> tuple[NDArray[np.float16], Matrix]:
    """(tokens [1, T, D], align [1, D_a]) as a stored design would have them, so that both score alike."""
    space = made.token_space
    if space is None or made.tokens is None or made.photo_align is None:
        raise Internal("EmbedService gave no image tokens", reason="PEER_REFUSED")
    judge.check_made_with("image_align", made.photo_align.fingerprint)
    if why := judge.why_not(space):
        raise FailedPrecondition(f"model aesthetic: {why}", reason="MODEL_UNSUITABLE")
    kept = PhotoTokens(made.tokens.data, tuple(made.photo_align.values)).text(space)
    batch = read_batch({"": {"tokens": kept}}, space)
    return batch.tokens, batch.align


def _alignment(vectors: Matrix, unit: NDArray[np.float32]) -> float | None:
    """Mean cosine; None without words, and where photos and words are not of one space."""
    if not len(vectors) or vectors.shape[1] != len(unit):
        return None
    return float((vectors @ unit).mean())


def _best(known: Matrix, unit: NDArray[np.float32]) -> tuple[tuple[tuple[KnownTag, float], ...], Matrix]:
    """The tag of AUTO_TAGS that the photo looks most like, with its cosine and its vector; or none."""
    cosines = known @ unit
    best = int(np.argmax(cosines))
    if cosines[best] < AUTO_COSINE:
        return (), known[:0]
    return ((AUTO_TAGS[best], float(cosines[best])),), known[best : best + 1]
