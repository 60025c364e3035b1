"""A repository of tiny models, and every inference backend over it.

`pixels`  images f32[N,3,8,8] -> embedding f32[N,16] unit, tokens f16[N,4,16]
`words`   input_ids i64[N,L], attention_mask i64[N,L] -> embedding f32[N,8] unit, tokens f32[N,L,8];
          an id of VOCABULARY or more makes the run raise
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.kit.inference import InferenceBackend
from services.kit.inference.fake import FakeBackend
from services.kit.inference.local import LocalBackend
from tools.render import render
from tools.triton_install import DEFAULT_ROOT, Installation
from tools.triton_process import ServerOptions, ServerProcess

VOCABULARY = 50
MODELS = ("pixels", "words")
_TYPES = {
    "f32": TensorProto.FLOAT,
    "f16": TensorProto.FLOAT16,
    "i64": TensorProto.INT64,
}
Signature = list[tuple[str, str, list[int]]]


def unit(tensor: NDArray[Any]) -> NDArray[Any]:
    return tensor / np.linalg.norm(tensor, axis=-1, keepdims=True)


@pytest.fixture(scope="session")
def weights() -> dict[str, NDArray[np.float32]]:
    """The weights inside the tiny models, so that tests can compute what must come out."""
    generator = np.random.default_rng(7)
    return {
        "pixels": generator.standard_normal((192, 16)).astype(np.float32),
        "words": generator.standard_normal((VOCABULARY, 8)).astype(np.float32),
    }


@pytest.fixture(scope="session")
def expected(
    weights: dict[str, NDArray[np.float32]],
) -> Callable[[str, dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    """What the tiny models give, computed without them."""

    def compute(model: str, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if model == "pixels":
            embedding = unit(inputs["images"].reshape(-1, 192) @ weights["pixels"])
            tokens = np.repeat(embedding[:, None, :], 4, axis=1).astype(np.float16)
            return {"embedding": embedding, "tokens": tokens}
        mask = inputs["attention_mask"][..., None].astype(np.float32)
        tokens = weights["words"][inputs["input_ids"]] * mask
        return {"embedding": unit(tokens.sum(axis=1)), "tokens": tokens}

    return compute


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, NDArray[np.float32]]) -> Path:
    """A model repository with both tiny models, as a checkout has it."""
    root = tmp_path_factory.mktemp("models")
    _write(
        root,
        "pixels",
        inputs=[("images", "f32", [3, 8, 8])],
        outputs=[("embedding", "f32", [16]), ("tokens", "f16", [4, 16])],
        constants={
            "weight": weights["pixels"],
            "flat": np.array([0, 192], np.int64),
            "one": np.array([1], np.int64),
            "four": np.array([1, 4, 1], np.int64),
        },
        nodes=[
            helper.make_node("Reshape", ["images", "flat"], ["rows"]),
            helper.make_node("MatMul", ["rows", "weight"], ["raw"]),
            helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=-1, p=2),
            helper.make_node("Unsqueeze", ["embedding", "one"], ["single"]),
            helper.make_node("Tile", ["single", "four"], ["wide"]),
            helper.make_node("Cast", ["wide"], ["tokens"], to=TensorProto.FLOAT16),
        ],
    )
    _write(
        root,
        "words",
        inputs=[("input_ids", "i64", [-1]), ("attention_mask", "i64", [-1])],
        outputs=[("embedding", "f32", [8]), ("tokens", "f32", [-1, 8])],
        constants={
            "table": weights["words"],
            "last": np.array([-1], np.int64),
            "axis": np.array([1], np.int64),
        },
        nodes=[
            helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
            helper.make_node("Mul", ["looked_up", "column"], ["tokens"]),
            helper.make_node("ReduceSum", ["tokens", "axis"], ["sum"], keepdims=0),
            helper.make_node("LpNormalization", ["sum"], ["embedding"], axis=-1, p=2),
        ],
    )
    return root


@pytest.fixture(scope="session")
def triton_root() -> Path:
    """Where a Triton server is installed; skips where none is."""
    if not Installation(DEFAULT_ROOT).stamp.is_file():
        pytest.skip("the Triton server is not installed (make triton)")
    return DEFAULT_ROOT


@pytest.fixture(scope="session")
def triton_server(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, triton_root: Path
) -> Iterator[ServerProcess]:
    """A real Triton server over `repository` on a free port."""
    log = tmp_path_factory.mktemp("triton") / "server.log"
    with ServerProcess(ServerOptions(repository=repository, log=log, root=triton_root)) as server:
        yield server


@pytest.fixture(scope="session")
def triton_url(triton_server: ServerProcess) -> str:
    """gRPC address of the real Triton server."""
    return triton_server.url


@pytest.fixture(params=["fake", "local", pytest.param("triton", marks=pytest.mark.triton)])
async def backend(request: pytest.FixtureRequest, repository: Path) -> AsyncIterator[InferenceBackend]:
    """Each backend over the tiny repository."""
    opened: InferenceBackend
    if request.param == "triton":
        url = request.getfixturevalue("triton_url")
        from services.kit.inference.triton import TritonBackend

        opened = TritonBackend(url)
    elif request.param == "fake":
        opened = FakeBackend(repository, MODELS)
    else:
        opened = LocalBackend(repository, MODELS)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def computes(backend: InferenceBackend) -> bool:
    """Whether the backend runs the models; the fake one makes its outputs up."""
    return not isinstance(backend, FakeBackend)


def _write(
    root: Path,
    name: str,
    *,
    inputs: Signature,
    outputs: Signature,
    constants: dict[str, NDArray[Any]],
    nodes: list[onnx.NodeProto],
) -> None:
    """Write `root`/`name`: 1/model.onnx, model.toml and config.pbtxt."""
    folder = root / name
    (folder / "1").mkdir(parents=True)

    def values(signature: Signature) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(
                tensor, _TYPES[dtype], ["batch", *(size if size > 0 else "length" for size in shape)]
            )
            for tensor, dtype, shape in signature
        ]

    graph = helper.make_graph(
        nodes,
        name,
        values(inputs),
        values(outputs),
        [numpy_helper.from_array(array, label) for label, array in constants.items()],
    )
    # Opset 18 and IR 10: what the oldest runtime that serves these models can read.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    (folder / "1" / "model.onnx").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    fingerprint = hashlib.sha256(f"{sha256}:1:fp32".encode()).hexdigest()
    _write_toml(folder, name, sha256, fingerprint, inputs, outputs)
    (folder / "config.pbtxt").write_text(render(folder, "onnx"), "utf-8")


def _write_toml(
    folder: Path, name: str, sha256: str, fingerprint: str, inputs: Signature, outputs: Signature
) -> None:
    lines = [
        "[model]",
        f'name = "{name}"',
        'description = "a tiny model for tests"',
        'licence = "Apache-2.0"',
        "max_batch_size = 8",
        'weights = "1/model.onnx"',
        f'weights_sha256 = "{sha256}"',
        'precision = "fp32"',
        'preprocess_version = "1"',
        f'fingerprint = "{fingerprint}"',
        "[batching]",
        "max_queue_delay_us = 500",
        "preferred = []",
        "[instances]",
        "count = 2",
        "intra_op_threads = 1",
    ]
    for section, signature in (("inputs", inputs), ("outputs", outputs)):
        for tensor, dtype, shape in signature:
            lines += [f"[[{section}]]", f'name = "{tensor}"', f'dtype = "{dtype}"', f"shape = {shape}"]
    lines += ["[parameters]", "[provenance]", 'command = "tests"', ""]
    (folder / "model.toml").write_text("\n".join(lines), "utf-8")
