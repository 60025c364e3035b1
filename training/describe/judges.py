"""One interface to what says how well a photo answers a request: the confidences c_ij of CRC (paper N).

`ModelJudge` asks for a number in words, wherever the model runs; `DigitJudge` reads a local model's next
token, which tells more than the digit it would write. On synthetic photos `training.design.data.claims`
judges without a model. `StoredJudge` gives stored confidences the form that mining wants, which is that of
the claims.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.describe.describers import read_or_error
from training.describe.models import answers, prompts
from training.describe.models.question import Asker, ItemError, Question
from training.describe.photos import Photo
from training.describe.store import Key, Store


@dataclass(frozen=True)
class Pair:
    """A request with its noun phrases, and a candidate photo with those of its description."""

    request: str
    request_nnp: tuple[str, ...]
    photo: Photo
    photo_nnp: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """sha256 of all that the judge is shown."""
        shown = [self.request, self.request_nnp, self.photo.sha256, self.photo_nnp]
        return sha256(json.dumps(shown).encode()).hexdigest()

    def question(self, prompt: prompts.Prompt) -> Question:
        """The pair in the words of a prompt."""
        return prompt.question(
            (self.photo,),
            request=prompts.clean_request(self.request),
            request_nnp=prompts.join_phrases(self.request_nnp),
            photo_nnp=prompts.join_phrases(self.photo_nnp),
        )


class Judge(Protocol):
    """Gives confidences; name and version are part of the key of every stored one.

    batch, parallel: see `Asker`.
    """

    name: str
    batch: int
    parallel: int
    version: str

    def judge(self, pairs: Sequence[Pair]) -> list[float | ItemError]:
        """How much of its request each photo fulfils, in [0, 1]."""
        ...

    def stop(self) -> None:
        """Give up waiting: calls in other threads end as soon as they can."""
        ...


class ModelJudge:
    """A `Judge` that asks a vision-language model for a number."""

    version = prompts.JUDGE_SCORE.version

    def __init__(self, asker: Asker, *, max_tokens: int = 60) -> None:
        self.asker = asker
        self.max_tokens = max_tokens
        self.name, self.batch, self.parallel = asker.name, asker.batch, asker.parallel

    def judge(self, pairs: Sequence[Pair]) -> list[float | ItemError]:
        questions = [pair.question(prompts.JUDGE_SCORE) for pair in pairs]
        asked = self.asker.ask(questions, max_tokens=self.max_tokens)
        return [read_or_error(answer, answers.read_score) for answer in asked]

    def stop(self) -> None:
        self.asker.stop()


class DigitModel(Protocol):
    """A model that can say how likely each digit is as its next token."""

    name: str
    batch: int
    parallel: int

    def digits(self, questions: Sequence[Question]) -> list[NDArray[np.float64] | ItemError]:
        """Probabilities f64 [10] of the digits 0 to 9, summing to 1, for each question."""
        ...

    def stop(self) -> None:
        """As `Asker.stop`."""
        ...


class DigitJudge:
    """A `Judge` whose confidence is the expected digit over nine."""

    version = prompts.JUDGE_DIGIT.version

    def __init__(self, model: DigitModel) -> None:
        self.model = model
        self.name, self.batch, self.parallel = model.name, model.batch, model.parallel

    def judge(self, pairs: Sequence[Pair]) -> list[float | ItemError]:
        weighed = self.model.digits([pair.question(prompts.JUDGE_DIGIT) for pair in pairs])
        return [one if isinstance(one, ItemError) else float(one @ np.arange(10) / 9) for one in weighed]

    def stop(self) -> None:
        self.model.stop()


class StoredJudge:
    """Confidences that a run stored, by number of text and photo: for `training.design.mining.Mined.judged`.

    pair: of a text's and a photo's number. A pair without a confidence has NaN, which is never enough.
    """

    def __init__(self, pair: Callable[[int, int], Pair], store: Store, *, name: str, version: str) -> None:
        self.pair = pair
        self.store = store
        self.name = name
        self.version = version

    def key(self, pair: Pair) -> Key:
        """Where a pair's confidence is kept."""
        return Key("judge", pair.key, self.name, self.version)

    def __call__(self, texts: NDArray[np.int64], photos: NDArray[np.int64]) -> NDArray[np.float32]:
        """f32 [M] in [0, 1], or NaN, of i64 [M] and i64 [M]."""
        pairs = (self.pair(text, photo) for text, photo in zip(texts.tolist(), photos.tolist(), strict=True))
        return np.array([self.store.answer(self.key(pair), np.nan) for pair in pairs], np.float32)
