"""Sentences to vectors: padding, caching, and texts without a token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from nails.language.word_pieces import pad_rows, padded_length
from services.embed.text_encoder import TextEncoder
from services.kit.concurrency.threads import WorkThreads
from services.kit.deadline import Deadline
from services.kit.inference.base import ModelMetadata, TensorSpec
from services.kit.inference.fake import FakeBackend

NEVER = Deadline.never()


class Letters:
    """A token a letter."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text if letter.isalpha()]


class Counted:
    """An encoder over a backend that records the shapes of its inputs."""

    def __init__(self, threads: WorkThreads, cached: int) -> None:
        self.shapes: list[tuple[int, ...]] = []

        async def note(model: str, inputs: Mapping[str, Any]) -> None:
            del model
            self.shapes.append(inputs["input_ids"].shape)

        dynamic = (None,)
        model = ModelMetadata(
            "text_encode",
            "1",
            "f",
            16,
            (
                TensorSpec("input_ids", np.dtype("i8"), dynamic),
                TensorSpec("attention_mask", np.dtype("i8"), dynamic),
            ),
            (TensorSpec("embedding", np.dtype("f4"), (8,)),),
            {},
        )
        self.encoder = TextEncoder(
            backend=FakeBackend([model], before=note),
            tokenizer=Letters(),
            threads=threads,
            width=8,
            cached=cached,
        )


@pytest.fixture
def threads() -> Iterator[WorkThreads]:
    pool = WorkThreads(1)
    yield pool
    pool.close()


async def test_texts_of_like_length_share_a_batch_and_equal_texts_are_asked_once(
    threads: WorkThreads,
) -> None:
    counted = Counted(threads, 100)
    vectors = await counted.encoder.encode(["abc", "abcd", "abc", "a" * 20], NEVER)
    assert counted.shapes == [(2, 8), (1, 24)]
    assert np.array_equal(vectors[0], vectors[2])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


async def test_cached_texts_are_not_asked_again_and_the_oldest_are_forgotten(
    threads: WorkThreads,
) -> None:
    counted = Counted(threads, 2)
    first = await counted.encoder.encode(["one", "two"], NEVER)
    again = await counted.encoder.encode(["two", "one"], NEVER)
    assert np.array_equal(again, first[::-1]) and len(counted.shapes) == 1
    await counted.encoder.encode(["three"], NEVER)
    await counted.encoder.encode(["two"], NEVER)
    assert len(counted.shapes) == 3, "'two' was used longest ago"
    await counted.encoder.encode(["three"], NEVER)
    assert len(counted.shapes) == 3


async def test_without_a_cache_every_text_is_encoded_anew(threads: WorkThreads) -> None:
    counted = Counted(threads, 0)
    one = await counted.encoder.encode(["one"], NEVER)
    assert np.array_equal(await counted.encoder.encode(["one"], NEVER), one)
    assert len(counted.shapes) == 2


async def test_a_text_without_a_token_is_absent(threads: WorkThreads) -> None:
    counted = Counted(threads, 2)
    vectors = await counted.encoder.encode(["", "123"], NEVER)
    assert not vectors.any() and counted.shapes == []


def test_rows_are_padded_to_one_length_with_a_mask() -> None:
    assert [padded_length(count) for count in (1, 8, 9)] == [8, 8, 16]
    ids, mask = pad_rows([[5, 6], [7]], 4)
    assert ids.tolist() == [[5, 6, 0, 0], [7, 0, 0, 0]]
    assert mask.tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64
