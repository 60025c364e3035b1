"""Aesthetic scores of photos that callers send, for what the photos are meant to be (paper Q)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.tags import AUTO_TAGS, KnownTag, words_of_tags
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal
from services.kit.models import ModelVersion
from services.kit.retry import Backoff
from services.kit.telemetry.timings import stage
from services.rank.catalogue.tokens import decode_tokens, encode_tokens, token_space
from services.rank.clients.embed import EmbedClient
from services.rank.clients.upstream_call import Budget
from services.rank.photos.store import PhotoInput, Photos
from services.rank.rerank.aesthetic_model import AestheticModel, Matrix, ServedModel, tag_matrix
from services.rank.upstream import EmbeddedDesign, Vector

_BACKOFF = Backoff(attempts=3)
_TEXTS_A_CALL = 64
AUTO_COSINE = 0.1
"""A photo looks like nothing of the vocabulary where no cosine is above this."""


@dataclass(frozen=True)
class Tags:
    """What photos are scored as. words, vectors: the caller's. auto: to look for where there are none."""

    words: tuple[str, ...] = ()
    vectors: Matrix | None = None
    auto: Matrix | None = None


@dataclass(frozen=True)
class PhotoScore:
    """The aesthetic score of a photo, from 1 to 10, and `normalised` to [0, 1].

    distribution: expected shares of the votes 1 to 10. alignment: mean cosine with `words`, None without.
    auto_tags: found in the photo, with their cosines. models: that took part.
    """

    score: float
    distribution: tuple[float, ...]
    normalised: float
    words: tuple[str, ...]
    alignment: float | None
    auto_tags: tuple[tuple[KnownTag, float], ...]
    models: tuple[ModelVersion, ...]


class PhotoScoring:
    """Scores photos one at a time; batching happens below, in the backend."""

    def __init__(self, *, model: AestheticModel, embed: EmbedClient, photos: Photos) -> None:
        self._model = model
        self._embed = embed
        self._photos = photos
        self._auto_vectors: list[Vector] = []

    async def model(self) -> ServedModel:
        """The model as it is served now. Raises as AestheticModel.get does."""
        return await self._model.get()

    async def tags(self, model: ServedModel, words: Sequence[str], auto: bool, deadline: Deadline) -> Tags:
        """The words' vectors; without words and with `auto`, those of the tags to look for."""
        if words:
            given = words_of_tags(words)
            places = {f"texts[{index}]": "tags" for index in range(len(given))}
            vectors = await self._embed.embed_texts(given, places, Budget(deadline, _BACKOFF))
            return Tags(given, tag_matrix(model, vectors))
        if not auto:
            return Tags()
        candidates = await self._read_auto_vectors(Budget(deadline, _BACKOFF))
        model.check_trained_with("text_encode", candidates[0].fingerprint)
        matrix = np.array([vector.values for vector in candidates], np.float32)
        # Where photos and words are not of one space there is nothing to look for.
        return Tags(auto=matrix if matrix.shape[1] == model.align_dims else None)

    async def score(
        self, model: ServedModel, photo: PhotoInput, field: str, tags: Tags, deadline: Deadline
    ) -> PhotoScore:
        """The score of the photo at path `field`. Raises as Photos.read, EmbedClient and the backend do."""
        file = await self._photos.read(photo, field, deadline)
        made = await self._embed.embed_design(
            file.data, Budget(deadline, _BACKOFF), places={"photo": field}, packing=model.packing
        )
        tokens, align = _model_inputs(model, made)
        unit = align[0] / max(float(np.linalg.norm(align[0])), 1e-12)
        auto_tags: tuple[tuple[KnownTag, float], ...] = ()
        words, vectors = tags.words, tags.vectors
        if tags.auto is not None:
            auto_tags, vectors = _best(tags.auto, unit)
            words = tuple(tag.words for tag, _ in auto_tags)
        if vectors is None:
            vectors = np.zeros((0, model.tag_dims), np.float32)
        deadline.check("scoring the photo")
        with stage("aesthetic"):
            scores = await self._model.score(model, tokens, align, vectors, deadline)
        score = float(scores.score[0])
        return PhotoScore(
            score=score,
            distribution=tuple(scores.distribution[0].tolist()),
            normalised=model.score_map(score),
            words=words,
            alignment=_alignment(vectors, unit),
            auto_tags=auto_tags,
            models=(*made.models, model.version),
        )

    async def _read_auto_vectors(self, budget: Budget) -> list[Vector]:
        """Vectors of AUTO_TAGS; read again when EmbedService has another text model: the first always is."""
        words = [tag.words for tag in AUTO_TAGS]
        (first,) = await self._embed.embed_texts(words[:1], {}, budget)
        if not self._auto_vectors or self._auto_vectors[0].fingerprint != first.fingerprint:
            self._auto_vectors = [
                vector
                for start in range(0, len(words), _TEXTS_A_CALL)
                for vector in await self._embed.embed_texts(words[start : start + _TEXTS_A_CALL], {}, budget)
            ]
        return self._auto_vectors


def _model_inputs(model: ServedModel, made: EmbeddedDesign) -> tuple[NDArray[np.float16], Matrix]:
    """(tokens [1, T, D], align [1, D_a]) as a stored design would have them, so that both score alike."""
    space = token_space(made)
    if space is None or made.tokens is None or made.photo_align is None:
        raise Internal("EmbedService gave no image tokens", reason="UPSTREAM_REFUSED")
    model.check_trained_with("image_align", made.photo_align.fingerprint)
    if reason := model.reject(space):
        raise FailedPrecondition(f"model aesthetic: {reason}", reason="MODEL_UNSUITABLE")
    stored = encode_tokens(made.tokens, made.photo_align.values, space)
    batch = decode_tokens({"": {"tokens": stored}}, space)
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
