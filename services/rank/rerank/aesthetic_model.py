"""The model `aesthetic`: what it needs, whether it answers, and its scores for many designs at once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.rerank import AESTHETIC, HIGHEST, LOWEST, ScoreMap
from nails.aesthetic.tags import MAX_TAGS
from nails.aesthetic.tokens import Packing
from services.kit.concurrency.lazy import Lazy
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal, LunulaError, Unavailable
from services.kit.inference import InferenceBackend, ModelMetadata
from services.kit.models import ModelVersion
from services.rank.catalogue.tokens import TokenSpace
from services.rank.upstream import Vector

VOTES = 10
_PIN_CHARACTERS = 16
Matrix = NDArray[np.float32]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServedModel:
    """What is known of the served model.

    packing, dims: of the tokens that it reads. align_dims, tag_dims: of its vectors. slots: tags of every
    call, None for as many as there are. score_map: normalises its scores. trained_with: fingerprints of the
    models whose outputs it was trained on, by their names, where its parameters name them.
    """

    packing: Packing
    dims: int
    align_dims: int
    tag_dims: int
    slots: int | None
    score_map: ScoreMap
    trained_with: Mapping[str, str]
    version: ModelVersion

    @classmethod
    def read(cls, model: ModelMetadata) -> ServedModel:
        """From the model's config. Raises FailedPrecondition MODEL_UNSUITABLE."""
        shapes = {spec.name: spec.shape for spec in model.inputs}
        try:
            packing, score_map = Packing.of(model.parameters), ScoreMap.parse(model.parameters)
            (tokens, dims), (align_dims,) = shapes["tokens"], shapes["align"]
            (slots, tag_dims), mask = shapes["tag"], shapes["tag_mask"]
            if tokens not in (None, packing.tokens) or mask != (slots,):
                raise ValueError(f"it takes {tokens} tokens and a mask {mask}, packed are {packing.tokens}")
            if dims is None or align_dims is None or tag_dims is None:
                raise ValueError("its vectors have no fixed length")
            if not {"score", "distribution"} <= {spec.name for spec in model.outputs}:
                raise ValueError("it gives no score and distribution")
        except (KeyError, ValueError) as error:
            raise FailedPrecondition(
                f"model {model.name} cannot be used: {error}", reason="MODEL_UNSUITABLE"
            ) from error
        return cls(
            packing,
            dims,
            align_dims,
            tag_dims,
            slots,
            score_map,
            {
                name: model.parameters[name]
                for name in ("image_align", "text_encode")
                if name in model.parameters
            },
            model.identity,
        )

    @property
    def pin(self) -> str:
        """Equal for models that order a list alike: of the weights, the packing and the score map."""
        facts = (self.version.fingerprint, self.packing, self.score_map)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:_PIN_CHARACTERS]

    def reject(self, tokens: TokenSpace) -> str:
        """Why it cannot read such tokens; "" where it can."""
        if (tokens.packing, tokens.dims, tokens.align_dims) != (self.packing, self.dims, self.align_dims):
            return (
                "the stored image tokens are of another form than the model reads; index the designs into a "
                "new version"
            )
        return ""

    def check_trained_with(self, name: str, fingerprint: str) -> None:
        """Raises FailedPrecondition FINGERPRINT_MISMATCH where it was trained on another such model."""
        expected = self.trained_with.get(name, fingerprint)
        if expected != fingerprint:
            raise FailedPrecondition(
                f"model {AESTHETIC} was trained with another {name} than EmbedService runs",
                reason="FINGERPRINT_MISMATCH",
                metadata={"expected": expected, "actual": fingerprint},
            )


@dataclass(frozen=True)
class Scores:
    """Of n designs. score: f32 [n] from 1 to 10. distribution: f32 [n, 10], expected shares of the votes."""

    score: Matrix
    distribution: Matrix


class AestheticModel:
    """The model behind an inference backend; a server may be without it."""

    def __init__(self, backend: InferenceBackend | None, absent: str = "") -> None:
        """absent: why there is no backend, for people."""
        self._backend = backend
        self._absent = absent
        self._failed: LunulaError | None = None  # what the last canary said
        self._served: Lazy[ServedModel] | None = None
        if backend is not None:
            self._served = Lazy(backend, (AESTHETIC,), self._read_model)

    async def get(self) -> ServedModel:
        """The model as it is served now.

        Raises FailedPrecondition AESTHETIC_MODEL_MISSING or MODEL_UNSUITABLE, Unavailable, and what the
        backend raises.
        """
        if self._served is None:
            raise FailedPrecondition(self._absent, reason="AESTHETIC_MODEL_MISSING")
        if self._failed is not None:
            raise self._failed.with_traceback(None)
        return await self._served.get()

    async def check(self, timeout_s: float) -> None:
        """A canary inference; loads the weights and notices exchanged ones. Never raises for the model.

        Searches go on without aesthetic scores, so a model that does not answer is no reason to refuse calls.
        """
        if self._served is None:
            return
        before, self._failed = self._failed, None
        try:
            async with asyncio.timeout(timeout_s):
                if not await self._served.ready():
                    self._failed = _unavailable("its canary fails")
        except TimeoutError:
            self._failed = _unavailable("its canary gives no answer in time")
        except LunulaError as error:
            self._failed = error
        if self._failed is not None and before is None:
            log.warning("aesthetic scores are unavailable: %s", self._failed)
        elif self._failed is None and before is not None:
            log.info("aesthetic scores are available again")

    async def score(
        self, model: ServedModel, tokens: NDArray[np.float16], align: Matrix, tags: Matrix, deadline: Deadline
    ) -> Scores:
        """Scores of n designs in one call.

        tokens: [n, T, D]. align: [n, D_a], of the whole photos. tags: [k, D_n] with k <= 8, what all of them
        are meant to be; none is nothing in particular. Raises what the backend raises, Internal
        MODEL_OUTPUT_NOT_FINITE.
        """
        assert self._backend is not None
        slots = model.slots or max(1, len(tags))
        used = tags[:slots]
        tag, mask = np.zeros((len(tokens), slots, model.tag_dims), np.float32), np.zeros(slots, np.float32)
        tag[:, : len(used)], mask[: len(used)] = used, 1.0
        outputs = await self._backend.infer(
            AESTHETIC,
            {
                "tokens": np.ascontiguousarray(tokens, np.float16),
                "align": np.ascontiguousarray(align, np.float32),
                "tag": tag,
                "tag_mask": np.tile(mask, (len(tokens), 1)),
            },
            deadline=deadline,
        )
        score = np.asarray(outputs["score"], np.float32).reshape(len(tokens))
        shares = np.asarray(outputs["distribution"], np.float32)
        if not (np.isfinite(score).all() and np.isfinite(shares).all()) or shares.shape[1:] != (VOTES,):
            raise Internal(f"{AESTHETIC} gave numbers that are not finite", reason="MODEL_OUTPUT_NOT_FINITE")
        return Scores(np.clip(score, LOWEST, HIGHEST), shares)

    async def _read_model(self) -> ServedModel:
        assert self._backend is not None
        return ServedModel.read(await self._backend.metadata(AESTHETIC))


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        f"model {AESTHETIC} does not answer: {why}", reason="MODEL_SERVER_UNAVAILABLE", retry_after_s=1.0
    )


def tag_matrix(model: ServedModel, vectors: Sequence[Vector]) -> Matrix:
    """Vectors of words as [k, D_n], k <= 8, without those of unknown words (all zeros).

    Raises FailedPrecondition FINGERPRINT_MISMATCH or MODEL_UNSUITABLE where they are not what it reads.
    """
    rows = []
    for vector in vectors[:MAX_TAGS]:
        model.check_trained_with("text_encode", vector.fingerprint)
        values = np.asarray(vector.values, np.float32)
        if len(values) != model.tag_dims:
            raise FailedPrecondition(
                f"model {AESTHETIC} reads vectors of {model.tag_dims} numbers, words have {len(values)}",
                reason="MODEL_UNSUITABLE",
            )
        if values.any():
            rows.append(values)
    return np.stack(rows) if rows else np.zeros((0, model.tag_dims), np.float32)
