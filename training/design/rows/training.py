"""Training and embedding of the rows of paper N's table (see row_models) on cached features.

A step draws a batch of designs with one request each; siblings of a family, which bind the same colours
otherwise, share a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.design.data.corpus import Corpus
from training.design.data.features import Features
from training.design.data.requests import (
    MAX_COLOURS,
    MAX_PHRASES,
    Palettes,
    Questions,
    RequestTable,
    Rows,
    pick_palettes,
)
from training.design.rows.fitting import Plan, fit_row
from training.design.rows.models import Row, RowNetwork
from training.kit.compute import CPU, Compute
from training.kit.data.mined_pairs import Mined
from training.kit.flags import Suppress
from training.kit.losses import confidence_relaxed, double_relaxed, info_nce
from training.kit.ranking import best_ranks

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RowConfig:
    """One training of a row. The shares describe what the world will give: designs without a text, photos
    whose crop is the whole photo, requests without a palette."""

    seed: Suppress[int] = 1
    epochs: float = 8
    batch: int = 256
    lr: float = 2e-3
    """highest learning rate"""
    weight_decay: float = 0.05
    warm_up: float = 0.1
    """share of the steps in which the rate rises"""
    no_text_share: float = 0.25
    """designs without a description"""
    whole_share: float = 0.05
    """designs whose crop is the whole photo"""
    no_crop_share: float = 0.03
    """designs without a crop"""
    no_style_share: float = 0.03
    """designs without a style embedding"""
    palette_share: float = 0.8
    """requests with a palette"""
    words_share: float = 0.25
    """of those: palettes that are the colours of the request's words, as serving reads them"""
    no_phrases_share: float = 0.05
    """requests without noun phrases"""
    phrases: int = 8
    """most phrases of a request in training: few have more, and all pay for the longest"""
    text_noise: float = 0.015
    """standard deviation that is added to each dimension of sentence embeddings"""
    crc_threshold: float = 0.5
    """CRC: confidence from which a pair is an unlabelled positive; chosen on validation requests, as are the
    weights (docs/benchmark.md): with the paper's 0.7 it finds far less here"""
    no_contrast: float = 1.0
    """confidence from which a pair is no contrast to InfoNCE"""
    weight_unlabelled: float = 0.1
    """DRC and CRC: weight of unlabelled positives"""
    weight_negative: float = 0.03
    """DRC and CRC: weight of all other pairs"""
    weight_relaxed: float = 1.0
    """weight of DRC or CRC beside InfoNCE"""
    bfloat16: bool = True
    """mixed precision"""


@dataclass(frozen=True)
class Split:
    """Designs of one split as a row reads them. written f32 [N,512]: embeddings of the describer's texts."""

    features: Features
    written: NDArray[np.float32]


def design_inputs(row: Row, split: Split, rows: Rows, view: Rows | int = 0) -> list[Floats]:
    """style [B,256], align [B,512], crop [B,512], text [B,512] of the designs `rows`; absent ones zero."""
    features = split.features
    views = np.broadcast_to(view, rows.shape)
    style = {"photo": features.style, "crop": features.crop_style}.get(row.style)
    absent = np.zeros((len(rows), 512), np.float32)
    return [
        absent[:, :256] if style is None else style[rows, views].astype(np.float32),
        features.align[rows, views].astype(np.float32) if row.align else absent,
        features.crop_align[rows, views].astype(np.float32) if row.crop or row.style == "crop" else absent,
        split.written[rows] if row.written else absent,
    ]


def query_inputs(
    row: Row, table: RequestTable, rows: Rows, palettes: Palettes | None, most: int = MAX_PHRASES
) -> list[Tensor]:
    """text, mdd, nnp, nnp_mask, palette, palette_mask of the requests `rows`; palettes in their order."""
    text, mdd, nnp, nnp_mask = table.tensors(rows, most)
    if not row.intent:
        mdd, nnp, nnp_mask = torch.zeros_like(mdd), torch.zeros_like(nnp), torch.zeros_like(nnp_mask)
    colours, mask = np.zeros((len(rows), 1, 3), np.float32), np.zeros((len(rows), 1), np.float32)
    if palettes is not None and row.palette:
        colours, mask = palettes
    return [text, mdd, nnp, nnp_mask, torch.from_numpy(colours), torch.from_numpy(mask)]


class Sampler:
    """Batches of designs and requests. `corpus`, `split` and `table` are in the same order."""

    def __init__(
        self, row: Row, corpus: Corpus, split: Split, table: RequestTable, config: RowConfig
    ) -> None:
        self.row, self.corpus, self.split, self.table, self.config = row, corpus, split, table, config

    def order(self, rng: np.random.Generator) -> Rows:
        """Every design once, at random, siblings beside each other."""
        chance = rng.random(len(self.corpus.designs))
        place = [
            (chance[min([index, *others.tolist()])], index)
            for index, others in enumerate(self.corpus.siblings)
        ]
        return np.array([index for _, index in sorted(place)], np.int64)

    def designs(self, rows: Rows, rng: np.random.Generator) -> list[Tensor]:
        """Inputs of the design side for training."""
        config, size = self.config, len(rows)
        view = rng.integers(0, self.split.features.align.shape[1], size)
        style, align, crop, text = design_inputs(self.row, self.split, rows, view)
        if self.row.crop and self.row.align:
            crop = np.where((rng.random(size) < config.whole_share)[:, None], align, crop)
            crop = crop * (rng.random(size) >= config.no_crop_share)[:, None]
        style = style * (rng.random(size) >= config.no_style_share)[:, None]
        text = text * (rng.random(size) >= config.no_text_share)[:, None]
        return [torch.from_numpy(np.asarray(x, np.float32)) for x in (style, align, crop, text)]

    def queries(self, rows: Rows, texts: Rows, rng: np.random.Generator) -> list[Tensor]:
        """Inputs of the query side for training: `texts` of the designs `rows`."""
        config, size = self.config, len(rows)
        colours, mask = (
            np.zeros((size, MAX_COLOURS, 3), np.float32),
            np.zeros((size, MAX_COLOURS), np.float32),
        )
        if self.row.palette:
            colours[:, :3], mask[:, :3] = pick_palettes([self.corpus.designs[row] for row in rows], rng)
            words = self.table.colour_mask[texts].any(axis=1) & (rng.random(size) < config.words_share)
            colours = np.where(words[:, None, None], self.table.colours[texts], colours)
            mask = np.where(words[:, None], self.table.colour_mask[texts], mask)
            mask = mask * (rng.random(size) < config.palette_share)[:, None].astype(np.float32)
            used = max(1, int(np.flatnonzero(mask.any(axis=0)).max(initial=0)) + 1)
            colours, mask = colours[:, :used], mask[:, :used].astype(np.float32)
        text, mdd, nnp, nnp_mask, colour, colour_mask = query_inputs(
            self.row, self.table, texts, (colours, mask), config.phrases
        )
        noise = torch.from_numpy(rng.normal(0, config.text_noise, (size, 512)).astype(np.float32))
        keep = torch.from_numpy((rng.random(size) >= config.no_phrases_share).astype(np.float32))
        return [text + noise, mdd * keep[:, None], nnp, nnp_mask * keep[:, None], colour, colour_mask]


def batch_loss(
    row: Row, network: RowNetwork, cosines: Tensor, corpus: Corpus, rows: Rows, texts: Rows,
    mined: Mined | None, config: RowConfig,
) -> Tensor:  # fmt: skip
    """The row's loss on text x image cosines f32 [B,B], a mean over the batch.

    DRC and CRC stand beside an InfoNCE, unless the row wants them alone, as they were published. Its
    contrasts leave out what DRC takes for a match, and what the judge finds to fulfil a whole request: a
    photo that fulfils a part of it, a sibling that binds its colours otherwise, stays one.
    """
    if row.loss == "info_nce":
        return info_nce(network.temperature() * cosines)
    if row.loss.startswith("drc"):
        assert mined is not None
        ignored = torch.from_numpy(mined.mask(texts, rows)).to(cosines.device)
        relaxed = double_relaxed(cosines, ignored, gamma=config.weight_unlabelled, lam=config.weight_negative)
    else:
        judged = torch.from_numpy(corpus.claims.confidence(texts, rows)).to(cosines.device)
        ignored = judged >= config.no_contrast
        relaxed = confidence_relaxed(
            cosines,
            judged,
            threshold=config.crc_threshold,
            weight_unlabelled=config.weight_unlabelled,
            weight_negative=config.weight_negative,
        )
    relaxed = relaxed / len(rows)
    if row.loss.endswith("_alone"):
        return relaxed
    return config.weight_relaxed * relaxed + info_nce(network.temperature() * cosines, ignored)


def train_row(
    row: Row, corpus: Corpus, split: Split, table: RequestTable, config: RowConfig,
    mined: Mined | None, validate: Callable[[RowNetwork], float], compute: Compute = CPU,
) -> tuple[RowNetwork, dict[str, float]]:  # fmt: skip
    """Trains a row from scratch; returns the best checkpoint in eval mode, on the CPU, and its figures."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = compute.network(RowNetwork(row))
    sampler = Sampler(row, corpus, split, table, config)

    def loss(rows: Rows) -> Tensor:
        texts = rng.integers(corpus.first[rows], corpus.first[rows + 1])
        with compute.autocast(enabled=config.bfloat16):
            queries = network.query(*compute.batch(sampler.queries(rows, texts, rng)))
            designs = network.design(*compute.batch(sampler.designs(rows, rng)))
        cosines = queries.float() @ designs.float().T  # [B,B] text x image
        return batch_loss(row, network, cosines, corpus, rows, texts, mined, config)

    metrics = fit_row(
        network,
        Plan(config.epochs, config.batch, config.lr, config.weight_decay, config.warm_up),
        len(corpus.designs),
        order=lambda: sampler.order(rng),
        loss=loss,
        validate=lambda: validate(network),
        label=f"{row.name} seed {config.seed}",
    )
    return network, metrics


@torch.inference_mode()
def embed_split(
    row: Row, network: RowNetwork, split: Split, block: int = 1024, compute: Compute = CPU
) -> Floats:
    """f32 [N,256] unit of all designs of a split, in their serving view."""
    count = len(split.features.align)
    blocks = [np.arange(start, min(start + block, count)) for start in range(0, count, block)]
    found = [
        network.design(*compute.batch([torch.from_numpy(x) for x in design_inputs(row, split, rows)]))
        for rows in blocks
    ]
    return torch.cat(found).cpu().numpy()


@torch.inference_mode()
def embed_questions(
    row: Row,
    network: RowNetwork,
    table: RequestTable,
    palettes: Palettes | None,
    block: int = 256,
    compute: Compute = CPU,
) -> Floats:
    """f32 [Q,256] unit of all requests of a table."""
    found = []
    for start in range(0, len(table.text), block):
        rows = np.arange(start, min(start + block, len(table.text)))
        picked = None if palettes is None else (palettes[0][rows], palettes[1][rows])
        found.append(network.query(*compute.batch(query_inputs(row, table, rows, picked))))
    return torch.cat(found).cpu().numpy()


def target_matrix(questions: Questions, names: NDArray[np.str_]) -> NDArray[np.bool_]:
    """bool [Q,N]: which designs answer which request."""
    place = {str(name): index for index, name in enumerate(names)}
    targets = np.zeros((len(questions.ids), len(names)), bool)
    for row, wanted in enumerate(questions.targets):
        targets[row, [place[name] for name in wanted]] = True
    return targets


def mrr(queries: Floats, designs: Floats, targets: NDArray[np.bool_]) -> float:
    """Mean reciprocal rank in percent."""
    return 100 * float((1 / best_ranks(queries @ designs.T, targets)).mean())
