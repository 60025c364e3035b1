"""image_align and image_style trained together on one backbone (paper N's v_a and v_s, in their compact
form).

A step reads top to bottom: views of a batch of designs, one forward pass, and the sum of
- symmetric InfoNCE of the image embedding against frozen sentence embeddings, with a bank of other texts as
  further contrasts; a text that the photo satisfies by its attributes is no contrast;
- the same for the style embedding through a linear map that is thrown away afterwards;
- attributes (multi-label) and palette (shares of the named colours) from both hidden layers;
- the nail map against the drawn mask.
The stem and the first blocks stay as ImageNet left them, and batch statistics are never updated: what is
learned from drawings must still hold on photographs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nails.vocabulary import COLOURS
from training.backbone import EfficientNetLite0, imagenet_backbone
from training.design.corpus import Corpus
from training.design.folded import fold_backbone
from training.design.image_align import ALIGN_DIM, AlignHead
from training.design.image_style import STYLE_DIM, StyleHead
from training.design.records import SLOTS, Design
from training.design.views import ViewConfig, distorted_view, read_mask, read_photo
from training.losses import EXCLUDED, Temperature

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EncoderConfig:
    """One training of the encoders."""

    seed: int = 7
    size: int = 160  # pixels of a view; the last `large_share` of the steps uses `large`
    large: int = 224
    large_share: float = 0.15
    epochs: float = 4.0
    batch: int = 32
    texts: int = 4  # of a design in a step: cheap, and a view is not
    bank: int = 1024  # further texts to tell apart
    scale: float = 40.0  # inverse temperature at the start: sentences on one subject lie close together
    crop_share: float = 0.6  # of views that show the crop
    frozen_blocks: int = 3  # of the backbone, after the stem
    lr_backbone: float = 4e-4
    lr_head: float = 1.5e-3
    weight_decay: float = 0.02
    warm_up: float = 0.05
    weight_style: float = 0.5
    weight_attributes: float = 4.0
    weight_palette: float = 0.5
    weight_nails: float = 1.0


class Encoders(nn.Module):
    """The backbone, both heads, and what only training needs. Takes the backbone over and folds it."""

    def __init__(self, backbone: EfficientNetLite0) -> None:
        super().__init__()
        self.backbone = fold_backbone(backbone)
        self.align = AlignHead()
        self.style = StyleHead()
        self.style_to_text = nn.Linear(STYLE_DIM, ALIGN_DIM)
        self.align_attributes = nn.Linear(self.align.hidden.out_features, len(SLOTS))
        self.style_attributes = nn.Linear(self.style.hidden.out_features, len(SLOTS))
        self.align_palette = nn.Linear(self.align.hidden.out_features, len(COLOURS))
        self.style_palette = nn.Linear(STYLE_DIM, len(COLOURS))
        self.temperature = Temperature(ceiling=100)
        self.style_temperature = Temperature(ceiling=100)

    def embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images f32 [N,3,S,S] -> align f32 [N,512], style f32 [N,256], both unit."""
        levels = self.backbone.levels(images)
        _, align = self.align(self.align.describe(images, levels)[0])
        _, style = self.style(self.style.describe(images, levels)[0])
        return align, style


def pretrained_encoders() -> Encoders:
    """Heads at random, backbone from ImageNet."""
    return Encoders(imagenet_backbone())


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
    own = torch.arange(size)
    ignored = ignored.clone()
    ignored[own, own] = False
    logits = logits.masked_fill(ignored, EXCLUDED)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits[:, :size].T, own)) / 2


class Schedule:
    """Linear warm-up, then a half cosine to a hundredth."""

    def __init__(self, steps: int, warm_up: float) -> None:
        self.steps = steps
        self.rise = max(1, round(steps * warm_up))

    def __call__(self, step: int) -> float:
        if step < self.rise:
            return (step + 1) / self.rise
        progress = (step - self.rise) / max(1, self.steps - self.rise)
        return 0.01 + 0.99 * (1 + math.cos(math.pi * min(progress, 1.0))) / 2


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
    images = torch.from_numpy(np.stack(views)).contiguous(memory_format=torch.channels_last)
    return images, torch.from_numpy(np.stack(shares))[:, None]


def step_loss(
    model: Encoders,
    corpus: Corpus,
    rows: NDArray[np.int64],
    images: Tensor,
    shares: Tensor,
    rng: np.random.Generator,
    config: EncoderConfig,
) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch of designs `rows` i64 [B] and its terms."""
    levels = model.backbone.levels(images)
    align_description, align_nails = model.align.describe(images, levels)
    style_description, style_nails = model.style.describe(images, levels)
    align_hidden, align = model.align(align_description)
    style_hidden, style = model.style(style_description)

    said = functional.normalize(model.style_to_text(style), dim=1)
    terms = {"align": torch.zeros(()), "style": torch.zeros(())}
    for _ in range(config.texts):
        own = rng.integers(corpus.first[rows], corpus.first[rows + 1])
        chosen = np.concatenate([own, rng.integers(0, len(corpus.texts), config.bank)])
        texts = torch.from_numpy(corpus.texts[chosen])
        ignored = torch.from_numpy(corpus.ignored(rows, chosen))
        align_lost = text_contrast(align, texts, ignored, model.temperature())
        style_lost = text_contrast(said, texts, ignored, model.style_temperature())
        terms["align"] = terms["align"] + align_lost / config.texts
        terms["style"] = terms["style"] + config.weight_style * style_lost / config.texts
    hot, known = torch.from_numpy(corpus.hot[rows]), torch.from_numpy(corpus.known[rows])
    palette = torch.from_numpy(corpus.palette[rows])
    attributes = torch.zeros(())
    for logits in (model.align_attributes(align_hidden), model.style_attributes(style_hidden)):
        each = functional.binary_cross_entropy_with_logits(logits, hot, reduction="none")
        attributes = attributes + (each * known).sum() / known.sum()
    terms["attributes"] = config.weight_attributes * attributes
    shares_lost = torch.zeros(())
    for logits in (model.align_palette(align_hidden), model.style_palette(style * STYLE_DIM**0.5)):
        shares_lost = shares_lost - (palette * logits.log_softmax(dim=1)).sum(dim=1).mean()
    terms["palette"] = config.weight_palette * shares_lost
    nails = torch.zeros(())
    for logits in (align_nails, style_nails):
        nails = nails + functional.binary_cross_entropy_with_logits(logits, shares)
    terms["nails"] = config.weight_nails * nails
    loss = torch.stack(list(terms.values())).sum()
    return loss, {name: float(value.detach()) for name, value in terms.items()}


def train_encoders(model: Encoders, corpus: Corpus, config: EncoderConfig, views: ViewConfig) -> Encoders:
    """Trains `model` in place on `corpus` and returns it in eval mode."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    freeze(model, config.frozen_blocks)
    for temperature in (model.temperature, model.style_temperature):
        nn.init.constant_(temperature.log_scale, math.log(config.scale))
    model.train().to(memory_format=torch.channels_last)
    backbone = [p for p in model.backbone.parameters() if p.requires_grad]
    chosen = {id(p) for p in backbone}
    heads = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    groups = [
        {"params": backbone, "lr": config.lr_backbone, "base": config.lr_backbone},
        {"params": heads, "lr": config.lr_head, "base": config.lr_head},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay, betas=(0.9, 0.98))
    count = len(corpus.designs)
    steps = max(1, round(config.epochs * count / config.batch))
    schedule = Schedule(steps, config.warm_up)
    order = np.concatenate([rng.permutation(count) for _ in range(math.ceil(steps * config.batch / count))])
    started = time.monotonic()
    for step in range(steps):
        rows = order[step * config.batch : (step + 1) * config.batch]
        size = config.large if step >= steps * (1 - config.large_share) else config.size
        designs = [corpus.designs[row] for row in rows]
        images, shares = batch_views(designs, size, config.crop_share, rng, views)
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * schedule(step)
        loss, terms = step_loss(model, corpus, rows, images, shares, rng, config)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        if step % 20 == 0 or step == steps - 1:
            shown = " ".join(f"{name} {value:.3f}" for name, value in terms.items())
            logger.info("step %d/%d %.0f s %s", step + 1, steps, time.monotonic() - started, shown)
    return model.eval()
