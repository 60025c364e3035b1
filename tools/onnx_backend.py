"""Triton's `onnxruntime` backend in Python, for a Triton that does not carry the C++ one.

Copied as `backends/onnxruntime/model.py`, where Triton finds it by the name in a model's config, so that one
repository serves with either backend. It runs in the environment of Triton's Python stub: it must import
neither this project nor NumPy 2, with which the stub hands every input over as zeros.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

pb_utils: Any = importlib.import_module("triton_python_backend_utils")

_DTYPES = {
    "TYPE_BOOL": np.bool_,
    "TYPE_UINT8": np.uint8,
    "TYPE_INT8": np.int8,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_FP64": np.float64,
}
_WARM_UP_AXIS = 4  # size given to every dynamic axis


class TritonPythonModel:
    """One instance of one ONNX model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the weights and run them once, so that the first request does not pay for it."""
        if int(np.__version__.split(".", 1)[0]) >= 2:
            raise pb_utils.TritonModelException(
                f"The stub's environment has NumPy {np.__version__}; it needs NumPy 1."
            )
        config = json.loads(args["model_config"])
        options = ort.SessionOptions()
        options.intra_op_num_threads = _number(config, "intra_op_thread_count", 1)
        options.inter_op_num_threads = 1
        # A spinning pool would burn the core that another instance computes on.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = config.get("default_model_filename") or "model.onnx"
        if file.endswith(".py"):
            file = "model.onnx"
        # Triton's name notwithstanding, this is the model's own folder.
        path = Path(args["model_repository"]) / args["model_version"] / file
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._warm_up(config)

    def _warm_up(self, config: dict[str, Any]) -> None:
        feed: dict[str, Any] = {
            tensor["name"]: np.ones(
                [1, *(int(size) if int(size) > 0 else _WARM_UP_AXIS for size in tensor["dims"])],
                _DTYPES[tensor["data_type"]],
            )
            for tensor in config["input"]
        }
        self._session.run(self._outputs, feed)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request; requests of one shape run as one batch, and fail one by one."""
        feeds = [
            {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
            for request in requests
        ]
        groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for index, feed in enumerate(feeds):
            groups.setdefault(tuple(tensor.shape[1:] for tensor in feed.values()), []).append(index)
        responses: list[Any] = [None] * len(requests)
        for members in groups.values():
            for index, response in zip(members, self._run([feeds[i] for i in members]), strict=True):
                responses[index] = response
        return responses

    def _run(self, feeds: list[dict[str, Any]]) -> list[Any]:
        joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in self._inputs}
        try:
            outputs = self._session.run(self._outputs, joined)
        except Exception as error:  # ONNX Runtime raises several unrelated types
            if len(feeds) > 1:  # one bad request must not take those beside it along
                return [response for feed in feeds for response in self._run([feed])]
            message = str(error)
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(message))]
        responses = []
        start = 0
        for feed in feeds:
            end = start + len(next(iter(feed.values())))
            tensors = [
                pb_utils.Tensor(name, np.ascontiguousarray(output[start:end]))
                for name, output in zip(self._outputs, outputs, strict=True)
            ]
            responses.append(pb_utils.InferenceResponse(output_tensors=tensors))
            start = end
        return responses


def _number(config: dict[str, Any], name: str, default: int) -> int:
    value = config.get("parameters", {}).get(name, {}).get("string_value", "")
    return int(value) if value.isdecimal() else default
