"""Every model of `triton_models/` gives the same numbers on the real Triton server and in the process."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.inference.base import ModelMetadata
from services.kit.inference.local import LocalBackend
from services.kit.inference.triton import TritonBackend
from tools.render import describe, served_models
from tools.triton_process import ServerOptions, ServerProcess

pytestmark = [pytest.mark.triton, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[3] / "triton_models"
MODELS = [folder.name for folder in served_models(REPOSITORY)]
ROWS, LENGTH = 3, 11


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, triton_root: Path) -> Iterator[ServerProcess]:
    absent = [name for name in MODELS if not (REPOSITORY / name / "1" / "model.onnx").is_file()]
    if absent:
        pytest.skip(f"not built yet: {', '.join(absent)} (make models)")
    log = tmp_path_factory.mktemp("triton") / "server.log"
    with ServerProcess(ServerOptions(repository=REPOSITORY, log=log, root=triton_root)) as running:
        yield running


def some_inputs(metadata: ModelMetadata) -> dict[str, NDArray[Any]]:
    """Plausible inputs: pixels and vectors around zero, small ids, masks of ones."""
    generator = np.random.default_rng(zlib.crc32(metadata.name.encode()))
    inputs: dict[str, NDArray[Any]] = {}
    for spec in metadata.inputs:
        shape = (ROWS, *(LENGTH if size is None else size for size in spec.shape))
        if "mask" in spec.name:
            inputs[spec.name] = np.ones(shape, spec.dtype)
        elif spec.dtype.kind == "i":
            inputs[spec.name] = generator.integers(3, 1000, shape)
        else:
            inputs[spec.name] = generator.uniform(-1, 1, shape).astype(spec.dtype)
    return inputs


@pytest.mark.parametrize("model", MODELS)
async def test_triton_agrees_with_the_embedded_backend(server: ServerProcess, model: str) -> None:
    local, triton = LocalBackend(REPOSITORY, [model]), TritonBackend(server.url)
    try:
        metadata = await triton.metadata(model)
        assert metadata == await local.metadata(model)
        assert metadata.fingerprint == describe(REPOSITORY / model)["model"]["fingerprint"]
        inputs = some_inputs(metadata)
        ours = await local.infer(model, inputs, deadline=Deadline.after(60))
        theirs = await triton.infer(model, inputs, deadline=Deadline.after(60))
    finally:
        await local.close()
        await triton.close()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].shape == theirs[name].shape
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-5)
