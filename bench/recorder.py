"""What a service asks its models, so that the models can be run bare on the same tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from services.kit.deadline import Deadline
from services.kit.inference.local import LocalBackend

Tensors = Mapping[str, NDArray[Any]]
ModelCalls = list[tuple[str, Tensors]]


class Recorder:
    """A backend that keeps a copy of what each model is asked."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self.calls: ModelCalls = []

    async def infer(self, model: str, inputs: Tensors, *, deadline: Deadline) -> dict[str, NDArray[Any]]:
        """As the backend, and recorded."""
        self.calls.append((model, {name: tensor.copy() for name, tensor in inputs.items()}))
        return await self._backend.infer(model, inputs, deadline=deadline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)
