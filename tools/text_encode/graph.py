"""The ONNX graph of `text_encode`: standard operators only, dynamic batch and length.

    pieces ─► projected pieces (u8) ─► n-gram windows ─► integer product ─► relu ─► + its input ─► hidden
    hidden ─► 8 bits ─► n-gram windows ─► integer product ─► relu ─► + hidden ─► branches
    pieces ─► embeddings (u8) ─► dequantised, beside the branches ─► layer norm ─► sum over the sentence
           ─► residual network ─► tanh ─► unit length

A position outside the sentence reads the tables' last row, which is zero, so that n-gram windows see zeros
there; sums skip it. ONNX Runtime fuses each DequantizeLinear pair with its MatMul into one integer product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tools.text_encode.quantise import (
    ZERO,
    IntegerKernel,
    Projected,
    compute_shift,
    hidden_code,
    integer_kernel,
    project_all,
    reproducible_product,
)
from tools.text_encode.weights import BRANCH, CHUNKS, EMBEDDING, LEFT, ORDERS, PIECES, RIGHT, SourceWeights

OPSET = 20
IR_VERSION = 10
STEP = 4
_SLOTS = [order for order, _ in ORDERS]
_WIDTH = len(ORDERS) * BRANCH


class _Graph:
    """Collects nodes and constants under running names, so that the same calls give the same bytes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: Any = None) -> str:
        array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def split(self, value: str, sizes: list[int], axis: int) -> list[str]:
        outputs = [f"t{len(self.nodes)}_{part}" for part in range(len(sizes))]
        self.nodes.append(helper.make_node("Split", [value, self.ints(*sizes)], outputs, axis=axis))
        return outputs


def _window_rows(graph: _Graph, length: str) -> str:
    """Row numbers i64 [L, 10] of all window slots in a padded sentence whose tokens have three rows each."""
    slots = [(LEFT - left + k, branch) for branch, (order, left) in enumerate(ORDERS) for k in range(order)]
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    position = graph.add("Range", zero, graph.add("Squeeze", length), one)
    first = graph.add("Mul", graph.add("Unsqueeze", position, graph.ints(1)), graph.ints(len(ORDERS)))
    offsets = np.array([[offset * len(ORDERS) + branch for offset, branch in slots]], dtype=np.int64)
    return graph.add("Add", first, graph.constant(offsets))


def _real(graph: _Graph, codes: str) -> str:
    """Codes as real numbers in steps of one; channels are scaled apart, as fused kernels want one scale."""
    return graph.add("DequantizeLinear", codes, graph.constant(1, np.float32), graph.constant(ZERO, np.uint8))


def _convolve(graph: _Graph, windows: str, kernels: list[IntegerKernel], bias: NDArray[np.float32]) -> str:
    """relu(windows @ kernel + bias) f32 [N, L, 768] from codes u8 [N, L, 10, 256]."""
    parts = []
    for part, kernel, order in zip(graph.split(windows, _SLOTS, axis=2), kernels, _SLOTS, strict=True):
        flat = graph.add("Reshape", part, graph.ints(0, 0, order * BRANCH))
        right = graph.add(
            "DequantizeLinear",
            graph.constant(kernel.codes),
            graph.constant(kernel.scale),
            graph.constant(np.zeros(BRANCH, dtype=np.int8)),
            axis=1,
        )
        parts.append(graph.add("MatMul", _real(graph, flat), right))
    joined = graph.add("Concat", *parts, axis=2)
    return graph.add("Relu", graph.add("Add", joined, graph.constant(bias)))


@dataclass(frozen=True)
class _Sentences:
    """pieces i64 [N, L'] (PIECES outside a sentence), inside bool [N, L'], length i64 [1] = L'."""

    pieces: str
    inside: str
    length: str


def _sentences(graph: _Graph) -> _Sentences:
    """The inputs, lengthened to a multiple of STEP.

    The sum over a sentence is taken STEP positions at a time: with whole steps only, trailing padding adds
    exact zeros, and a sentence's vector does not depend on the length it was padded to, to the last bit.
    """
    length = graph.add("Shape", "input_ids", start=1, end=2)
    more = graph.add("Mod", graph.add("Neg", length), graph.ints(STEP))
    pads = graph.add("Concat", graph.ints(0, 0, 0), more, axis=0)
    inside = graph.add("Pad", graph.add("Cast", "attention_mask", to=TensorProto.BOOL), pads)
    pieces = graph.add("Where", inside, graph.add("Pad", "input_ids", pads), graph.ints(PIECES))
    return _Sentences(pieces=pieces, inside=inside, length=graph.add("Add", length, more))


def _kernels(source: SourceWeights, name: str, scale: NDArray[np.float32]) -> list[IntegerKernel]:
    """The three branches' integer kernels `name{order}` for inputs of `scale` f32 [768]."""
    parts = np.split(scale, len(ORDERS))
    return [
        integer_kernel(source.arrays[f"{name}{order}"], part, order)
        for (order, _), part in zip(ORDERS, parts, strict=True)
    ]


def _embeddings(graph: _Graph, source: SourceWeights, pieces: str) -> str:
    """Dequantised embeddings f32 [N, L, 512]: gathered in uint8, scaled per chunk."""
    table = np.zeros((PIECES + 1, EMBEDDING), dtype=np.uint8)
    table[:PIECES] = source.table
    rows = graph.add("Cast", graph.add("Gather", graph.constant(table), pieces), to=TensorProto.FLOAT)
    chunk = graph.add("Unsqueeze", graph.add("Mod", pieces, graph.ints(CHUNKS)), graph.ints(2))
    scaled = graph.add("Mul", rows, graph.add("Gather", graph.constant(source.scale), chunk))
    return graph.add("Add", scaled, graph.add("Gather", graph.constant(source.low), chunk))


def _features(graph: _Graph, source: SourceWeights, projected: Projected, sentences: _Sentences) -> str:
    """Layer-normalised features f32 [N, L, 1280] of every token: embedding, then three n-gram branches."""
    pieces, inside = sentences.pieces, sentences.inside
    rows = _window_rows(graph, sentences.length)

    # Every token owns three consecutive rows of the table, one a branch.
    table = graph.constant(projected.codes.reshape(-1, BRANCH))
    own = graph.add("Mul", graph.add("Unsqueeze", pieces, graph.ints(2)), graph.ints(len(ORDERS)))
    own = graph.add("Add", own, graph.ints(*range(len(ORDERS))))
    padded = graph.add(
        "Pad", own, graph.ints(0, LEFT, 0, 0, RIGHT, 0), graph.constant(PIECES * len(ORDERS), np.int64)
    )
    padded = graph.add("Reshape", padded, graph.ints(0, -1))
    windows = graph.add("Gather", table, graph.add("Gather", padded, rows, axis=1))
    centre = graph.add("Reshape", graph.add("Gather", table, own), graph.ints(0, 0, _WIDTH))
    centre = graph.add("Mul", _real(graph, centre), graph.constant(projected.scale))
    kernels = _kernels(source, "w1_", projected.scale)
    hidden = graph.add("Add", _convolve(graph, windows, kernels, source.branches("b1_")), centre)

    code = hidden_code(source)
    steps = graph.add("Div", hidden, graph.constant(code.scale))
    steps = graph.add("Add", steps, graph.constant(code.zero.astype(np.float32) - ZERO))
    codes = graph.add("QuantizeLinear", steps, graph.constant(1, np.float32), graph.constant(ZERO, np.uint8))
    around = graph.ints(0, LEFT, 0, 0, RIGHT, 0)
    kept = graph.add("Pad", graph.add("Unsqueeze", inside, graph.ints(2)), around, graph.constant(False))
    codes = graph.add("Where", kept, graph.add("Pad", codes, around), graph.constant(code.zero))
    codes = graph.add("Reshape", codes, graph.ints(0, -1, BRANCH))
    windows = graph.add("Gather", codes, rows, axis=1)
    kernels = _kernels(source, "w2_", code.scale)
    zeros = np.split(code.zero, len(ORDERS))
    shifts = [compute_shift(*each) for each in zip(kernels, zeros, _SLOTS, strict=True)]
    bias = (source.branches("b2_") - np.concatenate(shifts)).astype(np.float32)
    branches = graph.add("Add", _convolve(graph, windows, kernels, bias), hidden)

    joined = graph.add("Concat", _embeddings(graph, source, pieces), branches, axis=2)
    weights = (graph.constant(source.arrays[name]) for name in ("ln_g", "ln_b"))
    return graph.add("LayerNormalization", joined, *weights, axis=-1, epsilon=source.epsilon)


def _head(graph: _Graph, source: SourceWeights, pooled: str, length: str) -> str:
    """The residual network: summed features f32 [N, 1280] and token counts f32 [N, 1] -> unit f32 [N, 512].

    The output projection of the features has no non-linearity before the first dense layers, so the two are
    multiplied out here, once, in float64.
    """
    first = np.concatenate([source.arrays["d0"], source.arrays["p1"]], axis=1)
    weight = reproducible_product(source.arrays["cnn_W"], first)
    bias = reproducible_product(source.arrays["cnn_b"][None], first)

    root = graph.add("Sqrt", length)
    mixed = graph.add("MatMul", graph.add("Div", pooled, root), graph.constant(weight))
    mixed = graph.add("Add", mixed, graph.add("Mul", root, graph.constant(bias)))
    left, right = graph.split(mixed, [source.arrays[name].shape[1] for name in ("d0", "p1")], axis=1)

    def dot(value: str, name: str) -> str:
        return graph.add("MatMul", value, graph.constant(source.arrays[name]))

    one = graph.add("Relu", graph.add("Add", right, dot(graph.add("Relu", left), "d1")))
    two = graph.add("Relu", dot(one, "d2"))
    raw = graph.add("Tanh", graph.add("Add", dot(one, "p3"), dot(two, "d3")))
    return graph.add("LpNormalization", raw, axis=1, p=2)


def build_graph(source: SourceWeights) -> bytes:
    """The serialised model. Deterministic: the same source gives the same bytes."""
    graph = _Graph()
    sentences = _sentences(graph)
    weight = graph.add("Cast", sentences.inside, to=TensorProto.FLOAT)
    features = _features(graph, source, project_all(source), sentences)
    pooled = graph.add("MatMul", graph.add("Unsqueeze", weight, graph.ints(1)), features)
    pooled = graph.add("Squeeze", pooled, graph.ints(1))
    # ONNX Runtime multiplies a single row by a routine that rounds otherwise: the head never sees one.
    pooled = graph.add("Pad", pooled, graph.ints(0, 0, 1, 0))
    count = graph.add("ReduceSum", weight, graph.ints(1), keepdims=1)
    count = graph.add("Max", count, graph.constant([[1.0]], np.float32))
    count = graph.add("Pad", count, graph.ints(0, 0, 1, 0), graph.constant(1, np.float32))
    rows = _head(graph, source, pooled, count)
    graph.add("Slice", rows, graph.ints(0), graph.ints(-1), graph.ints(0), name="embedding")
    length = graph.add("Shape", "input_ids", start=1, end=2)
    start, end = graph.ints(0, _WIDTH), graph.add("Concat", length, graph.ints(EMBEDDING + _WIDTH), axis=0)
    tokens = graph.add("Slice", features, start, end, graph.ints(1, 2))
    kept = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    graph.add("Mul", tokens, graph.add("Unsqueeze", kept, graph.ints(2)), name="tokens")

    def tensor(name: str, kind: int, *shape: str | int) -> Any:
        return helper.make_tensor_value_info(name, kind, list(shape))

    proto = helper.make_graph(
        graph.nodes,
        "text_encode",
        [
            tensor("input_ids", TensorProto.INT64, "batch", "length"),
            tensor("attention_mask", TensorProto.INT64, "batch", "length"),
        ],
        [
            tensor("embedding", TensorProto.FLOAT, "batch", EMBEDDING),
            tensor("tokens", TensorProto.FLOAT, "batch", "length", EMBEDDING),
        ],
        graph.constants,
    )
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lunula"
    )
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
