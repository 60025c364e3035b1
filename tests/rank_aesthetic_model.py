"""The double of the model that scores what EmbedService's double makes (tests.rank_doubles)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nails.aesthetic.tokens import Packing
from services.kit.inference import ModelMetadata, TensorSpec
from tests.rank_doubles import ALIGN_DIMENSIONS, TOKEN_DIMENSIONS

PACKING = Packing(4, 8)
MIDDLE, WIDTH = 5.0, 1.0


def aesthetic_model(
    fingerprint: str = "aesthetic-a", packing: Packing = PACKING, **parameters: str
) -> ModelMetadata:
    """The config of the model that scores what the doubles make."""
    f16, f32 = np.dtype(np.float16), np.dtype(np.float32)
    return ModelMetadata(
        name="aesthetic",
        version="1",
        fingerprint=fingerprint,
        max_batch_size=256,
        inputs=(
            TensorSpec("tokens", f16, (packing.tokens, TOKEN_DIMENSIONS)),
            TensorSpec("align", f32, (ALIGN_DIMENSIONS,)),
            TensorSpec("tag", f32, (None, ALIGN_DIMENSIONS)),
            TensorSpec("tag_mask", f32, (None,)),
        ),
        outputs=(TensorSpec("score", f32, ()), TensorSpec("distribution", f32, (10,))),
        parameters={
            "grid": str(packing.grid),
            "bits": str(packing.bits),
            "middle": str(MIDDLE),
            "width": str(WIDTH),
            **parameters,
        },
    )


def write_aesthetic_model(repository: Path) -> Path:
    """A model repository with that config, for servers in processes of their own (backend `fake`)."""
    model = aesthetic_model()
    kinds = {np.dtype(np.float16): "TYPE_FP16", np.dtype(np.float32): "TYPE_FP32"}

    def tensors(word: str, specs: Sequence[TensorSpec]) -> str:
        return "".join(
            f'{word} {{ name: "{spec.name}" data_type: {kinds[spec.dtype]} '
            f"dims: [{', '.join('-1' if size is None else str(size) for size in spec.shape)}] }}\n"
            for spec in specs
        )

    parameters = {**model.parameters, "fingerprint": model.fingerprint}
    folder = repository / model.name
    folder.mkdir(parents=True)
    (folder / "config.pbtxt").write_text(
        f'name: "{model.name}"\nmax_batch_size: {model.max_batch_size}\n'
        + tensors("input", model.inputs)
        + tensors("output", model.outputs)
        + "".join(
            f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n'
            for name, value in parameters.items()
        )
    )
    return repository


def score_photos(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What the double of the model says: the tokens' mean, and more where photo and a tag are much alike."""
    means = inputs["tokens"].astype(np.float32).mean(axis=(1, 2))
    cosines = np.einsum("nkd,nd->nk", inputs["tag"], inputs["align"]) * inputs["tag_mask"]
    scores = np.clip(means + 9 * np.maximum(cosines - 0.5, 0).max(axis=1), 1, 10).astype(np.float32)
    shares = np.zeros((len(scores), 10), np.float32)
    shares[np.arange(len(scores)), np.rint(scores).astype(int) - 1] = 1.0
    return {"score": scores, "distribution": shares}
