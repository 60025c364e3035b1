"""Precision variants of a served model: the same tensors, another arithmetic.

- fp16: every float is half a float; inputs and outputs keep the contract's types.
- int8 of the fusions and of the sentence encoder: weights in 8 bits, activations quantised as they come.
- int8 of the image models: convolutions take 8 bits, with scales calibrated on synthetic photos, symmetric,
  one a channel of the weights, biases left alone: the form that TensorRT accepts. Only what convolutions read
  is quantised: what they give reaches far beyond what the clipping after them keeps.
- int8-cpu of the image models: the same with unsigned asymmetric activations, for which alone ONNX Runtime's
  CPU drops the clipping and computes in integers. TensorRT refuses it.

ONNX Runtime's CPU has few fp16 kernels: it runs an fp16 graph in fp32 and drops the casts in between, so an
overflow or a lost digit does not show. `rounded` is therefore what fp16 is judged by: the fp32 graph with
every result rounded to fp16, as a GPU stores it (sums are kept in fp32, as tensor cores do).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tools.render import compute_fingerprint, render
from training.kit.export.onnx_files import save_graph

FP16, INT8, INT8_CPU = "fp16", "int8", "int8-cpu"
PRECISIONS = (FP16, INT8, INT8_CPU)
CONVOLUTIONAL = ("image_align", "image_style")  # int8 with calibrated scales
SMALLEST, LARGEST = 5.96e-8, 65504.0  # fp16's positive range
Feeds = Mapping[str, NDArray[np.generic]]


class PrecisionError(Exception):
    """A variant cannot be made of this model, or is not one of the model it is beside."""


def weights_file(folder: Path) -> Path:
    """The ONNX file of a served model's folder. Raises PrecisionError where there is none."""
    path = folder / "1" / "model.onnx"
    if not path.is_file():
        raise PrecisionError(f"{path}: no such file (`lunula models build` makes text_encode)")
    return path


def widened(path: Path) -> ModelProto:
    """The graph of `path` with fp16 weights behind a Cast turned back into fp32 weights."""
    model = onnx.load(path)
    graph = model.graph
    halves = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    kept = []
    for node in graph.node:
        stored = halves.get(node.input[0]) if node.op_type == "Cast" else None
        if stored is not None and node.attribute[0].i == TensorProto.FLOAT:
            wide = numpy_helper.to_array(stored).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(wide, node.output[0]))
        else:
            kept.append(node)
    read = set(_read_by(kept))
    initialisers = [t for t in graph.initializer if t.name in read]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(initialisers)
    return model


def _subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        graphs: Sequence[GraphProto] = [attribute.g] if attribute.HasField("g") else attribute.graphs
        yield from graphs


def _read_by(nodes: Iterable[NodeProto]) -> Iterator[str]:
    """Names that nodes read, and those that their subgraphs read from outside."""
    for node in nodes:
        yield from node.input
        for graph in _subgraphs(node):
            own = {t.name for t in graph.initializer} | {t.name for t in graph.input}
            own.update(name for inner in graph.node for name in inner.output)
            yield from (name for name in _read_by(graph.node) if name not in own)


def _rename(nodes: Iterable[NodeProto], names: Mapping[str, str]) -> None:
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for graph in _subgraphs(node):
            _rename(graph.node, names)


def _sort(graph: GraphProto) -> None:
    """Puts the nodes into an order in which everything is computed before it is read."""
    waiting, ordered = list(graph.node), []
    known = {t.name for t in graph.initializer} | {t.name for t in graph.input} | {""}
    while waiting:
        ready = [node for node in waiting if all(name in known for name in _read_by([node]))]
        if not ready:
            raise PrecisionError(f"{graph.name}: the graph has a cycle")
        ordered += ready
        known.update(name for node in ready for name in node.output)
        done = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in done]
    ordered = [NodeProto.FromString(node.SerializeToString()) for node in ordered]
    del graph.node[:]
    graph.node.extend(ordered)


def halved(model: ModelProto) -> ModelProto:
    """`model` in fp16, inputs and outputs as they were."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = ModelProto.FromString(model.SerializeToString())
    half = convert_float_to_float16(copy, SMALLEST, LARGEST, keep_io_types=True)
    del half.graph.value_info[:]
    _sort(half.graph)
    return half


def _as_half(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """fp32 numbers that fp16 has; what is not zero stays so, as the conversion of graphs has it."""
    size = np.clip(np.abs(values), SMALLEST, LARGEST)
    near = np.where(values == 0, 0, np.copysign(size, values)).astype(np.float16)
    return near.astype(np.float32)


def rounded(model: ModelProto) -> ModelProto:
    """`model` in fp32 whose inputs, weights and results of every node are rounded to fp16."""
    typed = onnx.shape_inference.infer_shapes(ModelProto.FromString(model.SerializeToString()))
    graph = typed.graph
    values = (*graph.value_info, *graph.output)
    floats = {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(_as_half(numpy_helper.to_array(tensor)), tensor.name))
    nodes: list[NodeProto] = []

    def round_to(source: str, target: str) -> None:
        nodes.append(helper.make_node("Cast", [source], [f"{target}_half"], to=TensorProto.FLOAT16))
        nodes.append(helper.make_node("Cast", [f"{target}_half"], [target], to=TensorProto.FLOAT))

    read_rounded = {
        v.name: f"{v.name}_rounded" for v in graph.input if v.type.tensor_type.elem_type == TensorProto.FLOAT
    }
    _rename(graph.node, read_rounded)
    for name, target in read_rounded.items():
        round_to(name, target)
    for node in graph.node:
        nodes.append(node)
        for index, name in enumerate(node.output):
            if name in floats:
                node.output[index] = f"{name}_exact"
                round_to(f"{name}_exact", name)
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return typed


def _quantised(model: ModelProto, quantise: Any) -> ModelProto:
    """What `quantise(source, target)`, two paths, makes of `model`."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.onnx", Path(folder) / "target.onnx"
        onnx.save(model, source)
        quantise(source, target)
        made = onnx.load(target)
    del made.graph.value_info[:]
    return made


def int8_dynamic(model: ModelProto) -> ModelProto:
    """Products with 8-bit weights, one scale a channel; activations get the scale of each call."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantise(source: Path, target: Path) -> None:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )

    return _quantised(model, quantise)


def int8_static(model: ModelProto, calibration: Iterable[Feeds], *, signed: bool) -> ModelProto:
    """8-bit convolutions with the ranges that `calibration` shows; `signed`: in the form for TensorRT."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # its package has no types
        def __init__(self) -> None:
            self.feeds = iter(calibration)

        def get_next(self) -> Feeds | None:
            return next(self.feeds, None)

    symmetric = {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": ["Conv"],
    }

    def quantise(source: Path, target: Path) -> None:
        quantize_static(
            source,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"] if signed else ["Conv", "Clip", "Pad", "Relu"],
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=symmetric if signed else {},
        )

    return _quantised(model, quantise)


def list_precisions(name: str) -> tuple[str, ...]:
    """What can be made of the model `name`."""
    return PRECISIONS if name in CONVOLUTIONAL else (FP16, INT8)


def make(folder: Path, precision: str, calibration: Iterable[Feeds] = ()) -> ModelProto:
    """The variant `precision` of the model in `folder`. Raises PrecisionError."""
    if precision not in list_precisions(folder.name):
        raise PrecisionError(
            f"{folder.name}: {precision!r} is none of {', '.join(list_precisions(folder.name))}"
        )
    model = widened(weights_file(folder))
    if precision == FP16:
        return halved(model)
    if folder.name not in CONVOLUTIONAL:
        return int8_dynamic(model)
    return int8_static(model, calibration, signed=precision == INT8)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_variant(model: ModelProto, source: Path, target: Path, *, precision: str, command: str) -> None:
    """Lays out `target` as a served model: the weights, model.toml of `source` with what differs, the config.

    Under `[variant]` stands what it was made of, so that nothing is compared with other weights.
    """
    (target / "1").mkdir(parents=True, exist_ok=True)
    save_graph(model, target / "1" / "model.onnx")
    text = (source / "model.toml").read_text("utf-8")
    version = tomllib.loads(text)["model"]["preprocess_version"]
    digest = sha256_of(target / "1" / "model.onnx")
    changed = {
        "weights_sha256": digest,
        "precision": precision,
        "fingerprint": compute_fingerprint(digest, version, precision),
    }
    for name, value in changed.items():
        text = re.sub(rf'^{name} = ".*"$', f'{name} = "{value}"', text, count=1, flags=re.MULTILINE)
    if precision == INT8 and source.name not in CONVOLUTIONAL:
        # Scales are those of a whole batch: one item a batch, or an item would change with its neighbours.
        text = re.sub(r"^max_batch_size = \d+$", "max_batch_size = 1", text, count=1, flags=re.MULTILINE)
        text = re.sub(r"^preferred = \[.*\]$", "preferred = []", text, count=1, flags=re.MULTILINE)
        text = _without_engine(text)
    if precision == INT8_CPU:
        text = _without_engine(text)
    made_of = sha256_of(weights_file(source))
    text += f'\n[variant]\nmade_of = "{made_of}"\ncommand = "{command}"\n'
    (target / "model.toml").write_text(text, "utf-8")
    (target / "config.pbtxt").write_text(render(target, "onnx"), "utf-8")


def _without_engine(text: str) -> str:
    """The text of a model.toml that keeps TensorRT from being given what it refuses."""
    if "tensorrt" in tomllib.loads(text):
        return re.sub(r"^engine = true$", "engine = false", text, count=1, flags=re.MULTILINE)
    return text + "\n[tensorrt]\nengine = false\n"


def check_source(variant: Path, reference: Path) -> None:
    """Raises PrecisionError unless the variant was made of the weights in `reference`."""
    try:
        made_of = tomllib.loads((variant / "model.toml").read_text("utf-8"))["variant"]["made_of"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise PrecisionError(f"{variant}: no variant is described there: {error}") from None
    if made_of != sha256_of(weights_file(reference)):
        raise PrecisionError(f"{variant}: made of other weights than {reference} has now: run `make` again")
