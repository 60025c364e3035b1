"""One training of one variant on cached features, and what the trained network says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evaluation.aesthetic.metrics import pearson, spearman
from nails.aesthetic.tokens import Grid
from training.aesthetic.groups import SIZE, batches, find_slots
from training.aesthetic.losses import order_pairs, ranking_loss, squared_emd
from training.aesthetic.material import NONE, Material, Rows
from training.aesthetic.networks import Literal, Regression, TagAesthetic
from training.kit.compute import CPU, Compute
from training.kit.fit import Averaged, Schedule, adamw
from training.kit.fit import fit as fit_network

Network = TagAesthetic | Literal | Regression
BLOCK = 512  # photos at a time


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    ranking, squared, bins: whether these losses are in it. reads_tags: False for the null token alone.
    scaled: its scores have no scale of their own; validation photos give them one (two numbers).
    """

    what: str
    ranking: bool = True
    squared: bool = True
    bins: bool = True
    reads_tags: bool = True
    scaled: bool = False


VARIANTS: Final[dict[str, Variant]] = {
    "regression": Variant(
        "MLP on the pooled features of ImageNet's EfficientNet-Lite0, frozen; squared error, no text",
        ranking=False,
        bins=False,
        reads_tags=False,
    ),
    "notext": Variant("as ours, but the null token always asks", reads_tags=False),
    "literal": Variant("one text vector asks one image vector: the answer ignores the question"),
    "ranking": Variant("as ours, ranking alone", squared=False, bins=False, scaled=True),
    "mse": Variant("as ours, squared error alone", ranking=False, bins=False),
    "ours": Variant("tags ask the photo's tokens; ranking, squared error, distance of the votes"),
}


@dataclass(frozen=True)
class Config:
    """Of a training. weight: of the squared error beside the ranking. emd: of the distance of the votes.
    grid: the tokens' grid. attentive: how several tags are averaged. other: how often the words of a tag are
    those of another language, where it has any."""

    seed: int = 1
    epochs: int = 5
    groups: int = 16
    rate: float = 5e-4
    decay: float = 0.05
    weight: float = 1.0
    emd: float = 5.0
    grid: Grid = 4
    attentive: bool = False
    other: float = 0.3
    width: int = 128
    hidden: int = 192
    drop: float = 0.5


@dataclass(frozen=True)
class Inputs:
    """Tensors of all photos: what is cut into batches. image: tokens f16 [N,T,D], or what stands for them."""

    image: Tensor
    align: Tensor
    words: Tensor  # [L,A,512]
    tags: Tensor  # i64 [N,2]
    mos: Tensor
    votes: Tensor  # shares [N,10]
    errors: Tensor
    likeness: Tensor  # [N,2]

    @staticmethod
    def of(material: Material, variant: str, tokens: NDArray[np.float16]) -> Inputs:
        """For a variant; tokens f16 [N,T,D] at the grid that it is trained on."""
        shares = material.votes / material.votes.sum(axis=1, keepdims=True)
        return Inputs(
            torch.from_numpy(material.pooled[:, None] if variant == "regression" else tokens),
            torch.from_numpy(material.align),
            torch.from_numpy(material.words),
            torch.from_numpy(material.tags),
            torch.from_numpy(material.mos),
            torch.from_numpy(shares.astype(np.float32)),
            torch.from_numpy(material.errors.astype(np.float32)),
            torch.from_numpy(material.likeness),
        )

    def embed_tags(self, tags: Tensor, language: int = 0) -> tuple[Tensor, Tensor]:
        """Vectors [n,2,512], zero for none, and mask [n,2] of tags i64 [n,2]."""
        mask = (tags != NONE).float()
        return self.words[language][tags.clamp(min=0)] * mask.unsqueeze(2), mask


@dataclass(frozen=True)
class PhotoScores:
    """score f32 [n]; distribution f32 [n,10], of sum 1."""

    score: NDArray[np.float32]
    distribution: NDArray[np.float32]


def build(variant: str, config: Config) -> Network:
    """An untrained network, fixed by the seed."""
    torch.manual_seed(config.seed)
    if variant == "regression":
        return Regression(hidden=config.hidden, drop=config.drop)
    width, hidden, drop = config.width, config.hidden, config.drop
    if variant == "literal":
        return Literal(width=width, hidden=hidden, drop=drop)
    return TagAesthetic(
        width=width,
        hidden=hidden,
        drop=drop,
        reads_tags=VARIANTS[variant].reads_tags,
        attentive=config.attentive,
    )


def fit(
    variant: str,
    inputs: Inputs,
    rows: Rows,
    config: Config,
    compute: Compute = CPU,
) -> Network:
    """Trains on `rows` and returns the averaged network in eval mode, on the CPU.

    Raises ValueError where no two photos share a tag."""
    network = build(variant, config)
    loss_of = VARIANTS[variant]
    rng = np.random.default_rng([config.seed, 5])
    if not isinstance(network, Literal):
        network.standardise(inputs.image[torch.from_numpy(rng.choice(rows, min(2000, len(rows))))])
    tags = inputs.tags.numpy()
    steps = sum(1 for _ in batches(tags, rows, config.groups, np.random.default_rng(0))) * config.epochs
    schedule = Schedule(steps=steps, warmup=max(1, steps // 20), rate=config.rate, decay=config.decay)
    network = compute.network(network)
    averaged = Averaged(network, decay=0.99)

    def groups() -> Iterator[tuple[Rows, Rows, int]]:
        for _ in range(config.epochs):
            for blocks, names in batches(tags, rows, config.groups, rng):
                switches = _switches(inputs, rng, config)
                yield blocks, names, int(rng.integers(1, len(inputs.words))) if switches else 0

    def loss(batch: tuple[Rows, Rows, int]) -> Tensor:
        blocks, names, language = batch
        return _loss(network, loss_of, inputs, blocks, names, config, language, compute)

    fit_network(
        network,
        adamw(network, nn.Identity(), schedule),
        groups(),
        loss,
        steps=steps,
        factor=schedule.factor,
        averaged=averaged,
        label=variant,
    )
    return _eval(averaged.network.cpu())


def _switches(inputs: Inputs, rng: np.random.Generator, config: Config) -> bool:
    return len(inputs.words) > 1 and float(rng.random()) < config.other


def _eval(network: nn.Module) -> Network:
    network.eval()
    assert isinstance(network, TagAesthetic | Literal | Regression)
    return network


def _loss(
    network: Network,
    variant: Variant,
    inputs: Inputs,
    blocks: Rows,
    names: Rows,
    config: Config,
    language: int,
    compute: Compute,
) -> Tensor:
    """Of groups [g,8] of photos that share tags [g]: the ranking reads what the group's tag answers, the
    other losses what all tags of a photo answer together."""
    chosen = torch.from_numpy(blocks.reshape(-1))
    tags = inputs.tags[chosen] if variant.reads_tags else torch.full((len(chosen), 2), NONE)
    score, logits, weight = network.look(
        *compute.batch((inputs.image[chosen], inputs.align[chosen], *inputs.embed_tags(tags, language)))
    )
    mos = inputs.mos[chosen]
    loss = score.new_zeros(())
    if variant.ranking:
        slots = torch.from_numpy(find_slots(inputs.tags.numpy(), blocks, names).reshape(-1))[:, None]
        own = score.gather(1, compute.batch(slots if variant.reads_tags else torch.zeros_like(slots)))
        likeness = inputs.likeness[chosen].gather(1, slots)  # nan for photos without a tag
        order = order_pairs(
            *(x.reshape(-1, SIZE) for x in compute.batch((mos, inputs.errors[chosen], likeness)))
        )
        loss = loss + ranking_loss(own.reshape(-1, SIZE), order)
    if variant.squared:
        gap = (score * weight).sum(dim=1) - compute.batch(mos)
        loss = loss + (config.weight if variant.ranking else 1.0) * gap.square().mean()
    if variant.bins:
        distribution = (logits.softmax(dim=2) * weight.unsqueeze(2)).sum(dim=1)
        loss = loss + config.emd * squared_emd(distribution, compute.batch(inputs.votes[chosen]))
    return loss


@torch.no_grad()
def answer(
    network: Network, inputs: Inputs, rows: Rows, tags: Rows, image: Tensor | None = None, language: int = 0
) -> PhotoScores:
    """What a network says of photos `rows` [n] asked with `tags` [n,2]. image: tokens of these rows in place
    of their own."""
    scores, distributions = [], []
    for start in range(0, len(rows), BLOCK):
        part = torch.from_numpy(rows[start : start + BLOCK])
        seen = inputs.image[part] if image is None else image[start : start + BLOCK]
        asked = inputs.embed_tags(torch.from_numpy(tags[start : start + BLOCK]), language)
        score, logits, weight = network.look(seen, inputs.align[part], *asked)
        scores.append((score * weight).sum(dim=1))
        distributions.append((logits.softmax(dim=2) * weight.unsqueeze(2)).sum(dim=1))
    return PhotoScores(torch.cat(scores).numpy(), torch.cat(distributions).numpy())


def figures(score: NDArray[np.float32], mos: NDArray[np.float32]) -> dict[str, float]:
    """Correlations and error of scores [n] on photos [n]."""
    return {
        "lcc": float(pearson(score, mos)),
        "srcc": float(spearman(score, mos)),
        "mae": float(np.abs(score - mos).mean()),
    }


def with_seed(config: Config, seed: int, number: int) -> Config:
    """The configuration of run `number` (from 1) of a job's seed."""
    return replace(config, seed=seed * 1000 + number)
