"""What every inference backend does. One suite; each backend passes all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, InvalidArgument, LunulaError, NotFound, Unavailable
from services.kit.inference import InferenceBackend, all_ready, model_versions
from services.kit.telemetry.timings import collect

Tensors = dict[str, NDArray[Any]]
Expected = Callable[[str, Tensors], Tensors]
SOON = 30.0


def images(rows: int, seed: int = 0) -> Tensors:
    generator = np.random.default_rng(seed)
    return {"images": generator.standard_normal((rows, 3, 8, 8)).astype(np.float32)}


def sentence(rows: int, length: int, seed: int = 0) -> Tensors:
    generator = np.random.default_rng(seed)
    mask = np.ones((rows, length), np.int64)
    mask[:, length // 2 + 1 :] = 0
    return {"input_ids": generator.integers(0, 50, (rows, length)), "attention_mask": mask}


async def infer(backend: InferenceBackend, model: str, inputs: Tensors) -> Tensors:
    return await backend.infer(model, inputs, deadline=Deadline.after(SOON))


def assert_same(one: Tensors, other: Tensors, tolerance: float = 1e-5) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.dtype == other[name].dtype
        assert tensor.shape == other[name].shape
        # Half precision is a cast of the same numbers: one unit in the last place may flip.
        limit = 1e-3 if tensor.dtype == np.float16 else tolerance
        np.testing.assert_allclose(tensor, other[name], rtol=0, atol=limit)


async def test_metadata_is_that_of_the_repository(backend: InferenceBackend) -> None:
    meta = await backend.metadata("words")
    assert (meta.name, meta.version, meta.max_batch_size) == ("words", "1", 8)
    assert [(spec.name, spec.dtype, spec.shape) for spec in meta.inputs] == [
        ("input_ids", np.dtype(np.int64), (None,)),
        ("attention_mask", np.dtype(np.int64), (None,)),
    ]
    assert [(spec.name, spec.shape) for spec in meta.outputs] == [("embedding", (8,)), ("tokens", (None, 8))]
    assert len(meta.fingerprint) == 64
    assert meta.parameters["preprocess_version"] == "1"
    assert meta.fingerprint != (await backend.metadata("pixels")).fingerprint


async def test_outputs_have_the_promised_dtypes_and_shapes(backend: InferenceBackend) -> None:
    outputs = await infer(backend, "pixels", images(3))
    assert {name: (tensor.dtype, tensor.shape) for name, tensor in outputs.items()} == {
        "embedding": (np.dtype(np.float32), (3, 16)),
        "tokens": (np.dtype(np.float16), (3, 4, 16)),
    }
    outputs = await infer(backend, "words", sentence(2, 5))
    assert outputs["tokens"].shape == (2, 5, 8)


async def test_embeddings_are_of_unit_length(backend: InferenceBackend) -> None:
    outputs = await infer(backend, "pixels", images(5))
    np.testing.assert_allclose(np.linalg.norm(outputs["embedding"], axis=1), 1, atol=1e-5)


async def test_outputs_are_those_of_the_model(
    backend: InferenceBackend, computes: bool, expected: Expected
) -> None:
    if not computes:
        pytest.skip("the fake backend makes its outputs up")
    for model, inputs in (("pixels", images(5)), ("words", sentence(3, 7))):
        assert_same(await infer(backend, model, inputs), expected(model, inputs))


async def test_a_row_gives_the_same_alone_and_in_a_batch(backend: InferenceBackend) -> None:
    for model, inputs in (("pixels", images(8)), ("words", sentence(8, 6))):
        together = await infer(backend, model, inputs)
        for row in range(8):
            alone = await infer(backend, model, {name: t[row : row + 1] for name, t in inputs.items()})
            assert_same(alone, {name: t[row : row + 1] for name, t in together.items()})


async def test_more_rows_than_a_batch_holds_come_back_complete_and_in_order(
    backend: InferenceBackend,
) -> None:
    inputs = images(37)
    outputs = await infer(backend, "pixels", inputs)
    assert outputs["embedding"].shape == (37, 16)
    for row in (0, 7, 8, 36):
        alone = await infer(backend, "pixels", {"images": inputs["images"][row : row + 1]})
        np.testing.assert_allclose(outputs["embedding"][row], alone["embedding"][0], atol=1e-5)


async def test_concurrent_callers_of_different_lengths_each_get_their_own(
    backend: InferenceBackend,
) -> None:
    requests = [sentence(1 + index % 3, 2 + index % 5, seed=index) for index in range(24)]
    answers = await asyncio.gather(*(infer(backend, "words", inputs) for inputs in requests))
    for inputs, outputs in zip(requests, answers, strict=True):
        assert outputs["tokens"].shape[:2] == inputs["input_ids"].shape
        assert_same(outputs, await infer(backend, "words", inputs))


async def test_one_poisoned_item_leaves_those_beside_it_right(
    backend: InferenceBackend, computes: bool, expected: Expected
) -> None:
    if not computes:
        pytest.skip("the fake backend runs nothing that could raise")
    requests = [sentence(1, 4, seed=index) for index in range(64)]
    requests[20]["input_ids"][0, 1] = 10_000  # outside of the vocabulary: the run raises
    answers = await asyncio.gather(
        *(infer(backend, "words", inputs) for inputs in requests), return_exceptions=True
    )
    assert isinstance(answers[20], LunulaError)
    for index, answer in enumerate(answers):
        if index != 20:
            assert isinstance(answer, dict)
            assert_same(answer, expected("words", requests[index]))


async def test_an_unknown_model_is_not_found(backend: InferenceBackend) -> None:
    with pytest.raises(NotFound) as caught:
        await infer(backend, "toes", images(1))
    assert caught.value.reason == "MODEL_NOT_FOUND"
    with pytest.raises(NotFound):
        await backend.metadata("toes")
    assert not await backend.ready("toes")


@pytest.mark.parametrize(
    ("model", "inputs", "field"),
    [
        ("pixels", {}, "images"),
        ("pixels", images(1) | {"extra": np.zeros((1, 1), np.float32)}, "extra"),
        ("pixels", {"images": np.zeros((1, 3, 8, 8), np.float64)}, "images"),
        ("pixels", {"images": np.zeros((1, 3, 8, 9), np.float32)}, "images"),
        ("pixels", {"images": np.zeros((3, 8, 8), np.float32)}, "images"),
        ("pixels", {"images": np.zeros((0, 3, 8, 8), np.float32)}, "images"),
        ("pixels", {"images": np.array(1.0, np.float32)}, "images"),
        ("words", sentence(1, 0), "input_ids"),
        ("words", sentence(2, 3) | {"attention_mask": np.ones((1, 3), np.int64)}, "attention_mask"),
    ],
)
async def test_wrong_tensors_are_refused_by_name(
    backend: InferenceBackend, model: str, inputs: Tensors, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await infer(backend, model, inputs)
    assert caught.value.reason == "TENSOR_MISMATCH"
    assert field in {violation.field for violation in caught.value.fields}


async def test_an_expired_deadline_is_refused(backend: InferenceBackend) -> None:
    with pytest.raises(DeadlineExceeded):
        await backend.infer("pixels", images(1), deadline=Deadline.after(0.0))


async def test_a_deadline_that_never_passes_is_accepted(backend: InferenceBackend) -> None:
    outputs = await backend.infer("pixels", images(1), deadline=Deadline.never())
    assert outputs["embedding"].shape == (1, 16)


async def test_queue_and_inference_times_are_recorded(backend: InferenceBackend) -> None:
    with collect() as timings:
        await infer(backend, "pixels", images(2))
    assert set(timings.milliseconds()) == {"queue", "inference"}


async def test_a_cancelled_call_leaves_the_backend_usable(backend: InferenceBackend) -> None:
    await infer(backend, "pixels", images(1))
    tasks = [asyncio.create_task(infer(backend, "pixels", images(8, seed))) for seed in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(answer, dict) for answer in answers[1::2])
    assert_same(await infer(backend, "pixels", images(8, 1)), answers[1])  # type: ignore[arg-type]  # a dict, see above


async def test_inputs_are_left_as_they_were(backend: InferenceBackend) -> None:
    inputs = images(3)
    inputs["images"].flags.writeable = False
    await infer(backend, "pixels", inputs)


async def test_tensors_that_are_not_contiguous_are_accepted(backend: InferenceBackend) -> None:
    inputs = images(6)
    strided = await infer(backend, "pixels", {"images": inputs["images"][::2]})
    assert_same(strided, await infer(backend, "pixels", {"images": inputs["images"][::2].copy()}))


async def test_ready_is_the_answer_of_a_canary(backend: InferenceBackend) -> None:
    assert await backend.ready("pixels")
    assert await backend.ready("words")
    assert await all_ready(backend, ["pixels", "words"])()
    assert not await all_ready(backend, ["pixels", "toes"])()


async def test_model_versions_name_the_fingerprints(backend: InferenceBackend) -> None:
    versions = await model_versions(backend, ["pixels", "words"])
    assert [(version.name, version.version) for version in versions] == [("pixels", "1"), ("words", "1")]
    assert versions[0].fingerprint == (await backend.metadata("pixels")).fingerprint


async def test_a_closed_backend_refuses_and_is_not_ready(backend: InferenceBackend) -> None:
    await backend.close()
    await backend.close()
    with pytest.raises(Unavailable) as caught:
        await infer(backend, "pixels", images(1))
    assert caught.value.reason == "MODEL_SERVER_UNAVAILABLE"
    assert not await backend.ready("pixels")
