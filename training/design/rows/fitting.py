"""The loop that trains every row of paper N's table: epochs of batches, a schedule, the best checkpoint."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.kit.run import Schedule

logger = logging.getLogger(__name__)
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Fit:
    """How long and how fast. `validate_every`: epochs, in the second half; the last step is among them."""

    epochs: float
    batch: int
    lr: float
    weight_decay: float
    warm_up: float
    validate_every: float = 1.0


def fit(
    network: nn.Module,
    plan: Fit,
    count: int,
    *,
    order: Callable[[], Rows],
    loss: Callable[[Rows], Tensor],
    validate: Callable[[], float],
    label: str,
) -> dict[str, float]:
    """Trains `network` in place; it ends in eval mode with the weights that validated best.

    order: the `count` items of an epoch as i64 [count], drawn anew for each. loss: of the items of a batch.
    validate: what is to be as large as can be; called in eval mode. Returns `val_mrr` and `seconds`.
    """
    decayed = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=plan.lr,
        betas=(0.9, 0.98),
    )
    batch = min(plan.batch, count)
    per_epoch = max(1, count // batch)
    steps = max(1, round(plan.epochs * per_epoch))
    every = max(1, round(plan.validate_every * per_epoch))
    schedule = Schedule(steps=steps, warmup=max(1, round(steps * plan.warm_up)), floor=0.01)
    best, best_state, losses = -1.0, copy.deepcopy(network.state_dict()), []
    started = time.monotonic()
    items = order()
    network.train()
    for step in range(steps):
        at = step % per_epoch
        if at == 0 and step:
            items = order()
        lost = loss(items[at * batch : (at + 1) * batch])
        for group in optimiser.param_groups:
            group["lr"] = plan.lr * schedule.factor(step)
        optimiser.zero_grad(set_to_none=True)
        lost.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        losses.append(float(lost.detach()))
        if step >= steps // 2 and (steps - 1 - step) % every == 0:
            network.eval()
            found = validate()
            network.train()
            logger.info(
                "%s step %d/%d %.0f s loss %.3f val MRR %.2f",
                label, step + 1, steps, time.monotonic() - started, np.mean(losses[-per_epoch:]), found,
            )  # fmt: skip
            if found > best:
                best, best_state = found, copy.deepcopy(network.state_dict())
    network.load_state_dict(best_state)
    network.eval()
    return {"val_mrr": best, "seconds": time.monotonic() - started}
