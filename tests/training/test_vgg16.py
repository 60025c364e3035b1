"""VGG16: the published network's names and shapes, its pin, its ONNX twin, and its head, on a tiny one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training environment")

from evaluation.artist.predictions import open_run
from tests.training.artist_works import write_works
from training.artist.image.vgg16 import PINS, Vgg16, VggArtist, VggHead, from_state, load_vgg16
from training.artist.image.vgg_step import cross_validate_head, train_sgd
from training.artist.job import ArtistJob, Vgg16Options
from training.artist.steps import STEPS
from training.kit.export.sessions import onnx_runner
from training.kit.pins import SHA256, PinError, read_pins
from training.kit.stepwise import load_step
from training.kit.weights import WeightsError

pytestmark = [pytest.mark.torch, pytest.mark.timeout(600)]
TINY = (4, 0, 6, 0, 6, 0, 8, 0, 8, 0)  # as often halved as the whole


def tiny(cells: int = 2) -> Vgg16:
    torch.manual_seed(0)
    return Vgg16(TINY, width=12, cells=cells).eval()


def test_the_whole_network_has_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        state = Vgg16().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    convolutions = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
    assert {name for name in shapes if name.startswith("features") and name.endswith("weight")} == {
        f"features.{place}.weight" for place in convolutions
    }
    assert shapes["features.0.weight"] == (64, 3, 3, 3)
    assert shapes["features.28.weight"] == (512, 512, 3, 3)
    assert shapes["classifier.0.weight"] == (4096, 7 * 7 * 512)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 14_714_688 + 4096 * 25_089


def test_the_pin_has_a_checksum_and_other_files_are_refused(tmp_path: Path) -> None:
    pin = read_pins(PINS)["vgg16"]
    ((name, sha256),) = pin.files.items()
    assert SHA256.fullmatch(sha256) and sha256.startswith(name.removeprefix("vgg16-").removesuffix(".pth"))
    with pytest.raises(PinError, match=name):
        load_vgg16(tmp_path)
    torch.save({}, tmp_path / name)
    with pytest.raises(PinError, match="has sha256"):
        load_vgg16(tmp_path)


def test_a_checkpoint_fills_the_network_and_its_later_layers_are_left_out() -> None:
    source = tiny()
    state = {name: value + 1 for name, value in source.state_dict().items()}
    more = {f"classifier.{n}.{kind}": torch.zeros(3) for n in (3, 6) for kind in ("weight", "bias")}
    filled = from_state(tiny(), state | more, "here")
    assert all(torch.equal(value, state[name]) for name, value in filled.state_dict().items())
    with pytest.raises(WeightsError, match=r"here: no VGG16: missing \['features.0.bias'\]"):
        from_state(tiny(), {name: v for name, v in state.items() if name != "features.0.bias"}, "here")
    with pytest.raises(WeightsError, match="other shapes"):
        from_state(tiny(), state | {"features.0.bias": torch.zeros(9)}, "here")


def test_its_onnx_twin_says_the_same_whatever_the_batch() -> None:
    model = VggArtist(tiny(), VggHead.after(tiny(), artists=5)).eval()
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        logits, embedding = model(images)
    run = onnx_runner(model, ("logits", "embedding"), size=64)
    found = run(images.numpy())
    np.testing.assert_allclose(found[0], logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(found[1], embedding.numpy(), atol=1e-4)
    np.testing.assert_allclose(run(images[1:2].numpy())[0][0], logits[1].numpy(), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found[1], axis=1), 1, atol=1e-5)


def test_the_head_starts_from_imagenet_and_learns() -> None:
    network = tiny()
    head = VggHead.after(network, artists=3)
    assert torch.equal(head.dense.weight, network.classifier[0].weight)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    pooled = (np.eye(3)[labels] @ rng.normal(0, 3, (3, network.inputs))).astype(np.float16)
    pooled += rng.normal(0, 0.1, pooled.shape).astype(np.float16)
    trained = train_sgd(head, pooled, np.arange(90), labels, seed=1, epochs=40)
    with torch.no_grad():
        logits, _ = trained(torch.from_numpy(pooled.astype(np.float32)))
    assert (logits.argmax(dim=1).numpy() == labels).mean() > 0.95


@pytest.mark.parametrize("head", ["dense", "paper"])
def test_the_step_answers_in_the_agreed_form(tmp_path: Path, head: Literal["dense", "paper"]) -> None:
    data = write_works(tmp_path / "data", artists=2, each=6)
    job = ArtistJob(data=data, out=tmp_path / "run", vgg16=Vgg16Options(epochs=2, head=head))
    load_step(STEPS, "folds")(job)
    cross_validate_head(job, tiny(cells=7))
    opened = open_run(job.out)
    table = opened.read("vgg16", 0)
    assert table.oof is not None and np.isfinite(table.oof).all()
    assert "ImageNet" in opened.about("vgg16").what
