"""Trains the artist head on cached descriptions of photos (step features); the backbone stands still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training.artist.image.network import ArtistHead
from training.kit.run import Schedule


@dataclass(frozen=True)
class ArtistConfig:
    """One training of the head."""

    seed: int = 7
    epochs: int = 40
    batch: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.1
    smoothing: float = 0.05
    hidden: int = 512


def train_head(
    descriptions: NDArray[np.float16], labels: NDArray[np.int64], artists: int, config: ArtistConfig
) -> ArtistHead:
    """A head trained on descriptions f16 [N,V,D] with labels i64 [N]; eval mode."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    head = ArtistHead(artists, descriptions.shape[2], config.hidden).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    count, views = descriptions.shape[:2]
    batch = min(config.batch, count)
    steps = config.epochs * max(1, count // batch)
    schedule = Schedule(steps=steps, warmup=max(1, round(steps * 0.05)), floor=0.01)
    for step in range(steps):
        rows = rng.choice(count, batch, replace=False)
        inputs = torch.from_numpy(descriptions[rows, rng.integers(0, views, batch)].astype(np.float32))
        logits, _ = head(inputs)
        loss = functional.cross_entropy(
            logits, torch.from_numpy(labels[rows]), label_smoothing=config.smoothing
        )
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule.factor(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimiser.step()
    return head.eval()
