"""The model `aesthetic`: what it needs, whether it answers, and its scores for many designs at once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lunula.type.v1 import response_info_pb2, vector_pb2
from nails.aesthetic.rerank import HIGHEST, LOWEST, BeautyMap
from nails.aesthetic.tags import MAX_TAGS
from nails.aesthetic.tokens import Packing
from services.kit.concurrency.lazy import Lazy
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal, LunulaError, Unavailable
from services.kit.inference import InferenceBackend, ModelMetadata
from services.rank.catalogue.token_rows import TokenSpace

AESTHETIC = "aesthetic"
VOTES = 10
_PIN_CHARACTERS = 16
Matrix = NDArray[np.float32]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judge:
    """What is known of the served model.

    packing, dims: of the tokens that it reads. align_dims, tag_dims: of its vectors. slots: tags of every
    call, None for as many as there are. made_with: fingerprints of the models whose outputs it was trained
    on, by their names, where its parameters tell them.
    """

    packing: Packing
    dims: int
    align_dims: int
    tag_dims: int
    slots: int | None
    beauty: BeautyMap
    made_with: Mapping[str, str]
    version: response_info_pb2.ModelVersion

    @classmethod
    def of(cls, model: ModelMetadata) -> Judge:
        """From the model's config. Raises FailedPrecondition MODEL_UNSUITABLE."""
        shapes = {spec.name: spec.shape for spec in model.inputs}
        try:
            packing, beauty = Packing.of(model.parameters), BeautyMap.of(model.parameters)
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
            beauty,
            {
                name: model.parameters[name]
                for name in ("image_align", "text_encode")
                if name in model.parameters
            },
            response_info_pb2.ModelVersion(
                name=model.name, version=model.version, fingerprint=model.fingerprint
            ),
        )

    @property
    def pin(self) -> str:
        """Equal for judges that order a list alike: of the weights, the packing and the beauty map."""
        facts = (self.version.fingerprint, self.packing, self.beauty)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:_PIN_CHARACTERS]

    def why_not(self, tokens: TokenSpace) -> str:
        """Why it cannot judge such tokens; "" where it can."""
        if (tokens.packing, tokens.dims, tokens.align_dims) != (self.packing, self.dims, self.align_dims):
            return (
                "the stored image tokens are of another form than the model reads; index the designs into a "
                "new version"
            )
        return ""

    def check_made_with(self, name: str, fingerprint: str) -> None:
        """Raises FailedPrecondition FINGERPRINT_MISMATCH where it was trained on another such model."""
        expected = self.made_with.get(name, fingerprint)
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

    def __init__(self, backend: InferenceBackend | None, why_not: str = "") -> None:
        """why_not: said where there is no backend."""
        self._backend = backend
        self._why_not = why_not
        self._failed: LunulaError | None = None  # what the last canary said
        self._late: Lazy[Judge] | None = None
        if backend is not None:
            self._late = Lazy(backend, (AESTHETIC,), self._judge)

    async def get(self) -> Judge:
        """The model as it is served now.

        Raises FailedPrecondition AESTHETIC_MODEL_MISSING or MODEL_UNSUITABLE, Unavailable, and what the
        backend raises.
        """
        if self._late is None:
            raise FailedPrecondition(self._why_not, reason="AESTHETIC_MODEL_MISSING")
        if self._failed is not None:
            raise self._failed.with_traceback(None)
        return await self._late.get()

    async def look(self, timeout_s: float) -> None:
        """A canary inference; loads the weights and notices exchanged ones. Never raises for the model.

        Searches go on without beauty, so that a model that does not answer is no reason to take no calls.
        """
        if self._late is None:
            return
        before, self._failed = self._failed, None
        try:
            async with asyncio.timeout(timeout_s):
                if not await self._late.ready():
                    self._failed = _no_answer("its canary fails")
        except TimeoutError:
            self._failed = _no_answer("its canary gives no answer in time")
        except LunulaError as error:
            self._failed = error
        if self._failed is not None and before is None:
            log.warning("beauty is not judged: %s", self._failed)
        elif self._failed is None and before is not None:
            log.info("beauty is judged again")

    async def score(
        self, judge: Judge, tokens: NDArray[np.float16], align: Matrix, tags: Matrix, deadline: Deadline
    ) -> Scores:
        """Scores of n designs in one call.

        tokens: [n, T, D]. align: [n, D_a], of the whole photos. tags: [k, D_n] with k <= 8, what all of them
        are meant to be; none is nothing in particular. Raises what the backend raises, Internal
        MODEL_OUTPUT_NOT_FINITE.
        """
        assert self._backend is not None
        slots = judge.slots or max(1, len(tags))
        used = tags[:slots]
        tag, mask = np.zeros((len(tokens), slots, judge.tag_dims), np.float32), np.zeros(slots, np.float32)
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

    async def _judge(self) -> Judge:
        assert self._backend is not None
        return Judge.of(await self._backend.metadata(AESTHETIC))


def _no_answer(why: str) -> Unavailable:
    return Unavailable(
        f"model {AESTHETIC} does not answer: {why}", reason="MODEL_SERVER_UNAVAILABLE", retry_after_s=1.0
    )


def tag_matrix(judge: Judge, vectors: Sequence[vector_pb2.Vector]) -> Matrix:
    """Vectors of words as [k, D_n], k <= 8, without those that say nothing (all zeros).

    Raises FailedPrecondition FINGERPRINT_MISMATCH or MODEL_UNSUITABLE where they are not what it reads.
    """
    rows = []
    for vector in vectors[:MAX_TAGS]:
        judge.check_made_with("text_encode", vector.fingerprint)
        values = np.asarray(vector.values, np.float32)
        if len(values) != judge.tag_dims:
            raise FailedPrecondition(
                f"model {AESTHETIC} reads vectors of {judge.tag_dims} numbers, words have {len(values)}",
                reason="MODEL_UNSUITABLE",
            )
        if values.any():
            rows.append(values)
    return np.stack(rows) if rows else np.zeros((0, judge.tag_dims), np.float32)
