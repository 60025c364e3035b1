"""What an inference backend is, and what all of them check before a model runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.errors import InvalidArgument, NotFound
from services.kit.models import ModelVersion

CANARY_AXIS = 4  # size that a canary inference gives to every dynamic axis


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a model. `shape` is without the batch axis; None is a dynamic axis."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of `shape` (without the batch axis) may be given for this spec."""
        return len(shape) == len(self.shape) and all(
            want is None or want == have for want, have in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class ModelMetadata:
    """The description of a model, read without running it.

    `fingerprint` is the sha256 over weights, preprocessing version and precision: vectors are comparable
    if and only if the fingerprints of what made them are equal. `parameters` are the free strings of the
    model's config (preprocess_version, precision, decoder ...).
    """

    name: str
    version: str
    fingerprint: str
    max_batch_size: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def identity(self) -> ModelVersion:
        """What responses say of the model."""
        return ModelVersion(self.name, self.version, self.fingerprint)


class InferenceBackend(Protocol):
    """Runs models by name. Safe for concurrent use within one event loop.

    Every implementation passes tests/contract/inference.
    """

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        """Run `model`. Inputs and outputs have the batch axis first; rows keep their order.

        Any number of rows from 1 up is accepted: more than the model's max_batch_size are split. A row's
        outputs do not depend on the rows beside it. Cancelling the task frees what is still queued.
        Records the stages "queue" and "inference".

        Raises NotFound MODEL_NOT_FOUND, InvalidArgument TENSOR_MISMATCH (a tensor missing, unknown, of
        another dtype or shape), DeadlineExceeded, ResourceExhausted QUEUE_FULL with a retry delay,
        FailedPrecondition MODEL_WEIGHTS_MISSING or MODEL_WEIGHTS_MISMATCH, Internal INFERENCE_FAILED,
        Unavailable MODEL_SERVER_UNAVAILABLE.
        """
        ...

    async def ready(self, model: str) -> bool:
        """Whether `model` answers a canary inference now. Never raises for a model that is not ready."""
        ...

    async def metadata(self, model: str) -> ModelMetadata:
        """The description of `model`. Raises NotFound MODEL_NOT_FOUND."""
        ...

    async def close(self) -> None:
        """Refuse new work, end what is queued, wait for what runs, free everything. Idempotent."""
        ...


def model_not_found(model: str) -> NotFound:
    """The error for a model that a backend does not have."""
    return NotFound(
        f"There is no model {model!r}.", reason="MODEL_NOT_FOUND", resource=("lunula.model", model)
    )


def check_inputs(metadata: ModelMetadata, inputs: Mapping[str, NDArray[Any]]) -> int:
    """The number of rows of `inputs`; raises InvalidArgument TENSOR_MISMATCH naming every wrong tensor.

    Dtypes must be equal (nothing is cast silently), non-batch axes must fit the config, and all inputs
    must have the same number of rows, at least 1.
    """
    wrong: list[tuple[str, str]] = []
    specs = {spec.name: spec for spec in metadata.inputs}
    wrong += [(name, "is missing") for name in specs if name not in inputs]
    wrong += [(name, "is not an input of this model") for name in inputs if name not in specs]
    rows: dict[str, int] = {}
    for name, spec in specs.items():
        tensor = inputs.get(name)
        if tensor is None:
            continue
        if tensor.dtype != spec.dtype:
            wrong.append((name, f"has dtype {tensor.dtype}, expected {spec.dtype}"))
        if tensor.ndim == 0 or not spec.fits(tensor.shape[1:]):
            want = ", ".join("any" if size is None else str(size) for size in spec.shape)
            wrong.append((name, f"has shape {list(tensor.shape)}, expected [rows, {want}]"))
        elif 0 in tensor.shape:
            wrong.append((name, f"is empty: shape {list(tensor.shape)}"))
        else:
            rows[name] = tensor.shape[0]
    if not wrong and len(set(rows.values())) != 1:
        wrong = [(name, f"has {count} rows, others have another number") for name, count in rows.items()]
    if wrong:
        facts = "; ".join(f"{name} {what}" for name, what in wrong)
        raise InvalidArgument(
            f"The tensors do not fit model {metadata.name!r}: {facts}.",
            reason="TENSOR_MISMATCH",
            fields=wrong,
        )
    return next(iter(rows.values()))


def canary_inputs(metadata: ModelMetadata) -> dict[str, NDArray[Any]]:
    """One row of ones for every input: valid pixels, a valid token id, an attended mask."""
    return {
        spec.name: np.ones((1, *(size or CANARY_AXIS for size in spec.shape)), dtype=spec.dtype)
        for spec in metadata.inputs
    }


def is_canary_alive(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the outputs of a canary inference are numbers."""
    return all(bool(np.isfinite(tensor).all()) for tensor in outputs.values() if tensor.dtype.kind == "f")


def all_ready(backend: InferenceBackend, models: Iterable[str]) -> Callable[[], Awaitable[bool]]:
    """A readiness check for `Service.ready`: every model answers its canary."""
    names = tuple(models)

    async def ready() -> bool:
        return all(await asyncio.gather(*(backend.ready(name) for name in names)))

    return ready


async def model_versions(backend: InferenceBackend, models: Iterable[str]) -> list[ModelVersion]:
    """The versions that the backend serves of `models`, in their order. Raises NotFound MODEL_NOT_FOUND."""
    return [(await backend.metadata(name)).identity for name in models]
