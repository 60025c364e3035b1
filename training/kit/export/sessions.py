"""Frozen networks as ONNX Runtime sessions on one thread, which are faster on a CPU than torch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.kit.compute import set_memory_format
from training.kit.export.card import TensorCard
from training.kit.export.model import trace_onnx

SIZE = 224


Run = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]


def write_network(network: nn.Module, path: Path, outputs: Sequence[str], size: int = SIZE) -> None:
    """`network` as an ONNX file from images f32 [N,3,size,size] to `outputs`: ONNX Runtime is the faster."""
    trace_onnx(
        set_memory_format(network.eval(), torch.contiguous_format),
        (torch.zeros(2, 3, size, size),),
        path,
        inputs=(TensorCard("images", "f32", (3, size, size)),),
        outputs=tuple(TensorCard(name, "f32", ()) for name in outputs),
    )


def open_network(path: Path) -> Run:
    """The file of `write_network` as a function, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})


def onnx_runner(network: nn.Module, outputs: Sequence[str], size: int = SIZE) -> Run:
    """`network` as a function of images f32 [N,3,size,size] that gives `outputs`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_network(network, path, outputs, size)
        return open_network(path)
