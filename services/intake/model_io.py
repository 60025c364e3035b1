"""One item in, one item out: the batch axis is added and taken off here, and outputs are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.errors import FailedPrecondition, Internal
from services.kit.inference.base import InferenceBackend, ModelMetadata


async def infer_one(
    backend: InferenceBackend, model: str, inputs: Mapping[str, NDArray[Any]], *, deadline: Deadline
) -> dict[str, NDArray[Any]]:
    """Outputs of one item, without the batch axis; the backend batches concurrent calls."""
    batched = {name: array[None] for name, array in inputs.items()}
    outputs = await backend.infer(model, batched, deadline=deadline)
    return {name: array[0] for name, array in outputs.items()}


def read_embedding(outputs: Mapping[str, NDArray[Any]], model: str) -> NDArray[np.float32]:
    """The output "embedding" as float32 [D]. Raises Internal MODEL_OUTPUT_NOT_FINITE."""
    found = np.asarray(outputs["embedding"], np.float32)
    if not np.isfinite(found).all():
        raise Internal(f"{model} gave numbers that are not finite", reason="MODEL_OUTPUT_NOT_FINITE")
    return found


def image_side(model: ModelMetadata) -> int:
    """Side S of the model's only image input [3, S, S]. Raises FailedPrecondition MODEL_UNSUITABLE."""
    shape = model.inputs[0].shape
    if len(shape) != 3 or shape[0] != 3 or shape[1] is None or shape[1] != shape[2]:
        raise FailedPrecondition(
            f"model {model.name} takes {shape}, not square RGB images", reason="MODEL_UNSUITABLE"
        )
    return shape[1]
