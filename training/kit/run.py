"""What every perception training run shares: averaged weights, the learning-rate curve, the checkpoint.

A checkpoint is one file, `RUN/model.pt`: the averaged weights, the frozen configuration, the digest of the
data, and the metrics that chose it. `RUN/log.jsonl` has a line for each evaluation.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Schedule:
    """steps: of the whole run. warmup: steps of linear rise. rate: the highest.

    floor: share of the rate at the end. slow: factor on the rate of the pretrained backbone.
    """

    steps: int = 1000
    warmup: int = 50
    rate: float = 2e-3
    floor: float = 0.02
    slow: float = 0.25
    decay: float = 0.01

    def factor(self, step: int) -> float:
        """Share of the highest rate at `step`: linear warm-up, then half a cosine."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Averaged:
    """Exponential moving average of a network's weights; what is evaluated and kept."""

    def __init__(self, network: nn.Module, *, decay: float = 0.998) -> None:
        self.network = copy.deepcopy(network).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        mine = self.network.state_dict()
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                mine[name].lerp_(value, 1 - decay)
            else:
                mine[name].copy_(value)


def optimiser(network: nn.Module, backbone: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW with the backbone's own slower rate; vectors (biases, norms) are not decayed."""
    slow = {id(p) for p in backbone.parameters()}
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in slow, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": schedule.rate * (schedule.slow if is_slow else 1.0),
                "full": schedule.rate * (schedule.slow if is_slow else 1.0),
                "weight_decay": schedule.decay if decays else 0.0,
            }
            for (is_slow, decays), parameters in groups.items()
        ]
    )


def take_step(
    network: nn.Module, solver: torch.optim.Optimizer, loss: Tensor, *, factor: float, clip: float = 5.0
) -> None:
    """One update with the learning rate scaled by `factor`. A loss that is not finite raises ValueError."""
    if not torch.isfinite(loss):
        raise ValueError("the loss is not finite")
    for group in solver.param_groups:
        group["lr"] = group["full"] * factor
    solver.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    solver.step()


def save_checkpoint(
    run: Path, network: nn.Module, *, config: Any, data: str, step: int, metrics: Mapping[str, float]
) -> None:
    """Writes RUN/model.pt whole or not at all. `config` is a frozen dataclass, `data` a digest."""
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "weights": network.state_dict(),
        "config": asdict(config),
        "data": data,
        "step": step,
        "metrics": dict(metrics),
    }
    partial = run / "model.pt.part"
    torch.save(checkpoint, partial)
    partial.replace(run / "model.pt")


def load_checkpoint(run: Path) -> dict[str, Any]:
    """The dictionary that `save_checkpoint` wrote."""
    checkpoint: dict[str, Any] = torch.load(run / "model.pt", map_location="cpu", weights_only=True)
    return checkpoint


class Log:
    """Appends one JSON line an event to RUN/log.jsonl and prints it."""

    def __init__(self, run: Path) -> None:
        run.mkdir(parents=True, exist_ok=True)
        self.path = run / "log.jsonl"
        self.started = time.monotonic()

    def __call__(self, **facts: float | int | str) -> None:
        line = {key: round(value, 5) if isinstance(value, float) else value for key, value in facts.items()}
        text = json.dumps({"seconds": round(time.monotonic() - self.started), **line})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        print(text, flush=True)


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; 0 for nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
