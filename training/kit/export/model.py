"""From a trained network to a served model: ONNX with a dynamic batch, model.toml, config.pbtxt.

`export_model` is the one way weights reach `triton_models/`. It
1. traces the network to one ONNX file (opset 18, every `-1` of the card and the batch axis dynamic);
2. checks it against torch on several batch sizes and refuses a difference above `tolerance`;
3. stores the weights as fp16 behind a Cast, which halves the file; runtimes fold the Cast at load and compute
   in fp32. What the rounding costs is measured and refused above `half_tolerance`;
4. writes model.toml, the single source that config.pbtxt is rendered from.
Weights above 2 GB, where an ONNX file ends, lie in `model.onnx.data` beside it, and the graph carries their
checksum; only a backend that loads from a path can serve such a model (Triton does).

Batch invariance is part of the check: each item alone must give what it gives among others.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from training.kit.export.card import ModelCard, Provenance, TensorCard, render_config, write_card
from training.kit.export.onnx_files import APART_MIN_BYTES, apart, has_large_weights, save_graph

OPSET = 18
DTYPES = {"f32": np.dtype(np.float32), "f16": np.dtype(np.float16), "i64": np.dtype(np.int64)}
# Initialisers below this many elements stay fp32: they save nothing, and biases round worst.
HALF_MIN_ELEMENTS = 512


class ExportError(Exception):
    """The ONNX graph does not do what the network does."""


@dataclass(frozen=True)
class ExportReport:
    """Of each output, max abs error and worst cosine: fp32 graph against torch, and what fp16 weights add."""

    graph_error: Mapping[str, float]
    half_error: Mapping[str, float]
    half_cosine: Mapping[str, float]
    size: int
    graph_cosine: Mapping[str, float] = field(default_factory=dict)


def trace_onnx(
    network: nn.Module,
    example: Sequence[Tensor],
    path: Path,
    *,
    inputs: Sequence[TensorCard],
    outputs: Sequence[TensorCard],
) -> None:
    """Writes `network` as one ONNX file. `example` holds one tensor per input, batch axis first."""
    axes = {
        tensor.name: {0: "batch"}
        | {1 + i: f"{tensor.name}_{i}" for i, n in enumerate(tensor.shape) if n == -1}
        for tensor in (*inputs, *outputs)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on itself; the comparison below is the check
        torch.onnx.export(
            network.eval(),
            tuple(example),
            str(path),
            input_names=[tensor.name for tensor in inputs],
            output_names=[tensor.name for tensor in outputs],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,  # the tracing exporter gives plain graphs and keeps the weights in the file
        )


def plain_graph(path: Path) -> None:
    """Folds constants and paddings of an ONNX file in place; only operators of the ONNX standard remain.

    The tracer spells an asymmetric padding as a dozen shape operators, which TensorRT's parser refuses.
    """
    import onnxruntime

    folded = path.parent / "folded" / path.name
    folded.parent.mkdir(exist_ok=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 3
    if has_large_weights(onnx.load(path)):
        prefix = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{prefix}_file_name", apart(folded).name)
        options.add_session_config_entry(f"{prefix}_min_size_in_bytes", str(APART_MIN_BYTES))
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    model = onnx.load(folded)
    shutil.rmtree(folded.parent)
    used = {node.domain for node in model.graph.node}
    if used - {"", "ai.onnx"}:
        raise ExportError(f"{path.name}: operators of {sorted(used)}, only the ONNX standard's are allowed")
    kept = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.graph.value_info[:]
    save_graph(model, path)


def halve_weights(source: Path, target: Path) -> None:
    """Copies an ONNX file with its large fp32 initialisers stored as fp16 behind a Cast to fp32."""
    model = onnx.load(source)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims, dtype=np.int64) < HALF_MIN_ELEMENTS:
            continue
        half = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(half).all():
            continue  # beyond fp16's range: leave it as it is
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_f16"))
        casts.append(
            helper.make_node("Cast", [f"{name}_f16"], [name], name=f"{name}_f32", to=TensorProto.FLOAT)
        )
    for cast in reversed(casts):
        graph.node.insert(0, cast)
    del graph.value_info[:]
    save_graph(model, target)


def run_onnx(path: Path, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Runs an ONNX file once on one CPU thread; every output by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _compare(
    network: nn.Module,
    example: Sequence[Tensor],
    path: Path,
    card: ModelCard,
    *,
    tolerance: float | Mapping[str, float],
    least_cosine: float,
) -> tuple[dict[str, float], dict[str, float]]:
    """Max abs error and worst cosine of each output over the whole batch and over each item alone."""
    with torch.no_grad():
        found = network.eval()(*example)
    wanted = [found] if isinstance(found, Tensor) else list(found)
    batches = [slice(None), *(slice(i, i + 1) for i in range(len(example[0])))]
    errors = {tensor.name: 0.0 for tensor in card.outputs}
    cosines = {tensor.name: 1.0 for tensor in card.outputs}
    for batch in batches:
        feeds = {t.name: x[batch].numpy() for t, x in zip(card.inputs, example, strict=True)}
        outputs = run_onnx(path, feeds)
        for tensor, reference in zip(card.outputs, wanted, strict=True):
            got = outputs[tensor.name].astype(np.float64)
            expected = reference[batch].numpy().astype(np.float64)
            if got.shape != expected.shape:
                raise ExportError(f"{tensor.name}: shape {got.shape}, torch gives {expected.shape}")
            errors[tensor.name] = max(errors[tensor.name], float(np.abs(got - expected).max()))
            norm = np.linalg.norm(got) * np.linalg.norm(expected)
            cosine = float((got * expected).sum() / norm) if norm > 0 else 1.0
            cosines[tensor.name] = min(cosines[tensor.name], cosine)
    for name, error in errors.items():
        allowed = tolerance[name] if isinstance(tolerance, Mapping) else tolerance
        if not error <= allowed:
            raise ExportError(f"{path.name}: {name} differs from torch by {error:.2e}, allowed {allowed:.0e}")
        if not cosines[name] >= least_cosine:
            raise ExportError(f"{path.name}: {name} has cosine {cosines[name]:.6f}, needed {least_cosine}")
    return errors, cosines


def export_model(
    network: nn.Module,
    card: ModelCard,
    folder: Path,
    *,
    example: Sequence[Tensor],
    provenance: Provenance,
    half: bool = True,
    tolerance: float | Mapping[str, float] = 1e-4,
    half_tolerance: float | Mapping[str, float] = 0.05,
    least_cosine: float = 0.0,
    least_half_cosine: float = 0.0,
) -> ExportReport:
    """Exports `network` to `folder` (triton_models/<name>). See the module's text for the steps.

    `example`: one tensor per input of the card, batch axis first, at least two different items. Tolerances
    are max abs errors, one for all outputs or one for each by name; cosines are the worst of any output.
    Raises ExportError when the graph disagrees with torch; `folder` is then left as it was.
    """
    weights = folder / "1" / "model.onnx"
    drafts = folder / "1" / "drafts"
    full, halved = drafts / "fp32" / weights.name, drafts / "fp16" / weights.name
    try:
        trace_onnx(network, example, full, inputs=card.inputs, outputs=card.outputs)
        plain_graph(full)
        graph_error, graph_cosine = _compare(
            network, example, full, card, tolerance=tolerance, least_cosine=least_cosine
        )
        chosen, half_error, half_cosine = (
            full,
            dict.fromkeys(graph_error, 0.0),
            dict.fromkeys(graph_error, 1.0),
        )
        if half:
            halved.parent.mkdir()
            halve_weights(full, halved)
            half_error, half_cosine = _compare(
                network, example, halved, card, tolerance=half_tolerance, least_cosine=least_half_cosine
            )
            chosen = halved
        apart(weights).unlink(missing_ok=True)
        for file in (chosen, apart(chosen)):
            if file.exists():
                file.replace(weights.with_name(file.name))
    finally:
        shutil.rmtree(drafts, ignore_errors=True)
    write_card(folder, card, provenance)
    if not render_config(folder):
        print(f"{folder.name}: config.pbtxt not rendered, serving packages absent")
    size = sum(file.stat().st_size for file in (weights, apart(weights)) if file.exists())
    return ExportReport(graph_error, half_error, half_cosine, size, graph_cosine)
