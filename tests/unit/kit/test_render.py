"""Configs and repositories rendered from model.toml."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from services.kit.inference.config import read_config
from tools.render import (
    RenderError,
    compute_fingerprint,
    describe,
    hash_file,
    main,
    make_config,
    render,
    render_repository,
    served_models,
)

REPOSITORY = Path(__file__).parents[3] / "triton_models"
COMMITTED = served_models(REPOSITORY)
WEIGHTS = b"not really a graph"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A described model `shapes` in a repository of its own."""
    made = tmp_path / "repository" / "shapes"
    (made / "1").mkdir(parents=True)
    (made / "1" / "model.onnx").write_bytes(WEIGHTS)
    (made / "model.toml").write_text(
        f'''
[model]
name = "shapes"
max_batch_size = 16
weights = "1/model.onnx"
weights_sha256 = "{SHA256}"
precision = "fp32"
preprocess_version = "2"
fingerprint = "{compute_fingerprint(SHA256, "2", "fp32")}"
[batching]
max_queue_delay_us = 300
preferred = [4, 8]
[instances]
count = 2
intra_op_threads = 3
[[inputs]]
name = "images"
dtype = "f32"
shape = [3, 8, 8]
[[outputs]]
name = "tokens"
dtype = "f16"
shape = [-1, 4]
[parameters]
decoder = "interior"
''',
        "utf-8",
    )
    return made


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "model.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


@pytest.mark.parametrize("model", COMMITTED, ids=lambda path: path.name)
def test_the_committed_config_is_the_rendering_of_its_description(model: Path) -> None:
    assert (model / "config.pbtxt").read_text("utf-8") == render(model, "onnx"), (
        "run `python -m tools.render`"
    )


@pytest.mark.parametrize("model", COMMITTED, ids=lambda path: path.name)
def test_committed_weights_and_fingerprints_are_those_that_are_described(model: Path) -> None:
    described = describe(model)["model"]
    weights = model / described["weights"]
    if not weights.is_file():
        pytest.skip(f"{weights} is built at set-up (make models)")
    assert hash_file(weights) == described["weights_sha256"]
    assert described["fingerprint"] == compute_fingerprint(
        described["weights_sha256"], described["preprocess_version"], described["precision"]
    )


@pytest.mark.parametrize("profile", ["onnx", "python", "tensorrt"])
@pytest.mark.parametrize("model", COMMITTED, ids=lambda path: path.name)
def test_every_model_renders_for_every_profile(model: Path, profile: str) -> None:
    parsed = text_format.Parse(render(model, profile), model_config_pb2.ModelConfig())
    assert parsed.name == model.name


def test_the_embedded_backend_reads_what_is_rendered(folder: Path) -> None:
    (folder / "config.pbtxt").write_text(render(folder, "onnx"), "utf-8")
    config = read_config(folder)
    assert config.preferred_batch_sizes == (4, 8)
    assert config.max_queue_delay_s == pytest.approx(3e-4)
    assert (config.instances, config.intra_op_threads) == (2, 3)
    assert config.metadata.fingerprint == compute_fingerprint(SHA256, "2", "fp32")
    assert config.metadata.outputs[0].shape == (None, 4)
    assert dict(config.metadata.parameters) == {
        "decoder": "interior",
        "fingerprint": compute_fingerprint(SHA256, "2", "fp32"),
        "intra_op_thread_count": "3",
        "precision": "fp32",
        "preprocess_version": "2",
    }


def test_no_profile_binds_a_model_to_a_kind_of_device(folder: Path) -> None:
    for profile in ("onnx", "python", "tensorrt"):
        assert "kind" not in render(folder, profile)


def test_an_engine_has_its_own_precision_and_fingerprint(folder: Path) -> None:
    config = make_config(folder, "tensorrt")
    assert (config.backend, config.default_model_filename) == ("tensorrt", "model.plan")
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    assert parameters["precision"] != "fp32"
    assert parameters["fingerprint"] == compute_fingerprint(SHA256, "2", parameters["precision"])


def test_a_model_that_no_engine_can_hold_is_served_by_onnx_runtime(folder: Path) -> None:
    path = folder / "model.toml"
    path.write_text(path.read_text("utf-8") + "[tensorrt]\nengine = false\n", "utf-8")
    assert render(folder, "tensorrt") == render(folder, "onnx")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "shapes"', 'name = "sizes"', "sizes"),
        ('precision = "fp32"', 'precision = "fp16"', "fingerprint"),
        ("max_queue_delay_us = 300\n", "", "max_queue_delay_us"),
        ('dtype = "f16"', 'dtype = "f8"', "f8"),
        ("[batching]", "[batching", "line"),
    ],
)
def test_a_wrong_description_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    edit(folder, old, new)
    with pytest.raises(RenderError, match=message):
        render(folder, "onnx")


def test_an_unknown_profile_is_refused(folder: Path) -> None:
    with pytest.raises(RenderError, match="cpu"):
        render(folder, "cpu")


def test_a_repository_is_laid_out_with_checked_weights(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert render_repository(folder.parent, out, "onnx") == ["shapes"]
    assert (out / "shapes" / "1" / "model.onnx").read_bytes() == WEIGHTS
    assert (out / "shapes" / "config.pbtxt").read_text("utf-8") == render(folder, "onnx")
    (out / "shapes" / "1" / "stale").touch()
    render_repository(folder.parent, out, "python")
    assert {path.name for path in (out / "shapes" / "1").iterdir()} == {"model.onnx", "model.py"}


def test_weights_that_are_absent_or_other_ones_are_not_served(folder: Path, tmp_path: Path) -> None:
    (folder / "1" / "model.onnx").write_bytes(b"something else")
    with pytest.raises(RenderError, match="not the file"):
        render_repository(folder.parent, tmp_path / "out", "onnx")
    (folder / "1" / "model.onnx").unlink()
    with pytest.raises(RenderError, match="absent"):
        render_repository(folder.parent, tmp_path / "out", "onnx")
    with pytest.raises(RenderError, match="not built"):
        render_repository(folder.parent, tmp_path / "out", "tensorrt")
    assert not (tmp_path / "out").exists()


def test_models_that_triton_does_not_serve_are_left_out(folder: Path, tmp_path: Path) -> None:
    edit(folder, 'weights = "1/model.onnx"', 'weights = "model.ftz"')
    assert served_models(folder.parent) == []
    with pytest.raises(RenderError, match="no model"):
        render_repository(folder.parent, tmp_path / "out", "onnx")


def test_the_command_writes_a_repository_or_renews_configs_in_place(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--profile=python", f"--repository={folder.parent}", f"--out={out}"]) == 0
    assert (out / "shapes" / "1" / "model.py").is_file()
    assert main([f"--repository={folder.parent}"]) == 0
    assert (folder / "config.pbtxt").read_text("utf-8") == render(folder, "onnx")
    edit(folder, 'precision = "fp32"', 'precision = "fp16"')
    assert main([f"--repository={folder.parent}"]) == 1
    assert "fingerprint" in capsys.readouterr().err


def test_weights_beside_a_graph_travel_with_it(folder: Path, tmp_path: Path) -> None:
    data = b"what does not fit into the graph"
    (folder / "1" / "model.onnx.data").write_bytes(data)
    edit(
        folder,
        'weights = "1/model.onnx"',
        'weights = "1/model.onnx"\nweights_data = "1/model.onnx.data"\n'
        f'weights_data_sha256 = "{hashlib.sha256(data).hexdigest()}"',
    )
    render_repository(folder.parent, tmp_path / "out", "onnx")
    assert (tmp_path / "out" / "shapes" / "1" / "model.onnx.data").read_bytes() == data
    (folder / "1" / "model.onnx.data").write_bytes(b"something else")
    with pytest.raises(RenderError, match=r"model\.onnx\.data is not the file that model\.toml names"):
        render_repository(folder.parent, tmp_path / "out", "onnx")
