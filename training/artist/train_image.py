"""Trains the artist head on cached descriptions of nail crops.

    python -m training.artist.train_image --data DIR --encoders RUN/encoders.pt --out RUN --seed 7

Leaves RUN/artist.pt and RUN/image.npz (logits of the held-out works), plus RUN/image-apart.npz from a head
that never saw some artists, which calibrates the unknown. Descriptions of distorted views make the head's
training set; they are computed once.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.artist.artist_image import ArtistHead, ArtistImage
from training.artist.works import Split, read_works, split_works
from training.design.encoders import Encoders, Schedule, load_encoders
from training.design.features import SIZE, onnx_runner
from training.design.records import Design, digest
from training.design.views import ViewConfig, distorted_view, plain_view, read_mask, read_photo

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ArtistConfig:
    """One training of the head."""

    seed: int = 7
    views: int = 2  # distorted views beside the plain one
    epochs: int = 40
    batch: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.1
    smoothing: float = 0.05
    hidden: int = 512


class _Descriptions(nn.Module):
    """`ArtistImage.describe` as a network."""

    def __init__(self, model: ArtistImage) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model.describe(images)


def describe_works(
    model: ArtistImage, works: Sequence[Design], config: ArtistConfig, batch: int = 8
) -> NDArray[np.float16]:
    """Descriptions f16 [N,1+views,D] of the crops; view 0 is the serving view."""
    run = onnx_runner(_Descriptions(model), ("description",))
    rng = np.random.default_rng(config.seed)
    rows = []
    started = time.monotonic()
    for start in range(0, len(works), batch):
        images = []
        for work in works[start : start + batch]:
            photo = read_photo(work)
            images.append(plain_view(photo, work.crop, SIZE))
            if config.views:
                mask = read_mask(work, photo.shape[:2])
                for _ in range(config.views):
                    images.append(distorted_view(photo, mask, work.crop, SIZE, rng, ViewConfig())[0])
        found = run(np.stack(images))[0].astype(np.float16)  # [B * views, D]
        rows.append(found.reshape(-1, 1 + config.views, found.shape[1]))
        if start % (batch * 25) == 0:
            logger.info("described %d/%d %.0f s", start, len(works), time.monotonic() - started)
    return np.concatenate(rows)


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
    schedule = Schedule(steps, 0.05)
    for step in range(steps):
        rows = rng.choice(count, batch, replace=False)
        inputs = torch.from_numpy(descriptions[rows, rng.integers(0, views, batch)].astype(np.float32))
        logits, _ = head(inputs)
        loss = functional.cross_entropy(
            logits, torch.from_numpy(labels[rows]), label_smoothing=config.smoothing
        )
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 5.0)
        optimiser.step()
    return head.eval()


@torch.inference_mode()
def part_logits(
    head: ArtistHead, table: dict[str, NDArray[np.float16]], split: Split
) -> dict[str, NDArray[np.float32]]:
    """Logits f32 [N,A] of val, test and strangers on the serving view."""
    found = {}
    for name in ("val", "test", "strangers"):
        works: Sequence[Design] = getattr(split, name)
        if works:
            plain = np.stack([table[work.name][0] for work in works]).astype(np.float32)
            found[name] = head(torch.from_numpy(plain))[0].numpy()
        else:
            found[name] = np.zeros((0, len(split.artists)), np.float32)
    return found


def train(
    table: dict[str, NDArray[np.float16]], split: Split, config: ArtistConfig
) -> tuple[ArtistHead, dict[str, NDArray[np.float32]], dict[str, float]]:
    """Head, logits of the held-out parts, and figures."""
    descriptions = np.stack([table[work.name] for work in split.train])
    head = train_head(descriptions, split.labels(split.train), len(split.artists), config)
    parts = part_logits(head, table, split)
    metrics = {
        f"{name} accuracy": 100
        * float((parts[name].argmax(axis=1) == split.labels(getattr(split, name))).mean())
        for name in ("val", "test")
    }
    return head, parts, metrics


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.artist.train_image", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoders", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--strangers", type=int, default=6)
    parser.add_argument("--views", type=int, default=ArtistConfig.views)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = ArtistConfig(seed=args.seed, views=args.views)
    encoders: Encoders = load_encoders(args.encoders)[0]
    works = read_works(args.data)
    model = ArtistImage(encoders, ArtistHead(2)).eval()
    described = describe_works(model, works, config)
    table = {work.name: row for work, row in zip(works, described, strict=True)}
    _, parts, metrics = train(table, split_works(works, seed=args.seed, strangers=args.strangers), config)
    np.savez(args.out / "image-apart.npz", **parts)
    logger.info("without %d strangers: %s", args.strangers, metrics)
    split = split_works(works, seed=args.seed)
    head, parts, metrics = train(table, split, config)
    np.savez(args.out / "image.npz", **parts)
    logger.info("%s", metrics)
    stored = {
        "state": head.state_dict(),
        "config": dataclasses.asdict(config),
        "artists": list(split.artists),
        "data": {"digest": digest(args.data), "works": len(works)},
        "metrics": metrics,
        "command": f"python -m training.artist.train_image --data {args.data.name} "
        f"--encoders {args.encoders.name} --seed {args.seed} --views {args.views}",
    }
    torch.save(stored, args.out / "artist.pt")


if __name__ == "__main__":
    main()
