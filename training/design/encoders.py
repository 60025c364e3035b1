"""image_align and image_style trained together on one backbone (paper N's v_a and v_s, in their compact
form).

A step reads top to bottom: views of a batch of designs, one forward pass, and the sum of
- symmetric InfoNCE of the image embedding against frozen sentence embeddings, with a bank of other texts as
  further contrasts, those of designs that bind the same colours otherwise among them; a text that the photo
  satisfies is no contrast;
- the same for the style embedding through a linear map that is thrown away afterwards;
- the facts that the photo shows (multi-label, each with its place: main look, accent, finger) and the palette
  (shares of the named colours), read off both embeddings by one linear map each: what a linear map can read
  there, the fusions can use;
- the nail map against the synthetic mask.
The stem and the first blocks stay as ImageNet left them, and batch statistics are never updated: what is
learned from drawings must still hold on photographs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from training.design.data.corpus import Corpus
from training.design.data.photos import read_mask, read_photo
from training.design.data.records import Design
from training.kit.compute import CPU, Compute, set_memory_format
from training.kit.data.augment import ViewConfig, distorted_view
from training.kit.fit import fit, warm_cosine
from training.kit.flags import Suppress
from training.kit.losses import EXCLUDED
from training.kit.networks.encoders import Encoders
from training.kit.networks.image_align import ALIGN_DIM
from training.kit.networks.image_style import STYLE_DIM

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncoderConfig:
    """One training of the encoders."""

    seed: Suppress[int] = 7
    size: int = 160
    """pixels of an augmented crop"""
    large: int = 224
    """pixels in the last part of the training"""
    large_share: float = 0.2
    """share of the steps that use `large`"""
    epochs: float = 10.0
    batch: int = 32
    texts: int = 4
    """texts of a design in a step: cheap, and a crop is not"""
    bank: int = 1024
    """further texts to tell apart"""
    scale: float = 40.0
    """inverse temperature at the start: sentences on one subject lie close together"""
    crop_share: float = 0.6
    """share of views that show the crop in place of the photo"""
    frozen_blocks: int = 3
    """blocks of the backbone that stay as they are, after the stem"""
    lr_backbone: float = 1e-4
    """rate of the backbone; at 4e-4 its blocks after stride 16 run into their clamps and stay there: their
    output no longer depends on the photo (docs/benchmark.md)"""
    lr_head: float = 1.5e-3
    """rate of the heads"""
    weight_decay: float = 0.02
    warm_up: float = 0.05
    """share of the steps in which the rate rises"""
    weight_style: float = 0.5
    """weight of the style embedding's contrast"""
    weight_facts: float = 0.15
    """weight of the sum over all facts"""
    weight_palette: float = 0.5
    """weight of the shares of the named colours"""
    weight_nails: float = 1.0
    """weight of the nail map"""
    bfloat16: bool = True
    """mixed precision, for the backbone alone"""
    loaders: int = 1
    """processes that make crops, 0 or 1"""
    processes: int = 1
    """processes that share every batch and add up their gradients"""


def freeze(model: Encoders, blocks: int) -> None:
    """Stops gradients into the stem and the first `blocks` blocks."""
    for module in (model.backbone._conv_stem, *model.backbone._blocks[:blocks]):
        for parameter in module.parameters():
            parameter.requires_grad_(False)


def text_contrast(embedding: Tensor, texts: Tensor, ignored: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE of images against their texts and a bank.

    embedding f32 [B,512]; texts f32 [B+K,512], the first B matching; ignored bool [B,B+K]. Rows over
    all texts, columns over the batch.
    """
    size = embedding.shape[0]
    logits = scale * embedding @ texts.T  # [B,B+K]
    own = torch.arange(size, device=embedding.device)
    ignored = ignored.clone()
    ignored[own, own] = False
    logits = logits.masked_fill(ignored, EXCLUDED)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits[:, :size].T, own)) / 2


class Views(NamedTuple):
    """A batch: rows i64 [B] of the corpus, views f32 [B,3,S,S], nail shares f32 [B,1,S/8,S/8]."""

    rows: Tensor
    images: Tensor
    shares: Tensor


class EncoderViews(Dataset[Views]):
    """Batches of distorted views, each a pure function of (seed, step)."""

    def __init__(
        self, designs: Sequence[Design], config: EncoderConfig, views: ViewConfig, rank: int = 0
    ) -> None:
        """`rank`: of the process that these are for; each of `processes` gets its share of a batch."""
        self.designs, self.config, self.views, self.rank = designs, config, views, rank
        count = len(designs)
        self.steps = max(1, round(config.epochs * count / config.batch))
        rng = np.random.default_rng(config.seed)
        rounds = math.ceil(self.steps * config.batch / count)
        self.order = np.concatenate([rng.permutation(count) for _ in range(rounds)])

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Views:
        config = self.config
        rng = np.random.default_rng([config.seed, step, self.rank])
        rows = self.order[step * config.batch : (step + 1) * config.batch][self.rank :: config.processes]
        size = config.large if step >= self.steps * (1 - config.large_share) else config.size
        designs = [self.designs[row] for row in rows]
        images, shares = batch_views(designs, size, config.crop_share, rng, self.views)
        return Views(torch.from_numpy(rows), images, shares)


def batch_views(
    designs: Sequence[Design], size: int, crop_share: float, rng: np.random.Generator, config: ViewConfig
) -> tuple[Tensor, Tensor]:
    """Distorted views f32 [B,3,S,S] and nail shares f32 [B,1,S/8,S/8] ; patches come from neighbours."""
    photos = [read_photo(design) for design in designs]
    views, shares = [], []
    for index, design in enumerate(designs):
        mask = read_mask(design, photos[index].shape[:2])
        box = design.crop if rng.random() < crop_share else None
        clutter = photos[(index + 1) % len(photos)]
        view, share = distorted_view(photos[index], mask, box, size, rng, config, clutter)
        views.append(view)
        shares.append(share)
    return torch.from_numpy(np.stack(views)), torch.from_numpy(np.stack(shares))[:, None]


def step_loss(
    model: Encoders,
    corpus: Corpus,
    batch: Views,
    rng: np.random.Generator,
    config: EncoderConfig,
    compute: Compute = CPU,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of one batch and its terms, on the device of `compute`."""
    rows = batch.rows.numpy()
    batch = compute.batch(batch)
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with compute.autocast(enabled=config.bfloat16):
        levels = model.backbone.levels(images)
    levels = {stride: level.float() for stride, level in levels.items()}
    align_description, align_nails = model.align.describe(images, levels)
    style_description, style_nails = model.style.describe(images, levels)
    _, align = model.align(align_description)
    _, style = model.style(style_description)

    style_text = functional.normalize(model.style_to_text(style), dim=1)
    zero = align.new_zeros(())
    terms = {"align": zero, "style": zero}
    for _ in range(config.texts):
        own = rng.integers(corpus.first[rows], corpus.first[rows + 1])
        bank = rng.integers(0, len(corpus.texts), config.bank)
        chosen = np.concatenate([own, corpus.sibling_texts(rows, rng), bank])
        texts = compute.batch(torch.from_numpy(corpus.texts[chosen]))
        ignored = compute.batch(torch.from_numpy(corpus.ignored(rows, chosen)))
        align_lost = text_contrast(align, texts, ignored, model.temperature())
        style_lost = text_contrast(style_text, texts, ignored, model.style_temperature())
        terms["align"] = terms["align"] + align_lost / config.texts
        terms["style"] = terms["style"] + config.weight_style * style_lost / config.texts
    shown = compute.batch(torch.from_numpy(corpus.shown[rows]))
    palette = compute.batch(torch.from_numpy(corpus.palette[rows]))
    align_wide, style_wide = align * ALIGN_DIM**0.5, style * STYLE_DIM**0.5  # entries of about 1
    facts = zero
    for logits in (model.align_facts(align_wide), model.style_facts(style_wide)):
        each = functional.binary_cross_entropy_with_logits(logits, shown, reduction="none")
        facts = facts + each.sum(dim=1).mean()
    terms["facts"] = config.weight_facts * facts
    shares_lost = zero
    for logits in (model.align_palette(align_wide), model.style_palette(style_wide)):
        shares_lost = shares_lost - (palette * logits.log_softmax(dim=1)).sum(dim=1).mean()
    terms["palette"] = config.weight_palette * shares_lost
    nails = zero
    for logits in (align_nails, style_nails):
        nails = nails + functional.binary_cross_entropy_with_logits(logits, batch.shares)
    terms["nails"] = config.weight_nails * nails
    loss = torch.stack(list(terms.values())).sum()
    return loss, {name: value.detach() for name, value in terms.items()}


def train_encoders(
    model: Encoders,
    corpus: Corpus,
    config: EncoderConfig,
    views: ViewConfig,
    rank: int = 0,
    compute: Compute = CPU,
) -> Encoders:
    """Trains `model` in place on `corpus` and returns it in eval mode, on the CPU.

    With several `processes`, each calls this with its `rank` in a process group of torch.distributed and the
    same `model`; all end with the same weights, but each with running statistics of its own.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, rank])
    freeze(model, config.frozen_blocks)
    for temperature in (model.temperature, model.style_temperature):
        nn.init.constant_(temperature.log_scale, math.log(config.scale))
    set_memory_format(compute.network(model).train(), torch.channels_last)
    backbone = [p for p in model.backbone.parameters() if p.requires_grad]
    chosen = {id(p) for p in backbone}
    heads = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    groups = [
        {"params": backbone, "lr": config.lr_backbone},
        {"params": heads, "lr": config.lr_head},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay, betas=(0.9, 0.98))
    batches = EncoderViews(corpus.designs, config, views, rank)
    steps = len(batches)
    started = time.monotonic()
    workers = min(1, config.loaders)
    loader = DataLoader(
        batches,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
        multiprocessing_context="spawn" if workers else None,  # a fork would inherit locks of other threads
    )
    terms: dict[str, Tensor] = {}

    def loss(batch: Views) -> Tensor:
        value, parts = step_loss(model, corpus, batch, rng, config, compute)
        terms.update(parts)
        return value

    def log(**facts: float | int | str) -> None:
        shown = " ".join(f"{name} {float(value):.3f}" for name, value in terms.items())
        logger.info("step %d/%d %.0f s %s", facts["step"], steps, time.monotonic() - started, shown)

    fit(
        model,
        optimizer,
        loader,
        loss,
        steps=steps,
        factor=warm_cosine(steps, config.warm_up),
        reduce=partial(add_gradients, processes=config.processes) if config.processes > 1 else None,
        log=log if rank == 0 else None,
        log_every=20,
        label="encoders",
    )
    return model.eval().cpu()


def add_gradients(model: nn.Module, processes: int) -> None:
    """Every process gets the mean of all gradients."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients]) / processes
    torch.distributed.all_reduce(flat)
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def liveliness(model: Encoders, images: Tensor) -> dict[int, float]:
    """How much a level's mean features differ between images, against their spread within one, by stride.

    Near 0 where a level has died: it then says the same of every photo.
    """
    with torch.inference_mode():
        levels = model.backbone.levels(images)
    return {
        stride: float(level.mean(dim=(2, 3)).std(dim=0).mean() / (level.std(dim=(2, 3)).mean() + 1e-6))
        for stride, level in levels.items()
    }


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
