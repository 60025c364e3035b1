"""A backend without weights: deterministic outputs of the right shapes, for testing whole services."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, Unavailable
from services.kit.inference.base import (
    ModelMetadata,
    TensorSpec,
    canary_inputs,
    check_inputs,
    is_canary_alive,
    model_not_found,
)
from services.kit.inference.config import read_repository
from services.kit.telemetry.timings import record, stage

Tensors = Mapping[str, NDArray[Any]]
Answer = Callable[[Tensors], Tensors]
Hook = Callable[[str, Tensors], Awaitable[None]]


class FakeBackend:
    """Answers from a hash of each row's inputs, so that equal rows get equal outputs in any batch.

    Floating outputs are normal deviates of unit norm along their last axis; integer outputs are in
    [0, 100). A dynamic axis of an output takes the size of the inputs' dynamic axis of the same rank
    order (the first, the second ...). `answers` replaces the outputs of single models (for example a
    segmentation with a nail in a known place). `before` is awaited before every inference and may wait,
    raise or cancel: with it tests provoke slow, full and broken backends.
    """

    def __init__(
        self,
        models: Path | Iterable[ModelMetadata],
        names: Sequence[str] | None = None,
        *,
        answers: Mapping[str, Answer] | None = None,
        before: Hook | None = None,
    ) -> None:
        """`models` is a model repository, of which `names` (default: all) are taken, or metadata."""
        if isinstance(models, Path):
            if names is None:
                names = sorted(path.parent.name for path in models.glob("*/config.pbtxt"))
            models = [config.metadata for config in read_repository(models, names).values()]
        self._models = {metadata.name: metadata for metadata in models}
        self._answers = dict(answers or {})
        self._before = before
        self._closed = False

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        """See `InferenceBackend.infer`."""
        metadata = await self.metadata(model)
        rows = check_inputs(metadata, inputs)
        deadline.check(f"inference of {model!r}")
        if self._closed:
            raise Unavailable("The backend is closed.", reason="MODEL_SERVER_UNAVAILABLE")
        record("queue", 0.0)
        with stage("inference"):
            if self._before is not None:
                await self._wait(self._before(model, inputs), model, deadline)
            if model in self._answers:
                return dict(self._answers[model](inputs))
            parts = [self._row(metadata, {name: inputs[name][row] for name in inputs}) for row in range(rows)]
            return {spec.name: np.stack([part[spec.name] for part in parts]) for spec in metadata.outputs}

    async def ready(self, model: str) -> bool:
        """See `InferenceBackend.ready`."""
        if model not in self._models or self._closed:
            return False
        try:
            outputs = await self.infer(
                model, canary_inputs(self._models[model]), deadline=Deadline.after(10.0)
            )
        except Exception:
            return False
        return is_canary_alive(outputs)

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceBackend.metadata`."""
        if model not in self._models:
            raise model_not_found(model)
        return self._models[model]

    async def close(self) -> None:
        """See `InferenceBackend.close`."""
        self._closed = True

    @staticmethod
    async def _wait(hook: Awaitable[None], model: str, deadline: Deadline) -> None:
        limit = deadline.remaining()
        try:
            async with asyncio.timeout(None if limit == float("inf") else limit) as timer:
                await hook
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise DeadlineExceeded(f"The deadline passed during inference of {model!r}.") from error

    @staticmethod
    def _row(metadata: ModelMetadata, row: Tensors) -> dict[str, NDArray[Any]]:
        digest = hashlib.blake2b(metadata.name.encode(), digest_size=16)
        for name in sorted(row):
            tensor = np.ascontiguousarray(row[name])
            digest.update(f"{name}{tensor.dtype}{tensor.shape}".encode())
            digest.update(tensor.tobytes())
        generator = np.random.default_rng(int.from_bytes(digest.digest(), "big"))
        dynamic = [
            size
            for spec in metadata.inputs
            for want, size in zip(spec.shape, row[spec.name].shape, strict=True)
            if want is None
        ]
        return {spec.name: _draw(generator, spec, dynamic) for spec in metadata.outputs}


def _draw(generator: np.random.Generator, spec: TensorSpec, dynamic: Sequence[int]) -> NDArray[Any]:
    sizes = iter(dynamic)
    shape = tuple(next(sizes, 1) if size is None else size for size in spec.shape)
    if spec.dtype.kind != "f":
        return generator.integers(0, 100, size=shape).astype(spec.dtype)
    values = generator.standard_normal(shape)
    norm = np.linalg.norm(values, axis=-1, keepdims=True) if shape else np.abs(values)
    unit: NDArray[Any] = (values / np.maximum(norm, 1e-12)).astype(spec.dtype)
    return unit
