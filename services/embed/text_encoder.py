"""Sentences to vectors: tokenised here, encoded by the model `text_encode`."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nails.encoders import TEXT_ENCODE
from nails.language.word_pieces import pad_rows, padded_length
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal
from services.kit.inference.base import InferenceBackend, ModelMetadata
from services.kit.telemetry.timings import stage


class Tokenizer(Protocol):
    """Sentences to token ids."""

    def encode(self, text: str) -> Sequence[int]:
        """Ids of the tokens; may be empty. The tokenizer bounds their number."""
        ...


class TextEncoder:
    """Encodes sentences, and caches the vectors of recent ones: phrases such as "gold line" recur."""

    def __init__(
        self,
        *,
        backend: InferenceBackend,
        tokenizer: Tokenizer,
        threads: WorkThreads,
        width: int,
        cached: int,
    ) -> None:
        """width: D_n, numbers of a vector. cached: most vectors kept, those of the texts used last."""
        self.width = width
        self._backend = backend
        self._tokenizer = tokenizer
        self._threads = threads
        self._max_cached = cached
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    async def encode(self, texts: Sequence[str], deadline: Deadline) -> NDArray[np.float32]:
        """Unit vectors f32 [n, D_n]; zeros for a text without a token. Raises what the backend raises."""
        wanted = list(dict.fromkeys(text for text in texts if text and text not in self._cache))
        found = {text: self._cache[text] for text in texts if text in self._cache}
        found |= await self._encode_new(wanted, deadline)
        self._put(found)
        absent = np.zeros(self.width, np.float32)
        return np.stack([found.get(text, absent) for text in texts])

    async def _encode_new(self, texts: Sequence[str], deadline: Deadline) -> dict[str, NDArray[np.float32]]:
        with stage("tokenize"):
            rows = await self._threads.run(self._tokenize, texts)
        by_length: defaultdict[int, list[str]] = defaultdict(list)
        for text, ids in rows.items():
            if len(ids):
                by_length[padded_length(len(ids))].append(text)
        found: dict[str, NDArray[np.float32]] = {}
        for length, members in sorted(by_length.items()):
            deadline.check("reading the text")
            tokens, mask = pad_rows([rows[text] for text in members], length)
            outputs = await self._backend.infer(
                TEXT_ENCODE, {"input_ids": tokens, "attention_mask": mask}, deadline=deadline
            )
            vectors = np.asarray(outputs["embedding"], np.float32)
            if not np.isfinite(vectors).all():
                raise Internal(
                    "text_encode gave numbers that are not finite", reason="MODEL_OUTPUT_NOT_FINITE"
                )
            for text, values in zip(members, vectors, strict=True):
                found[text] = values
        return found

    def _tokenize(self, texts: Sequence[str]) -> dict[str, Sequence[int]]:
        return {text: self._tokenizer.encode(text) for text in texts}

    def _put(self, found: dict[str, NDArray[np.float32]]) -> None:
        for text, values in found.items():
            self._cache[text] = values
            self._cache.move_to_end(text)
        while len(self._cache) > self._max_cached:
            self._cache.popitem(last=False)


def text_width(model: ModelMetadata) -> int:
    """Width D_n of the model's output "embedding". Raises FailedPrecondition MODEL_UNSUITABLE."""
    for output in model.outputs:
        if output.name == "embedding" and len(output.shape) == 1 and output.shape[0] is not None:
            return output.shape[0]
    raise FailedPrecondition(f"model {model.name} has no output embedding [N, D]", reason="MODEL_UNSUITABLE")
