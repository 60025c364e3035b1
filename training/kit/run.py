"""What a perception training leaves behind: its checkpoint and its log.

A checkpoint is one file, `RUN/model.pt`: the averaged weights, the frozen configuration, the digest of the
data, and the metrics that chose it. `RUN/log.jsonl` has a line for each evaluation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm


def save_checkpoint(
    run: Path, network: nn.Module, *, config: Any, data: str, step: int, metrics: Mapping[str, float]
) -> None:
    """Writes RUN/model.pt whole or not at all. `config` is a frozen dataclass, `data` a digest."""
    run.mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "weights": cpu_state(network),
        "config": asdict(config),
        "data": data,
        "step": step,
        "metrics": dict(metrics),
    }
    partial = run / "model.pt.part"
    torch.save(checkpoint, partial)
    partial.replace(run / "model.pt")


def cpu_state(network: nn.Module) -> dict[str, Tensor]:
    """The network's state dict with every tensor on the CPU, where checkpoints are kept."""
    state: dict[str, Tensor] = network.state_dict()
    for name, value in state.items():
        state[name] = value.cpu()
    return state


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
        tqdm.write(text)  # above the progress bar, where there is one


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; 0 for nothing."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
