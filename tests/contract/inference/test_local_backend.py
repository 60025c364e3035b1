"""What only the embedded backend does: it reads, checks and loads weights itself."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from services.kit.deadline import Deadline
from services.kit.errors import DeadlineExceeded, FailedPrecondition
from services.kit.inference import build_backend
from services.kit.inference.fake import FakeBackend
from services.kit.inference.local import LocalBackend
from services.kit.settings import ServiceSettings

IMAGES = {"images": np.ones((2, 3, 8, 8), np.float32)}


async def infer(backend: Any, model: str = "pixels") -> dict[str, NDArray[Any]]:
    answer: dict[str, NDArray[Any]] = await backend.infer(model, IMAGES, deadline=Deadline.after(30))
    return answer


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """A copy of the tiny repository that a test may damage."""
    return Path(shutil.copytree(repository, tmp_path / "models"))


async def test_weights_with_another_sha256_are_not_served(copy: Path) -> None:
    weights = copy / "pixels" / "1" / "model.onnx"
    weights.write_bytes(weights.read_bytes() + b"\0")
    backend = LocalBackend(copy, ["pixels"])
    with pytest.raises(FailedPrecondition) as caught:
        await infer(backend)
    assert caught.value.reason == "MODEL_WEIGHTS_MISMATCH"
    assert caught.value.resource == ("lunula.model", "pixels")
    assert not await backend.ready("pixels")
    await backend.close()


async def test_weights_that_arrive_later_are_served_then(copy: Path) -> None:
    weights = copy / "pixels" / "1" / "model.onnx"
    data = weights.read_bytes()
    weights.unlink()
    backend = LocalBackend(copy, ["pixels"])
    assert not await backend.ready("pixels")
    with pytest.raises(FailedPrecondition) as caught:
        await infer(backend)
    assert caught.value.reason == "MODEL_WEIGHTS_MISSING"
    weights.write_bytes(data)
    assert await backend.ready("pixels")
    assert (await infer(backend))["embedding"].shape == (2, 16)
    await backend.close()


def sign(folder: Path) -> None:
    """Make model.toml agree with the weights that lie there."""
    digest = hashlib.sha256((folder / "1" / "model.onnx").read_bytes()).hexdigest()
    toml = folder / "model.toml"
    lines = [
        f'weights_sha256 = "{digest}"' if line.startswith("weights_sha256") else line
        for line in toml.read_text().splitlines()
    ]
    toml.write_text("\n".join(lines))


async def test_a_file_that_is_no_model_is_not_served(copy: Path) -> None:
    (copy / "pixels" / "1" / "model.onnx").write_bytes(b"not a graph")
    sign(copy / "pixels")
    backend = LocalBackend(copy, ["pixels"])
    with pytest.raises(FailedPrecondition) as caught:
        await infer(backend)
    assert caught.value.reason == "MODEL_WEIGHTS_INVALID"
    await backend.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name: "images"', 'name: "photos"'),
        ("data_type: TYPE_FP16", "data_type: TYPE_FP32"),
        ('name: "embedding"', 'name: "vector"'),
        ("dims: 16", "dims: 17"),
    ],
)
async def test_a_config_unlike_its_graph_is_not_served(copy: Path, old: str, new: str) -> None:
    config = copy / "pixels" / "config.pbtxt"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    backend = LocalBackend(copy, ["pixels"])
    # Readiness does not depend on what a caller sends.
    assert not await backend.ready("pixels")
    await backend.close()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("max_batch_size: 8", "max_batch_size: 0", "batch axis"),
        ('name: "pixels"', 'name: "toes"', "another model"),
        ("data_type: TYPE_FP16", "data_type: TYPE_STRING", "unsupported type"),
        ("max_batch_size: 8", "max_batch_size: eight", "Couldn't parse"),
        ('string_value: "1"', 'string_value: "one"', "not a number"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_at_once(copy: Path, old: str, new: str, why: str) -> None:
    config = copy / "pixels" / "config.pbtxt"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    with pytest.raises(FailedPrecondition, match=why) as caught:
        LocalBackend(copy, ["pixels"])
    assert caught.value.reason == "MODEL_CONFIG_INVALID"


def test_a_model_without_a_folder_is_refused_at_once(repository: Path) -> None:
    with pytest.raises(FailedPrecondition, match="toes"):
        LocalBackend(repository, ["toes"])


async def test_a_model_toml_without_a_checksum_is_not_served(copy: Path) -> None:
    (copy / "pixels" / "model.toml").write_text("[model]\n")
    backend = LocalBackend(copy, ["pixels"])
    with pytest.raises(FailedPrecondition, match="weights_sha256"):
        await infer(backend)
    await backend.close()


async def test_concurrent_first_calls_load_the_weights_once(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from services.kit.inference import local

    loads = []
    load = local.load_session

    def counted(*arguments: Any) -> Any:
        loads.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(local, "load_session", counted)
    backend = LocalBackend(repository, ["pixels"])
    await asyncio.gather(*(infer(backend) for _ in range(8)))
    await backend.close()
    assert len(loads) == 1


async def test_a_caller_who_cannot_wait_for_the_weights_leaves_the_load_to_others(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from services.kit.inference import local

    gate = threading.Event()
    load = local.load_session

    def slow(*arguments: Any) -> Any:
        gate.wait(30)
        return load(*arguments)

    monkeypatch.setattr(local, "load_session", slow)
    backend = LocalBackend(repository, ["pixels"])
    patient = asyncio.create_task(infer(backend))
    with pytest.raises(DeadlineExceeded):
        await backend.infer("pixels", IMAGES, deadline=Deadline.after(0.01))
    gate.set()
    assert (await patient)["embedding"].shape == (2, 16)
    await backend.close()


async def test_threads_neither_spin_nor_exceed_the_setting(repository: Path) -> None:
    from services.kit.inference.config import read_config
    from services.kit.inference.local import load_session

    session = load_session(read_config(repository / "pixels"), 1)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


async def test_batches_are_counted_in_prometheus(repository: Path) -> None:
    registry = CollectorRegistry()
    backend = LocalBackend(repository, ["pixels"], registry=registry)
    await infer(backend)
    await backend.close()
    assert registry.get_sample_value("lunula_batch_rows_sum", {"model": "pixels"}) == 2
    assert registry.get_sample_value("lunula_queue_rows", {"model": "pixels"}) == 0


@pytest.mark.parametrize(("kind", "cls"), [("local", LocalBackend), ("fake", FakeBackend)])
async def test_the_factory_opens_the_backend_of_the_settings(repository: Path, kind: str, cls: type) -> None:
    settings = ServiceSettings(backend=kind, model_repository=repository)  # type: ignore[arg-type]  # parametrised
    backend = build_backend(settings, ["pixels"])
    assert isinstance(backend, cls)
    assert await backend.ready("pixels")
    await backend.close()


async def test_the_fake_backend_takes_all_models_of_a_repository_unless_told(repository: Path) -> None:
    backend = FakeBackend(repository)
    assert await backend.ready("pixels")
    assert await backend.ready("words")


async def test_the_fake_backend_gives_the_answers_that_a_test_gives_it(repository: Path) -> None:
    embedding = np.zeros((2, 16), np.float32)
    backend = FakeBackend(repository, answers={"pixels": lambda _inputs: {"embedding": embedding}})
    assert (await infer(backend))["embedding"] is embedding


async def test_the_fake_backend_waits_as_a_test_says_and_keeps_to_the_deadline(repository: Path) -> None:
    async def forever(_model: str, _inputs: Any) -> None:
        await asyncio.Event().wait()

    backend = FakeBackend(repository, before=forever)
    with pytest.raises(DeadlineExceeded):
        await backend.infer("pixels", IMAGES, deadline=Deadline.after(0.01))


async def test_the_fake_backend_tells_rows_models_and_inputs_apart(repository: Path) -> None:
    backend = FakeBackend(repository)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((3, 3, 8, 8)).astype(np.float32)
    images[2] = images[0]
    outputs = await backend.infer("pixels", {"images": images}, deadline=Deadline.never())
    embedding = outputs["embedding"]
    assert not np.allclose(embedding[0], embedding[1])
    np.testing.assert_array_equal(embedding[0], embedding[2])
