"""Models on a Triton server, over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from services.kit.deadline import Deadline
from services.kit.errors import (
    Cancelled,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    LunulaError,
    ResourceExhausted,
    Unavailable,
)
from services.kit.inference.base import (
    ModelMetadata,
    canary_inputs,
    check_inputs,
    is_canary_alive,
    model_not_found,
)
from services.kit.inference.config import read_metadata
from services.kit.telemetry.timings import record, stage

CANARY_S = 30.0  # longest canary inference; the caller of `ready` may stop earlier
CONFIG_S = 10.0  # longest question for a model's config
RETRY_S = 0.2  # retry delay sent to callers when the model's queue is full
_log = logging.getLogger(__name__)
Tensors = dict[str, NDArray[Any]]


class TritonBackend:
    """The `InferenceBackend` of production.

    A model's metadata is cached until a call to it fails or its canary runs, so that a model
    that was exchanged is noticed. A call that waits in Triton's queue longer than its deadline is refused
    there; a cancelled one leaves the queue.
    """

    def __init__(self, url: str) -> None:
        """`url` is host:port of the server's gRPC. Nothing is connected yet."""
        self._url = url
        self._client: InferenceServerClient | None = None
        self._known: dict[str, ModelMetadata] = {}
        self._closed = False

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        """See `InferenceBackend.infer`.

        Triton does not say how long a request waited, so its queue counts as "inference" here.
        """
        deadline.check(f"inference of {model!r}")
        metadata = await self._metadata(model, deadline)
        rows = check_inputs(metadata, inputs)
        record("queue", 0.0)
        with stage("inference"):
            step = metadata.max_batch_size
            if rows <= step:
                return await self._call(metadata, inputs, deadline)
            calls = [
                asyncio.create_task(
                    self._call(
                        metadata,
                        {name: tensor[start : start + step] for name, tensor in inputs.items()},
                        deadline,
                    )
                )
                for start in range(0, rows, step)
            ]
            parts = await _all_or_none(calls)
        return {spec.name: np.concatenate([part[spec.name] for part in parts]) for spec in metadata.outputs}

    async def canary(self, model: str, *, deadline: Deadline) -> None:
        """Run one row of ones through `model`, whatever is cached of it. Raises what `infer` raises.

        Raises Internal INFERENCE_FAILED when the outputs are not finite.
        """
        self._known.pop(model, None)
        metadata = await self._metadata(model, deadline)
        outputs = await self._call(metadata, canary_inputs(metadata), deadline)
        if not is_canary_alive(outputs):
            raise Internal(
                f"The canary outputs of model {model!r} are not finite.", reason="INFERENCE_FAILED"
            )

    async def ready(self, model: str) -> bool:
        """See `InferenceBackend.ready`. A full queue is a model at work, not a dead one.

        Triton's own `is_model_ready` is not used: it stays true when a model's process has died.
        """
        try:
            await self.canary(model, deadline=Deadline.after(CANARY_S))
        except ResourceExhausted:
            return True
        except LunulaError as error:
            _log.info("model is not ready", extra={"model": model, "error": str(error)})
            return False
        return True

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceBackend.metadata`. Raises Unavailable when the server does not answer."""
        return await self._metadata(model, Deadline.after(CONFIG_S))

    async def close(self) -> None:
        """See `InferenceBackend.close`. Calls in flight fail with Unavailable."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def reload(self, model: str, *, deadline: Deadline) -> None:
        """Unload and load `model`: the cure for one whose process died. Raises what `infer` raises."""
        self._known.pop(model, None)
        with _translated(model):
            client = self._connect()
            await client.unload_model(model, client_timeout=_seconds(deadline))
            await client.load_model(model, client_timeout=_seconds(deadline))

    async def _metadata(self, model: str, deadline: Deadline) -> ModelMetadata:
        if model in self._known and not self._closed:
            return self._known[model]
        limit = min(deadline.remaining(), CONFIG_S)
        with _translated(model):
            answer = await self._connect().get_model_config(model, client_timeout=limit)
        self._known[model] = read_metadata(Path(model), answer.config)
        return self._known[model]

    async def _call(
        self, metadata: ModelMetadata, inputs: Mapping[str, NDArray[Any]], deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        model = metadata.name
        deadline.check(f"inference of {model!r}")
        tensors = []
        for spec in metadata.inputs:
            tensor = InferInput(spec.name, list(inputs[spec.name].shape), np_to_triton_dtype(spec.dtype))
            tensor.set_data_from_numpy(np.ascontiguousarray(inputs[spec.name]))
            tensors.append(tensor)
        wanted = [InferRequestedOutput(spec.name) for spec in metadata.outputs]
        seconds = _seconds(deadline)
        try:
            with _translated(model):
                result = await self._connect().infer(
                    model,
                    tensors,
                    outputs=wanted,
                    timeout=None if seconds is None else max(1, int(seconds * 1e6)),
                    client_timeout=seconds,
                )
        except LunulaError:
            self._known.pop(model, None)
            raise
        outputs = {spec.name: result.as_numpy(spec.name) for spec in metadata.outputs}
        missing = [name for name, tensor in outputs.items() if tensor is None]
        if missing:
            raise Internal(f"Model {model!r} gave no {', '.join(missing)}.", reason="INFERENCE_FAILED")
        return outputs

    def _connect(self) -> InferenceServerClient:
        if self._closed:
            raise Unavailable("The backend is closed.", reason="MODEL_SERVER_UNAVAILABLE")
        if self._client is None:
            self._client = InferenceServerClient(self._url)
        return self._client


class _translated(contextlib.AbstractContextManager[None]):
    """Turns what tritonclient raises about `model` into our errors."""

    def __init__(self, model: str) -> None:
        self._model = model

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, InferenceServerException):
            raise translate(self._model, error.status() or "", error.message() or "") from error
        if isinstance(error, asyncio.CancelledError) and not _is_being_cancelled():
            # gRPC ends the calls of a closed channel with a cancellation that no caller requested.
            raise Unavailable(
                "The connection to the model server was closed.", reason="MODEL_SERVER_UNAVAILABLE"
            ) from error


def translate(model: str, status: str, message: str) -> LunulaError:
    """Our error for Triton's `status` ("StatusCode.UNAVAILABLE") and `message`.

    Triton has few codes; its message tells the cause. The texts below are those of its 2.4x and 2.5x
    releases; other messages fall back to the code.
    """
    code, text = status.rpartition(".")[2], message.lower()
    if "unknown model" in text or code == "NOT_FOUND":
        return model_not_found(model)
    if "timeout expired" in text or code == "DEADLINE_EXCEEDED":
        return DeadlineExceeded(f"The deadline passed during inference of {model!r}.")
    if "maximum queue size" in text or code == "RESOURCE_EXHAUSTED":
        return ResourceExhausted(
            f"The queue of model {model!r} is full.", reason="QUEUE_FULL", retry_after_s=RETRY_S
        )
    if "stub process" in text or "not healthy" in text or code == "UNAVAILABLE":
        return Unavailable(
            f"Model {model!r} cannot be reached: {message}",
            reason="MODEL_SERVER_UNAVAILABLE",
            retry_after_s=RETRY_S,
        )
    kind, reason = _BY_CODE.get(code, (Internal, "INFERENCE_FAILED"))
    return kind(f"Model {model!r} failed: {message}", reason=reason)


_BY_CODE: Mapping[str, tuple[type[LunulaError], str]] = {
    "INVALID_ARGUMENT": (InvalidArgument, "TENSOR_MISMATCH"),
    "CANCELLED": (Cancelled, "CANCELLED"),
}


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _seconds(deadline: Deadline) -> float | None:
    remaining = deadline.remaining()
    return None if math.isinf(remaining) else max(remaining, 0.0)


async def _all_or_none(calls: list[asyncio.Task[Tensors]]) -> list[Tensors]:
    """Every result; the first error cancels the others."""
    try:
        return await asyncio.gather(*calls)
    except BaseException:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        raise
