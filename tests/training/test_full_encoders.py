"""Full encoders: the contract's tensors, ONNX equal to torch, published names loaded or refused by name."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="training is tested in an environment of its own: make test-full")
pytest.importorskip("transformers", reason="the hubs' encoders need the training environment")

import training.kit.export.onnx_files
from nails.photo.preprocess import backbone_input
from services.intake.model_io import image_side
from services.kit.errors import FailedPrecondition
from services.kit.inference.config import read_config
from services.kit.inference.local import load_session
from training.full.catalogue import ENCODERS, encoder
from training.full.export import export, provenance
from training.full.interface import OwnScale, example
from training.full.stella import Stella
from training.full.vision import TINY, Clip, Dinov2, Dinov3, Served, Siglip2
from training.kit.export.model import ExportError, run_onnx
from training.kit.weights import WeightsError, read_state

pytestmark = pytest.mark.torch
SMALL = ("beit3-base", "beit3-base-text", "siglip2-base", "clip-large", "dinov2-large", "dinov3-large")
EACH = (*SMALL, "stella-1.5b")
ORIGIN = provenance(encoder("clip-large"), "none", None)


@pytest.fixture(autouse=True)
def random_weights_are_the_same_every_time() -> Iterator[None]:
    torch.manual_seed(0)
    yield


def save(state: dict[str, Any], path: Path) -> None:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, path)


@pytest.mark.parametrize("name", EACH)
def test_the_exported_encoder_equals_torch_for_any_batch_and_any_length(name: str, tmp_path: Path) -> None:
    tiny = encoder(name).tiny()
    facts, network = tiny.facts, tiny.build()
    report = export(tiny, network, tmp_path, origin=ORIGIN)
    assert report.graph_error["embedding"] <= 1e-4
    assert min(report.graph_cosine.values()) >= 0.9999
    described = tomllib.loads((tmp_path / facts.kind / "model.toml").read_text())
    assert described["model"]["name"] == facts.kind
    assert described["parameters"]["encoder"] == name
    inputs = example(facts, seed=8)  # others than the export saw
    if facts.text:
        inputs = tuple(tensor[:2, :6] for tensor in inputs)  # and a shorter batch of shorter texts
    with torch.no_grad():
        wanted = network(*inputs)
    wanted = [wanted] if torch.is_tensor(wanted) else list(wanted)
    weights = tmp_path / facts.kind / "1" / "model.onnx"
    feeds = {t["name"]: x.numpy() for t, x in zip(described["inputs"], inputs, strict=True)}
    found = run_onnx(weights, feeds)
    assert np.abs(found["embedding"] - wanted[0].numpy()).max() <= 1e-4
    assert np.allclose(np.linalg.norm(found["embedding"], axis=1), 1, atol=1e-5)
    assert found["embedding"].shape == (len(inputs[0]), facts.embedding)
    spread = np.abs(found["embedding"][0] - found["embedding"][1]).max()
    assert spread > 1e-4, "different inputs have different embeddings"
    if facts.tokens is None:
        assert list(found) == ["embedding"]
    else:
        count = inputs[0].shape[1] if facts.text else facts.tokens[0]
        assert found["tokens"].shape == (len(inputs[0]), count, facts.tokens[1])
        assert found["tokens"].dtype == (np.float32 if facts.text else np.float16)
    alone = [
        run_onnx(weights, {key: x[i : i + 1] for key, x in feeds.items()}) for i in range(len(inputs[0]))
    ]
    together = np.concatenate([one["embedding"] for one in alone])
    assert np.abs(together - found["embedding"]).max() <= 1e-6


@pytest.mark.parametrize("name", ["beit3-base-text", "stella-1.5b"])
def test_padding_of_a_text_changes_nothing(name: str) -> None:
    tiny = encoder(name).tiny()
    network = tiny.build()
    ids, mask = example(tiny.facts)
    more = torch.full((3, 4), 7)
    with torch.no_grad():
        plain, _ = network(ids, mask)
        padded, _ = network(torch.cat([ids, more], 1), torch.cat([mask, torch.zeros_like(more)], 1))
        read, _ = network(torch.cat([ids, more], 1), torch.cat([mask, torch.ones_like(more)], 1))
    assert torch.allclose(plain, padded, atol=1e-6)
    assert (plain - read).abs().max() > 1e-3


def test_stella_reads_in_both_directions() -> None:
    tiny = encoder("stella-1.5b").tiny()
    network = tiny.build()
    ids, mask = example(tiny.facts)
    other = ids.clone()
    other[0, -1] = (ids[0, -1] + 1) % 50 + 4
    with torch.no_grad():
        _, tokens = network(ids, mask)
        _, changed = network(other, mask)
    assert (tokens[0, 0] - changed[0, 0]).abs().max() > 1e-5, "the first token sees the last"


def test_a_served_image_reaches_the_network_in_its_own_scale() -> None:
    facts = encoder("clip-large").facts
    assert facts.image is not None
    photo = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    served = torch.from_numpy(backbone_input(photo, 30))[None]
    found = OwnScale(facts.image)(served)[0].numpy()
    wanted = (photo / 255 - np.array(facts.image.mean)) / np.array(facts.image.deviation)
    assert np.abs(found - wanted.transpose(2, 0, 1)).max() <= 1e-5


def published_siglip() -> dict[str, Any]:
    from transformers import SiglipConfig, SiglipModel

    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    text |= {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 1}
    vision = {**TINY.common(), "intermediate_size": TINY.feed}
    return SiglipModel(SiglipConfig(vision_config=vision, text_config=text)).state_dict()


def published_clip() -> dict[str, Any]:
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    text |= {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2, "projection_dim": 16}
    vision = {**TINY.common(), "intermediate_size": TINY.feed, "projection_dim": 16}
    state = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)).state_dict()
    # Older files hold the positions' indices too.
    return state | {"vision_model.embeddings.position_ids": torch.arange(17)[None]}


def published(cls: type[Any], folder: Path) -> dict[str, Any]:
    """As the file on the hub names them."""
    if cls is Siglip2:
        return published_siglip()
    if cls is Clip:
        return published_clip()
    network, config = tiny_of(cls).network()
    network(config).save_pretrained(folder)
    return read_state(folder / "model.safetensors")


def tiny_of(cls: type[Any]) -> Any:
    tiny = next(each for each in ENCODERS.values() if isinstance(each, cls)).tiny()
    return replace(tiny, sizes=TINY)  # a position table that is used as it is


# Names that the released files are known to have; the beginnings are those of their text towers.
NAMED: dict[type[Any], tuple[tuple[str, ...], tuple[str, ...]]] = {
    Siglip2: (
        ("vision_model.encoder.layers.1.mlp.fc1.weight", "vision_model.head.probe"),
        ("text_", "logit_"),
    ),
    Clip: (
        ("vision_model.pre_layrnorm.weight", "visual_projection.weight"),
        ("text_", "logit_", "vision_model.embeddings.position_ids"),
    ),
    Dinov2: (("encoder.layer.1.mlp.fc1.bias", "encoder.layer.0.attention.attention.query.weight"), ()),
    Dinov3: (("layer.1.norm2.weight", "layer.0.attention.q_proj.weight"), ()),
}


@pytest.mark.parametrize("cls", NAMED)
def test_published_names_load_and_one_that_does_not_fit_is_named(cls: type[Any], tmp_path: Path) -> None:
    tiny, state = tiny_of(cls), published(cls, tmp_path / "saved")
    (first, second), unused = NAMED[cls]
    assert {first, second} <= set(state)
    # Every value another, so that one in a wrong place shows.
    state = {
        name: value if name.endswith("position_ids") else torch.randn_like(value)
        for name, value in state.items()
    }
    path = tmp_path / "model.safetensors"
    save(state, path)
    network = tiny.load(tmp_path)
    assert isinstance(network, Served)
    loaded = torch.cat([value.detach().flatten() for value in network.parameters()])
    given = torch.cat([value.flatten() for name, value in state.items() if not name.startswith(unused)])
    assert torch.equal(loaded.sort().values, given.sort().values), "every value of the file, and no other"

    broken = dict(state)
    del broken[first]
    broken[second] = torch.zeros(3)
    broken["surprise.weight"] = torch.zeros(2)
    save(broken, path)
    with pytest.raises(WeightsError) as error:
        tiny.load(tmp_path)
    text = str(error.value)
    assert all(part in text for part in ("missing (1)", "unexpected (1)", "wrong shape (1)"))
    assert first.removeprefix("vision_model.") in text
    assert "is (3,), expected (" in text
    assert "surprise.weight" in text


def test_stella_needs_its_dense_map(tmp_path: Path) -> None:
    tiny = encoder("stella-1.5b").tiny()
    assert isinstance(tiny, Stella)
    network, config = tiny.network()
    state = network(config).state_dict()
    save({f"model.{name}": value for name, value in state.items()}, tmp_path / "model.safetensors")
    dense = tmp_path / "2_Dense_16" / "model.safetensors"
    head = {"linear.weight": torch.randn(16, 32), "linear.bias": torch.randn(16)}
    save(head, dense)
    loaded: Any = tiny.load(tmp_path)
    assert torch.equal(loaded.head.weight, head["linear.weight"])
    assert torch.equal(loaded.network.norm.weight, state["norm.weight"])
    save({"linear.weight": head["linear.weight"]}, dense)
    with pytest.raises(WeightsError, match=r"2_Dense_16.*\n.*linear.weight"):
        tiny.load(tmp_path)


def test_dinov2_is_served_at_another_size_than_it_was_trained_at() -> None:
    tiny = encoder("dinov2-large").tiny()
    network: Any = tiny.build()
    table = network.body.network.embeddings.position_embeddings
    assert table.shape == (1, 1 + 16, 32), "16 cells at 32 pixels, of 36 at 48"
    with torch.no_grad():
        assert network(*example(tiny.facts)).shape == (3, 32)


def test_weights_that_would_run_code_are_not_read(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"model": {"a": torch.zeros(1)}, "args": Harm()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match=r"bad\.pth"):
        read_state(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()


def test_weights_too_large_for_one_file_lie_beside_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.kit.export.onnx_files, "LARGEST", 20_000)
    tiny = encoder("stella-1.5b").tiny()
    network = tiny.build()
    report = export(tiny, network, tmp_path, origin=ORIGIN, half=True)
    folder = tmp_path / "text_encode"
    weights, data = folder / "1" / "model.onnx", folder / "1" / "model.onnx.data"
    assert sorted(path.name for path in weights.parent.iterdir()) == [weights.name, data.name]
    assert data.stat().st_mode & 0o777 == 0o644
    assert report.size == weights.stat().st_size + data.stat().st_size
    described = tomllib.loads((folder / "model.toml").read_text())["model"]
    assert described["weights_data"] == "1/model.onnx.data"
    assert described["weights_data_sha256"] == hashlib.sha256(data.read_bytes()).hexdigest()
    graph = onnx.load(weights, load_external_data=False)
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert metadata == {"weights_data_sha256": hashlib.sha256(data.read_bytes()).hexdigest()}
    assert report.half_cosine["embedding"] >= 0.999
    with pytest.raises(FailedPrecondition, match="cannot be loaded"):
        load_session(read_config(folder), 1)  # the embedded backend reads one file, as docs/encoders.md says


@pytest.mark.parametrize("name", ["clip-large", "dinov2-large", "beit3-base-text"])
def test_what_is_exported_is_served(name: str, tmp_path: Path) -> None:
    tiny = encoder(name).tiny()
    export(tiny, tiny.build(), tmp_path, origin=ORIGIN)
    config = read_config(tmp_path / tiny.facts.kind)
    session = load_session(config, 1)  # the checksum and every tensor are compared with the config
    assert session.get_outputs()[0].name == "embedding"
    if tiny.facts.image:
        assert image_side(config.metadata) == tiny.facts.image.size


def test_an_export_that_disagrees_leaves_what_was_there(tmp_path: Path) -> None:
    tiny = encoder("clip-large").tiny()
    export(tiny, tiny.build(), tmp_path, origin=ORIGIN)
    before = (tmp_path / "image_align" / "1" / "model.onnx").read_bytes()

    class Fickle(torch.nn.Module):
        """Traces as one function and computes another."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = tiny.build(), 0

        def forward(self, images: torch.Tensor) -> Any:
            self.calls += 1
            embedding, tokens = self.inner(images)
            return embedding * float(self.calls), tokens

    with pytest.raises(ExportError, match="embedding differs"):
        export(tiny, Fickle(), tmp_path, origin=ORIGIN)
    assert (tmp_path / "image_align" / "1" / "model.onnx").read_bytes() == before
