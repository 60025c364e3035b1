"""Triton configs and repositories from `model.toml`, the one description of each model.

    python -m tools.render --profile tensorrt --out DIR

Profiles:
    onnx      the ONNX Runtime backend: production with the C++ backend, a machine without it with the
              Python-based backend of the same name, and the embedded backend of the services. Committed.
    python    Triton's stock Python backend with `onnx_backend.py` beside the weights, for a Triton whose
              backend directory cannot be changed.
    tensorrt  engine plans in half precision, built on the target GPU. A model that says `engine = false`
              under `[tensorrt]` is served as in `onnx`.

A profile that changes the arithmetic changes the precision and with it the fingerprint.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

PROFILES = ("onnx", "python", "tensorrt")
HEADER = "# Rendered from model.toml by `python -m tools.render`; edit that file, not this one.\n"
MAX_QUEUE_ROWS = 256  # requests that may wait before callers get RESOURCE_EXHAUSTED
_TYPES = {
    "f16": model_config_pb2.TYPE_FP16,
    "f32": model_config_pb2.TYPE_FP32,
    "i64": model_config_pb2.TYPE_INT64,
    "u8": model_config_pb2.TYPE_UINT8,
}
_ENGINE_PRECISION = "tensorrt-fp16"
_WEIGHTS = {"onnx": "model.onnx", "python": "model.onnx", "tensorrt": "model.plan"}


class RenderError(RuntimeError):
    """A model.toml is incomplete or contradicts itself, or weights are absent or not the ones it names."""


def compute_fingerprint(weights_sha256: str, preprocess_version: str, precision: str) -> str:
    """What makes two vectors comparable: sha256 hex over weights, preprocessing version and precision."""
    return hashlib.sha256(f"{weights_sha256}:{preprocess_version}:{precision}".encode()).hexdigest()


def describe(folder: Path) -> dict[str, Any]:
    """The contents of `folder`/model.toml. Raises RenderError."""
    try:
        return tomllib.loads((folder / "model.toml").read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise RenderError(f"{folder.name}: {error}") from error


def served_models(repository: Path) -> list[Path]:
    """Folders of `repository` that Triton serves: described ones whose weights are ONNX, sorted by name."""
    described = sorted(path.parent for path in repository.glob("*/model.toml"))
    return [path for path in described if str(describe(path)["model"]["weights"]).endswith(".onnx")]


def _is_engine(description: Mapping[str, Any], profile: str) -> bool:
    return profile == "tensorrt" and bool(description.get("tensorrt", {}).get("engine", True))


def make_config(folder: Path, profile: str) -> Any:
    """The `inference.ModelConfig` message of the model in `folder` for `profile`. Raises RenderError."""
    if profile not in PROFILES:
        raise RenderError(f"profile {profile!r} is none of {', '.join(PROFILES)}")
    description = describe(folder)
    try:
        return _config(folder, description, profile)
    except KeyError as error:
        raise RenderError(f"{folder.name}: model.toml lacks {error}") from error


def _config(folder: Path, description: dict[str, Any], profile: str) -> Any:
    model, instances = description["model"], description["instances"]
    if model["name"] != folder.name:
        raise RenderError(f"{folder.name}: model.toml names {model['name']!r}")
    sha256, version, precision = (model[key] for key in ("weights_sha256", "preprocess_version", "precision"))
    if model["fingerprint"] != compute_fingerprint(sha256, version, precision):
        raise RenderError(f"{folder.name}: the fingerprint is not that of the weights, version and precision")
    engine = _is_engine(description, profile)
    if engine:
        precision = _ENGINE_PRECISION
    config = model_config_pb2.ModelConfig(
        name=model["name"],
        max_batch_size=model["max_batch_size"],
        backend="tensorrt" if engine else "python" if profile == "python" else "onnxruntime",
        default_model_filename="model.plan"
        if engine
        else "model.py"
        if profile == "python"
        else "model.onnx",
    )
    for key, field in (("inputs", config.input), ("outputs", config.output)):
        for tensor in description[key]:
            if tensor["dtype"] not in _TYPES:
                raise RenderError(
                    f"{folder.name}: the dtype {tensor['dtype']!r} is none of {', '.join(_TYPES)}"
                )
            field.add(name=tensor["name"], data_type=_TYPES[tensor["dtype"]], dims=tensor["shape"])
    # No kind: Triton takes the GPU where there is one.
    config.instance_group.add(count=1 if engine else instances["count"])
    _queue(config, description["batching"])
    parameters = {
        **description.get("parameters", {}),
        "fingerprint": compute_fingerprint(sha256, version, precision),
        "preprocess_version": version,
        "precision": precision,
    }
    if not engine:
        parameters["intra_op_thread_count"] = instances["intra_op_threads"]
    for name, value in parameters.items():
        config.parameters[name].string_value = str(value)
    return config


def _queue(config: Any, batching: Mapping[str, Any]) -> None:
    batcher = config.dynamic_batching
    batcher.max_queue_delay_microseconds = batching["max_queue_delay_us"]
    batcher.preferred_batch_size.extend(batching["preferred"])
    # A request says how long it may wait (its deadline); one that waited longer is refused, never run.
    policy = batcher.default_queue_policy
    policy.timeout_action = model_config_pb2.ModelQueuePolicy.REJECT
    policy.allow_timeout_override = True
    policy.max_queue_size = MAX_QUEUE_ROWS


def render(model_dir: Path, profile: str) -> str:
    """The text of config.pbtxt for the model in `model_dir`. Raises RenderError."""
    text: str = text_format.MessageToString(make_config(model_dir, profile))
    return HEADER + text


def render_repository(repository: Path, out: Path, profile: str) -> list[str]:
    """Lay out every served model of `repository` under `out` for `profile`; returns their names.

    Weights are checked against model.toml and hard-linked (copied across file systems). Engine plans are
    not made here: they are taken over where they stand beside the ONNX file. What `out` held of these
    models is replaced. Raises RenderError.
    """
    names = []
    for folder in served_models(repository):
        target = out / folder.name
        config = render(folder, profile)
        weights = _find_weights(folder, profile)
        shutil.rmtree(target, ignore_errors=True)
        (target / "1").mkdir(parents=True)
        (target / "config.pbtxt").write_text(config, "utf-8")
        place(weights, target / "1" / weights.name)
        if weights.suffix == ".onnx" and (data := _find_external_data(folder)):
            place(data, target / "1" / data.name)
        if profile == "python":
            shutil.copy2(Path(__file__).with_name("onnx_backend.py"), target / "1" / "model.py")
        names.append(folder.name)
    if not names:
        raise RenderError(f"{repository} holds no model")
    return names


def _find_weights(folder: Path, profile: str) -> Path:
    description = describe(folder)
    weights = folder / str(description["model"]["weights"])
    if _is_engine(description, profile):
        weights = weights.with_name(_WEIGHTS["tensorrt"])
        if not weights.is_file():
            raise RenderError(f"{folder.name}: {weights} is not built yet (trtexec on the target GPU)")
        return weights
    if not weights.is_file():
        raise RenderError(f"{folder.name}: {weights} is absent (`lunula models build` makes text_encode)")
    if hash_file(weights) != description["model"]["weights_sha256"]:
        raise RenderError(f"{folder.name}: {weights} is not the file that model.toml names")
    return weights


def _find_external_data(folder: Path) -> Path | None:
    """The file with the weights of a graph that is too large to hold them; model.toml names it."""
    model = describe(folder)["model"]
    if "weights_data" not in model:
        return None
    data = folder / str(model["weights_data"])
    if not data.is_file() or hash_file(data) != model.get("weights_data_sha256"):
        raise RenderError(f"{folder.name}: {data} is not the file that model.toml names")
    return data


def place(source: Path, target: Path) -> None:
    """Hard-link `source` as `target`, or copy it where a link cannot be made."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copy2(source, target)


def hash_file(path: Path) -> str:
    """Hex digest of the file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when every file was written."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.render",
        description="Write the model repository of a profile, or renew the committed configs.",
    )
    parser.add_argument("--profile", choices=PROFILES, default="onnx", help="(default: %(default)s)")
    parser.add_argument(
        "--repository", type=Path, default=Path("triton_models"), help="the source (default: %(default)s)"
    )
    parser.add_argument(
        "--out", type=Path, help="where to lay out the repository; without it, every model's own "
        "config.pbtxt is renewed in place"
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        if options.out is not None:
            for name in render_repository(options.repository, options.out, options.profile):
                print(options.out / name)
            return 0
        if options.profile != "onnx":
            parser.error("only the profile onnx is written in place")
        for folder in served_models(options.repository):
            (folder / "config.pbtxt").write_text(render(folder, "onnx"), "utf-8")
            print(folder / "config.pbtxt")
    except RenderError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
