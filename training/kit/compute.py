"""Where a training computes, and in which precision: a frozen object that every training is given.

Networks, batches and mixed precision go through it, so no training names a device. Checkpoints stay on the
CPU: they are saved from there and loaded to there (training.kit.run).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)


class DeviceError(ValueError):
    """A device that is none, or is not there."""


@dataclass(frozen=True)
class Compute:
    """device: where networks and batches lie. half: the type of mixed precision, None for f32 throughout."""

    device: torch.device
    half: torch.dtype | None = torch.bfloat16

    @classmethod
    def choose(cls, name: str = "auto") -> Compute:
        """The device of a name: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`, the best one that is there.

        Mixed precision is bfloat16 where the device computes in it. Raises DeviceError for a name that is no
        device, and for a device that is not there.
        """
        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
        if name == "auto":
            name = "cuda" if cuda else "mps" if mps else "cpu"
        try:
            device = torch.device(name)
        except RuntimeError:
            raise DeviceError(f"--device {name}: not a device; give auto, cpu, cuda, cuda:N or mps") from None
        there = {"cpu": True, "mps": mps, "cuda": cuda and (device.index or 0) < torch.cuda.device_count()}
        if not there.get(device.type, False):
            raise DeviceError(f"--device {name}: torch does not find this device here; use auto or cpu")
        slow = device.type == "cuda" and not torch.cuda.is_bf16_supported()
        return cls(device, None if slow else torch.bfloat16)

    def network(self, network: Network) -> Network:
        """The network, moved in place to the device. Memory formats stay as they are."""
        return network.to(self.device)

    def batch(self, batch: Batch) -> Batch:
        """A batch on the device: a tensor, or a tuple, list or dataclass that holds some at any depth."""
        if isinstance(batch, torch.Tensor):
            return cast(Batch, batch.to(self.device, non_blocking=True))
        if is_dataclass(batch) and not isinstance(batch, type):
            moved = {field.name: self.batch(getattr(batch, field.name)) for field in fields(batch)}
            return cast(Batch, type(batch)(**moved))
        if isinstance(batch, tuple) and hasattr(batch, "_fields"):
            return cast(Batch, type(batch)(*map(self.batch, batch)))
        if isinstance(batch, (list, tuple)):
            return cast(Batch, type(batch)(map(self.batch, batch)))
        return batch

    def autocast(self, *, enabled: bool = True) -> AbstractContextManager[Any]:
        """Mixed precision for a forward pass, on the device; nothing where `enabled` is false."""
        if not enabled or self.half is None or not torch.amp.is_autocast_available(self.device.type):
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.half)


CPU = Compute(torch.device("cpu"))


def set_memory_format(network: Network, memory_format: torch.memory_format) -> Network:
    """Lays the network's weights out in `memory_format`, in place, and returns the network."""
    network.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stubs lack the argument
    return network
