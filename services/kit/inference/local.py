"""Models in this process: ONNX Runtime on the same repository that Triton would serve."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.kit.deadline import Deadline
from services.kit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
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
from services.kit.inference.batch_queue import Tensors
from services.kit.inference.batching import BatchingPolicy, DynamicBatcher
from services.kit.inference.config import ModelConfig, read_repository
from services.kit.inference.metrics import InferenceMetrics

CANARY_S = 30.0  # longest canary inference, loading included; the caller of `ready` may stop earlier
_log = logging.getLogger(__name__)
# ONNX Runtime's names of tensor types.
_ORT_DTYPES = {
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
}


class LocalBackend:
    """The embedded `InferenceBackend`.

    Configs are read at once; weights are read, checked against their sha256 and loaded at a model's first
    inference or readiness check. A failed load is tried again at the next one: weights that are built at
    set-up may arrive later.
    """

    def __init__(
        self,
        repository: Path,
        models: Sequence[str],
        *,
        intra_op_threads: int | None = None,
        max_queue_rows: int = 256,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`intra_op_threads` replaces every model's own setting. Raises FailedPrecondition."""
        self._metrics = InferenceMetrics(registry)
        self._models = {
            name: _Model(config, intra_op_threads, max_queue_rows, self._metrics)
            for name, config in read_repository(repository, models).items()
        }
        self._closed = False
        self._complaints: dict[str, str] = {}  # what was logged last about a model that is not ready

    async def infer(
        self, model: str, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline
    ) -> dict[str, NDArray[Any]]:
        """See `InferenceBackend.infer`."""
        found = self._model(model)
        rows = check_inputs(found.config.metadata, inputs)
        deadline.check(f"inference of {model!r}")
        if self._closed:
            raise Unavailable("The backend is closed.", reason="MODEL_SERVER_UNAVAILABLE")
        batcher = await found.loaded(deadline)
        return await batcher.submit(inputs, rows, deadline=deadline)

    async def ready(self, model: str) -> bool:
        """See `InferenceBackend.ready`. A full queue is a model at work, not a dead one."""
        if model not in self._models or self._closed:
            return False
        inputs = canary_inputs(self._models[model].config.metadata)
        try:
            outputs = await self.infer(model, inputs, deadline=Deadline.after(CANARY_S))
        except ResourceExhausted:
            return True
        except LunulaError as error:
            return self._not_ready(model, str(error))
        if not is_canary_alive(outputs):
            return self._not_ready(model, "the canary's outputs are not finite")
        self._complaints.pop(model, None)
        return True

    async def metadata(self, model: str) -> ModelMetadata:
        """See `InferenceBackend.metadata`."""
        return self._model(model).config.metadata

    async def close(self) -> None:
        """See `InferenceBackend.close`."""
        self._closed = True
        await asyncio.gather(*(model.close() for model in self._models.values()))

    def queued_rows(self, model: str) -> int:
        """Rows that wait for `model`."""
        return self._model(model).queued_rows

    def _not_ready(self, model: str, why: str) -> bool:
        if self._complaints.get(model) != why:
            _log.warning("model is not ready", extra={"model": model, "error": why})
        self._complaints[model] = why
        return False

    def _model(self, name: str) -> _Model:
        if name not in self._models:
            raise model_not_found(name)
        return self._models[name]


class _Model:
    """One model of the repository: loaded once, then batched."""

    def __init__(
        self, config: ModelConfig, threads: int | None, max_queue_rows: int, metrics: InferenceMetrics
    ) -> None:
        self.config = config
        self._threads = threads or config.intra_op_threads
        self._max_queue_rows = max_queue_rows
        self._metrics = metrics
        self._executor: ThreadPoolExecutor | None = None
        self._batcher: DynamicBatcher | None = None
        self._loading: asyncio.Task[DynamicBatcher] | None = None
        self._failed: tuple[object, FailedPrecondition] | None = None

    @property
    def queued_rows(self) -> int:
        return self._batcher.queued_rows if self._batcher is not None else 0

    async def loaded(self, deadline: Deadline) -> DynamicBatcher:
        """The model's batcher; loads the weights when they are not there yet.

        All callers wait for one load, which goes on when a caller gives up.
        """
        if self._batcher is not None:
            return self._batcher
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._on_load_end)
        remaining = deadline.remaining()
        try:
            async with asyncio.timeout(None if math.isinf(remaining) else remaining):
                return await asyncio.shield(self._loading)
        except TimeoutError:
            name = self.config.metadata.name
            raise DeadlineExceeded(f"The deadline passed before model {name!r} was loaded.") from None

    async def _load(self) -> DynamicBatcher:
        # Weights that failed are not read again until a file changes.
        files = (self.config.weights, self.config.folder / "model.toml")
        state = [(path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None for path in files]
        if self._failed is not None and self._failed[0] == state:
            raise self._failed[1].with_traceback(None)
        try:
            session = await asyncio.to_thread(load_session, self.config, self._threads)
        except FailedPrecondition as error:
            self._failed = (state, error)
            raise
        self._batcher = self._start(session)
        return self._batcher

    def _on_load_end(self, task: asyncio.Task[DynamicBatcher]) -> None:
        self._loading = None
        if not task.cancelled():
            task.exception()  # seen, also when every caller has given up

    def _start(self, session: ort.InferenceSession) -> DynamicBatcher:
        config = self.config
        names = [spec.name for spec in config.metadata.outputs]

        def run(inputs: Tensors) -> Tensors:
            return dict(zip(names, session.run(names, inputs), strict=True))

        # One session, `instances` threads: `Run` is safe for concurrent use and the weights exist once.
        self._executor = ThreadPoolExecutor(config.instances, f"model-{config.metadata.name}")
        policy = BatchingPolicy(
            max_batch_size=config.metadata.max_batch_size,
            max_queue_delay_s=config.max_queue_delay_s,
            preferred_rows=max(config.preferred_batch_sizes, default=None),
            max_queue_rows=self._max_queue_rows,
            instances=config.instances,
        )
        return DynamicBatcher(config.metadata.name, run, self._executor, policy, self._metrics)

    async def close(self) -> None:
        if self._loading is not None:
            await asyncio.wait([self._loading])
        if self._batcher is not None:
            await self._batcher.close()
        if self._executor is not None:
            self._executor.shutdown()


def load_session(config: ModelConfig, intra_op_threads: int) -> ort.InferenceSession:
    """Load a model's weights after checking that they are the ones of its `model.toml`. Blocks.

    Raises FailedPrecondition MODEL_WEIGHTS_MISSING, MODEL_WEIGHTS_MISMATCH (another sha256),
    MODEL_WEIGHTS_INVALID (not a model) or MODEL_CONFIG_INVALID (tensors unlike those of config.pbtxt).
    """
    name = config.metadata.name
    try:
        weights = config.weights.read_bytes()
    except OSError as error:
        raise _unusable(
            name, "WEIGHTS_MISSING", "has no weights; `lunula models build` makes them"
        ) from error
    if hashlib.sha256(weights).hexdigest() != config.weights_sha256():
        raise _unusable(name, "WEIGHTS_MISMATCH", "has weights other than those of its model.toml")
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    # Spinning threads would take the cores from the other models and services of the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # what raises is logged by the batcher, with its model
    try:
        session = ort.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise _unusable(name, "WEIGHTS_INVALID", f"cannot be loaded: {error}") from error
    _check_signature(config.metadata, session)
    _log.info("model loaded", extra={"model": name, "fingerprint": config.metadata.fingerprint})
    return session


def _check_signature(metadata: ModelMetadata, session: ort.InferenceSession) -> None:
    for specs, nodes in (
        (metadata.inputs, session.get_inputs()),
        (metadata.outputs, session.get_outputs()),
    ):
        have = {node.name: node for node in nodes}
        for spec in specs:
            node = have.pop(spec.name, None)
            if node is None:
                raise _unusable(metadata.name, "CONFIG_INVALID", f"has no tensor {spec.name!r}")
            if _ORT_DTYPES.get(node.type) != spec.dtype:
                raise _unusable(metadata.name, "CONFIG_INVALID", f"has {spec.name!r} of type {node.type}")
            # A size that the graph fixes must be the config's; a name or None is dynamic in the graph.
            sizes = [size if isinstance(size, int) else None for size in node.shape]
            if sizes and (
                len(sizes) != len(spec.shape) + 1
                or sizes[0] is not None
                or any(
                    size is not None and size != want
                    for size, want in zip(sizes[1:], spec.shape, strict=True)
                )
            ):
                raise _unusable(
                    metadata.name, "CONFIG_INVALID", f"has {spec.name!r} of shape {list(node.shape)}"
                )
        if specs is metadata.inputs and have:
            raise _unusable(metadata.name, "CONFIG_INVALID", f"needs {', '.join(have)} too")


def _unusable(name: str, reason: str, what: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"Model {name!r} {what}.", reason=f"MODEL_{reason}", resource=("lunula.model", name)
    )
