"""The loop that every training runs, and its parts: schedule, averaged weights, optimizer, validation.

`fit` reads from top to bottom: a batch, its loss, one update, the averaged weights, and now and then a
validation whose best network is kept. What differs between trainings is passed in: the loss of a batch, what
is measured, and what is done with the best.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from training.kit.run import mean

Batch = TypeVar("Batch")


class LogLine(Protocol):
    """Takes an event of a training and its figures."""

    def __call__(self, **facts: float | int | str) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """How long a training is, and its learning rate: a linear rise, then half a cosine."""

    steps: int = 1000
    """updates of the whole run"""
    warmup: int = 50
    """updates of the linear rise"""
    rate: float = 2e-3
    """highest learning rate"""
    floor: float = 0.02
    """share of the rate at the end"""
    slow: float = 0.25
    """factor on the rate of the pretrained backbone"""
    decay: float = 0.01
    """weight decay of AdamW"""

    def factor(self, step: int) -> float:
        """Share of the highest rate at `step`: linear warm-up, then half a cosine."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warm_cosine(steps: int, share: float) -> Callable[[int], float]:
    """Factors of the rate by step: a linear rise over `share` of the steps, half a cosine to a hundredth."""
    return Schedule(steps=steps, warmup=max(1, round(steps * share)), floor=0.01).factor


class Averaged:
    """Exponential moving average of a network's weights; what is evaluated and kept."""

    def __init__(self, network: nn.Module, *, decay: float = 0.998) -> None:
        self.network = copy.deepcopy(network).eval()
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the network's weights; buffers of whole numbers are copied."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 10))
        mine = self.network.state_dict()
        for name, value in network.state_dict().items():
            if value.dtype.is_floating_point:
                mine[name].lerp_(value, 1 - decay)
            else:
                mine[name].copy_(value)


def adamw(network: nn.Module, backbone: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
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
                "weight_decay": schedule.decay if decays else 0.0,
            }
            for (is_slow, decays), parameters in groups.items()
        ]
    )


def take_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    *,
    factor: float,
    clip: float | None = 5.0,
    reduce: Callable[[nn.Module], None] | None = None,
) -> None:
    """One update with each group's learning rate scaled by `factor`.

    clip: longest gradient of all weights together, None for any. reduce: what is done to the gradients first,
    such as adding up those of several processes. Raises ValueError for a loss that is not finite.
    """
    if not torch.isfinite(loss):
        raise ValueError("the loss is not finite: lower the learning rate, or train in float32")
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if reduce is not None:
        reduce(network)
    if clip is not None:
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()


@dataclass(frozen=True)
class Validation:
    """How the best network of a training is found."""

    due: Callable[[int], bool]
    """whether to validate after so many updates"""
    measure: Callable[[nn.Module], dict[str, float]]
    """figures of a network in eval mode"""
    by: str
    """the figure that is to be as large as can be"""
    keep: Callable[[nn.Module, int, dict[str, float]], None]
    """takes the best network so far, the number of updates, and its figures"""


def every(period: int, steps: int) -> Callable[[int], bool]:
    """Due after each `period` updates, and after the last of `steps`."""
    return lambda done: done % period == 0 or done == steps


def fit(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    loss: Callable[[Batch], Tensor],
    *,
    steps: int,
    factor: Callable[[int], float] = lambda _: 1.0,
    clip: float | None = 5.0,
    reduce: Callable[[nn.Module], None] | None = None,
    averaged: Averaged | None = None,
    validation: Validation | None = None,
    log: LogLine | None = None,
    log_every: int = 50,
    label: str = "",
) -> None:
    """Trains `network` in place, one update for each of `batches`, of which there are `steps`.

    loss: of a batch, finite. factor: of the learning rates, by number of updates done. averaged: follows the
    weights, and is validated in place of the network. log: takes the mean of the last losses, at the first
    update and each `log_every`, and the figures of validations. A terminal shows a progress bar. Raises
    ValueError where a loss is not finite.
    """
    validated = network if averaged is None else averaged.network
    best, losses = -1.0, list[float]()
    network.train()
    for done, batch in enumerate(
        tqdm(batches, total=steps, desc=label or "steps", unit="step", leave=False, disable=None), start=1
    ):
        current = loss(batch)
        take_step(network, optimizer, current, factor=factor(done - 1), clip=clip, reduce=reduce)
        if averaged is not None:
            averaged.update(network)
        losses.append(current.item())
        if log is not None and (done in (1, steps) or done % log_every == 0):
            log(event="train", step=done, loss=mean(losses[-log_every:]))
        if validation is not None and validation.due(done):
            metrics = validation.measure(validated.eval())
            network.train()
            if log is not None:
                log(event="validate", step=done, **metrics)
            if metrics[validation.by] > best:
                best = metrics[validation.by]
                validation.keep(validated, done, metrics)
