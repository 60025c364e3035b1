"""How a row of paper N's table is trained: epochs of batches, AdamW, the checkpoint that validates best."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.kit.fit import Validation, fit, warm_cosine

logger = logging.getLogger(__name__)
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """How long and how fast a row is trained."""

    epochs: float
    batch: int
    lr: float
    weight_decay: float
    warm_up: float
    """share of the steps in which the rate rises"""
    validate_every: float = 1.0
    """epochs, in the second half; the last step is among them"""


def fit_row(
    network: nn.Module,
    plan: Plan,
    count: int,
    *,
    order: Callable[[], Rows],
    loss: Callable[[Rows], Tensor],
    validate: Callable[[], float],
    label: str,
) -> dict[str, float]:
    """Trains `network` in place; it ends in eval mode, on the CPU, with the weights that validated best.

    order: the `count` items of an epoch as i64 [count], drawn anew for each. loss: of the items of a batch.
    validate: what is to be as large as can be; called in eval mode. Returns `val_mrr` and `seconds`.
    """
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=plan.lr,
        betas=(0.9, 0.98),
    )
    batch = min(plan.batch, count)
    per_epoch = max(1, count // batch)
    steps = max(1, round(plan.epochs * per_epoch))
    every = max(1, round(plan.validate_every * per_epoch))
    started = time.monotonic()
    best: dict[str, Any] = {}

    def batches() -> Iterator[Rows]:
        for step in range(steps):
            at = step % per_epoch
            if at == 0:
                items = order()
            yield items[at * batch : (at + 1) * batch]

    def keep(network: nn.Module, _step: int, metrics: dict[str, float]) -> None:
        best.update(metrics, state=copy.deepcopy(network.state_dict()))

    def log(**facts: float | int | str) -> None:
        shown = " ".join(f"{name} {value:.3f}" for name, value in facts.items() if isinstance(value, float))
        logger.info("%s step %s/%d %.0f s %s", label, facts["step"], steps, time.monotonic() - started, shown)

    fit(
        network,
        optimizer,
        batches(),
        loss,
        steps=steps,
        factor=warm_cosine(steps, plan.warm_up),
        clip=1.0,
        validation=Validation(
            due=lambda done: done > steps // 2 and (steps - done) % every == 0,
            measure=lambda _: {"val_mrr": validate()},
            by="val_mrr",
            keep=keep,
        ),
        log=log,
        log_every=per_epoch,
        label=label,
    )
    network.load_state_dict(best["state"])
    network.eval().cpu()
    return {"val_mrr": best["val_mrr"], "seconds": time.monotonic() - started}
