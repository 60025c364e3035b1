"""ONNX files of any size: up to 2 GB everything is in one file, above it the weights lie beside the graph."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import onnx
from onnx import helper

LARGEST = 2**31 - 2**24  # bytes of weights in one file: a protobuf message ends at 2 GB
APART_MIN_BYTES = 1024  # smaller tensors stay in the graph


def apart(path: Path) -> Path:
    """Where the weights of the ONNX file `path` lie if they are not in it."""
    return path.with_name(path.name + ".data")


def sha256_of(path: Path) -> str:
    """sha256 hex of a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def has_large_weights(model: onnx.ModelProto) -> bool:
    """Whether the initialisers do not fit into the file of the graph."""
    size = sum(
        helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize * math.prod(tensor.dims)
        for tensor in model.graph.initializer
    )
    return size > LARGEST


def save_graph(model: onnx.ModelProto, path: Path) -> None:
    """Writes an ONNX file and checks it.

    Large weights go to `apart(path)`, and the graph's metadata says their sha256, so that the checksum of the
    graph stands for both.
    """
    data = apart(path)
    path.unlink(missing_ok=True)
    data.unlink(missing_ok=True)
    if not has_large_weights(model):
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=APART_MIN_BYTES)
        data.chmod(0o644)  # onnx makes it the owner's alone, and a server runs as another user
        graph = onnx.load(path, load_external_data=False)
        helper.set_model_props(graph, {"weights_data_sha256": sha256_of(data)})
        path.write_bytes(graph.SerializeToString())
    onnx.checker.check_model(str(path))
