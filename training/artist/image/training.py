"""Trains the artist head on cached descriptions of photos (step features); the backbone stands still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.artist.image.network import ArtistHead
from training.kit.compute import CPU, Compute
from training.kit.fit import fit, warm_cosine


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
    descriptions: NDArray[np.float16],
    labels: NDArray[np.int64],
    artists: int,
    config: ArtistConfig,
    compute: Compute = CPU,
) -> ArtistHead:
    """A head trained on descriptions f16 [N,V,D] with labels i64 [N]; eval mode, on the CPU."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    head = compute.network(ArtistHead(artists, descriptions.shape[2], config.hidden))
    optimizer = torch.optim.AdamW(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    count, views = descriptions.shape[:2]
    batch = min(config.batch, count)
    steps = config.epochs * max(1, count // batch)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(steps):
            rows = rng.choice(count, batch, replace=False)
            inputs = descriptions[rows, rng.integers(0, views, batch)].astype(np.float32)
            yield torch.from_numpy(inputs), torch.from_numpy(labels[rows])

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, wanted = compute.batch(batch)
        logits, _ = head(inputs)
        return functional.cross_entropy(logits, wanted, label_smoothing=config.smoothing)

    fit(head, optimizer, batches(), loss, steps=steps, factor=warm_cosine(steps, 0.05), label="head")
    return head.eval().cpu()
