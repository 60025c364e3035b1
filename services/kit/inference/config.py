"""Reads a model's folder: `config.pbtxt` for how it is served, `model.toml` for the sha256 of its weights."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from services.kit.errors import FailedPrecondition
from services.kit.inference.base import ModelMetadata, TensorSpec

VERSION = "1"
# Config parameters with a meaning of their own here; all others are passed on as they are.
FINGERPRINT = "fingerprint"
INTRA_OP_THREADS = "intra_op_thread_count"

_DTYPES = {
    model_config_pb2.TYPE_BOOL: np.dtype(np.bool_),
    model_config_pb2.TYPE_UINT8: np.dtype(np.uint8),
    model_config_pb2.TYPE_INT8: np.dtype(np.int8),
    model_config_pb2.TYPE_INT32: np.dtype(np.int32),
    model_config_pb2.TYPE_INT64: np.dtype(np.int64),
    model_config_pb2.TYPE_FP16: np.dtype(np.float16),
    model_config_pb2.TYPE_FP32: np.dtype(np.float32),
    model_config_pb2.TYPE_FP64: np.dtype(np.float64),
}


@dataclass(frozen=True)
class ModelConfig:
    """How one model of the repository is served."""

    folder: Path
    metadata: ModelMetadata
    preferred_batch_sizes: tuple[int, ...]
    max_queue_delay_s: float
    instances: int
    intra_op_threads: int

    @property
    def weights(self) -> Path:
        """The ONNX file."""
        return self.folder / VERSION / "model.onnx"

    def weights_sha256(self) -> str:
        """What the weights' sha256 must be, from `model.toml`."""
        path = self.folder / "model.toml"
        try:
            return str(tomllib.loads(path.read_text("utf-8"))["model"]["weights_sha256"])
        except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
            raise _invalid(self.folder, f"model.toml gives no weights_sha256 ({error})") from error


def read_config(folder: Path) -> ModelConfig:
    """Read `folder`/config.pbtxt. Raises FailedPrecondition MODEL_CONFIG_INVALID."""
    try:
        config = text_format.Parse(
            (folder / "config.pbtxt").read_text("utf-8"), model_config_pb2.ModelConfig()
        )
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise _invalid(folder, str(error)) from error
    if config.name and config.name != folder.name:
        raise _invalid(folder, f"the config names another model, {config.name!r}")
    metadata = read_metadata(folder, config)
    threads = metadata.parameters.get(INTRA_OP_THREADS, "1")
    if not threads.isdecimal():
        raise _invalid(folder, f"{INTRA_OP_THREADS} is {threads!r}, not a number")
    return ModelConfig(
        folder=folder,
        metadata=metadata,
        preferred_batch_sizes=tuple(sorted(config.dynamic_batching.preferred_batch_size)),
        max_queue_delay_s=config.dynamic_batching.max_queue_delay_microseconds / 1e6,
        instances=max(1, sum(group.count or 1 for group in config.instance_group)),
        intra_op_threads=max(1, int(threads)),
    )


def read_metadata(folder: Path, config: Any) -> ModelMetadata:
    """The metadata of the model that `folder` is named after, from its `inference.ModelConfig` message.

    The folder is not read. Raises FailedPrecondition MODEL_CONFIG_INVALID.
    """
    if config.max_batch_size < 1:
        raise _invalid(folder, "max_batch_size must be at least 1: every tensor has a batch axis")
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    metadata = ModelMetadata(
        name=folder.name,
        version=VERSION,
        fingerprint=parameters.get(FINGERPRINT, ""),
        max_batch_size=config.max_batch_size,
        inputs=tuple(_spec(folder, tensor) for tensor in config.input),
        outputs=tuple(_spec(folder, tensor) for tensor in config.output),
        parameters=MappingProxyType(parameters),
    )
    if not metadata.inputs or not metadata.outputs:
        raise _invalid(folder, "a model needs inputs and outputs")
    return metadata


def read_repository(repository: Path, models: Sequence[str]) -> dict[str, ModelConfig]:
    """Read the configs of `models`. Raises FailedPrecondition MODEL_CONFIG_INVALID for the first bad one."""
    return {name: read_config(repository / name) for name in models}


def _spec(folder: Path, tensor: Any) -> TensorSpec:
    dtype = _DTYPES.get(tensor.data_type)
    if dtype is None:
        kind = model_config_pb2.DataType.Name(tensor.data_type)
        raise _invalid(folder, f"tensor {tensor.name!r} has the unsupported type {kind}")
    return TensorSpec(tensor.name, dtype, tuple(None if size < 0 else size for size in tensor.dims))


def _invalid(folder: Path, why: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The configuration of model {folder.name!r} cannot be used: {why}.",
        reason="MODEL_CONFIG_INVALID",
        resource=("lunula.model", folder.name),
    )
