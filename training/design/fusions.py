"""design_fuse and query_fuse trained together on cached embeddings.

A design is shown as the world will show it: mostly without a text, at times with the whole photo in place
of the crop, in a distorted view. A request is shown as the product will ask: in Japanese or English, with
the phrases that the lexicon finds in it, sometimes with palette colours read from its words or from the
design, sometimes without. InfoNCE first; CRC as an option.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nails.phrases import parse
from training.design.corpus import Corpus
from training.design.design_fuse import DesignFuse, DesignFuseConfig
from training.design.encoders import Schedule
from training.design.features import Features
from training.design.judge import confidence
from training.design.query_fuse import MAX_COLOURS, MAX_PHRASES, QueryFuse, QueryFuseConfig
from training.design.records import Design
from training.design.sentences import Sentences
from training.losses import Temperature, confidence_relaxed, info_nce

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FusionConfig:
    """One training of the fusions."""

    seed: int = 7
    epochs: float = 30
    batch: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.05
    text_share: float = 0.15  # of designs that come with a description
    whole_share: float = 0.15  # of designs whose crop is the whole photo
    no_crop_share: float = 0.05
    no_style_share: float = 0.1
    style_crop_share: float = 0.3  # of designs whose style is read from the crop
    palette_share: float = 0.8  # of requests with colours
    words_share: float = 0.75  # of those whose colours are read from the words, as serving does
    lexicon_share: float = 0.7  # of requests whose phrases are the lexicon's rather than the writer's
    no_phrases_share: float = 0.1
    text_noise: float = 0.02  # standard deviation per dimension of sentence embeddings
    weight_crc: float = 0.0
    crc_threshold: float = 0.8


@dataclass(frozen=True)
class RequestTable:
    """What query_fuse reads of each text, as rows into a table of sentence embeddings (row 0 is absent)."""

    vectors: NDArray[np.float32]  # [R,512]
    text: NDArray[np.int64]  # [T]
    mdd: NDArray[np.int64]  # [T,2]: the writer's, the lexicon's
    nnp: NDArray[np.int64]  # [T,2,16]
    colours: NDArray[np.float32]  # [T,12,3] CIELAB of the colour words
    colour_mask: NDArray[np.float32]  # [T,12]


def tabulate(texts: Sequence[tuple[str, Sequence[str], Sequence[str]]], sentences: Sentences) -> RequestTable:
    """Rows for (text, writer's mdd, writer's nnp); encodes what is not encoded yet."""
    readings = [parse(text) for text, _, _ in texts]
    wanted: list[str] = []
    for (text, mdd, nnp), reading in zip(texts, readings, strict=True):
        wanted += [
            text,
            ". ".join(mdd),
            ". ".join(reading.mdd),
            *nnp[:MAX_PHRASES],
            *reading.nnp[:MAX_PHRASES],
        ]
    sentences.add(wanted)
    vectors = np.concatenate([np.zeros((1, sentences.table.shape[1]), np.float32), sentences.table])

    def row(text: str) -> int:
        return sentences.rows[text] + 1 if text else 0

    count = len(texts)
    mdd_rows, nnp_rows = np.zeros((count, 2), np.int64), np.zeros((count, 2, MAX_PHRASES), np.int64)
    colours, mask = np.zeros((count, MAX_COLOURS, 3), np.float32), np.zeros((count, MAX_COLOURS), np.float32)
    for i, ((_, mdd, nnp), reading) in enumerate(zip(texts, readings, strict=True)):
        for source, (levels, phrases) in enumerate(((mdd, nnp), (reading.mdd, reading.nnp))):
            mdd_rows[i, source] = row(". ".join(levels))
            for place, phrase in enumerate(phrases[:MAX_PHRASES]):
                nnp_rows[i, source, place] = row(phrase)
        for place, colour in enumerate(reading.colours[:MAX_COLOURS]):
            colours[i, place], mask[i, place] = colour.lab, 1
    return RequestTable(
        vectors=vectors,
        text=np.array([row(text) for text, _, _ in texts], np.int64),
        mdd=mdd_rows,
        nnp=nnp_rows,
        colours=colours,
        colour_mask=mask,
    )


def palettes(designs: Sequence[Design]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """CIELAB f32 [N,12,3] and mask f32 [N,12] of the designs' own palettes."""
    colours = np.zeros((len(designs), MAX_COLOURS, 3), np.float32)
    mask = np.zeros((len(designs), MAX_COLOURS), np.float32)
    for row, design in enumerate(designs):
        for place, (lab, _) in enumerate(design.palette[:MAX_COLOURS]):
            colours[row, place], mask[row, place] = lab, 1
    return colours, mask


class Fusions(nn.Module):
    """Both fusions and the temperature they share."""

    def __init__(self) -> None:
        super().__init__()
        self.design = DesignFuse(DesignFuseConfig())
        self.query = QueryFuse(QueryFuseConfig())
        self.temperature = Temperature()


def request_tensors(
    table: RequestTable, rows: NDArray[np.int64], source: NDArray[np.int64] | int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """text [B,512], mdd [B,512], nnp [B,K,512], nnp_mask [B,K] of `rows`; source 1 = the lexicon's."""
    phrase_rows = table.nnp[rows, source]
    phrase_rows = phrase_rows[:, : max(1, int((phrase_rows > 0).sum(axis=1).max()))]  # no columns of nothing
    return (
        torch.from_numpy(table.vectors[table.text[rows]]),
        torch.from_numpy(table.vectors[table.mdd[rows, source]]),
        torch.from_numpy(table.vectors[phrase_rows]),
        torch.from_numpy((phrase_rows > 0).astype(np.float32)),
    )


class Sampler:
    """Draws the inputs of a batch. `corpus`, `features` and `table` are in the same order."""

    def __init__(self, corpus: Corpus, features: Features, table: RequestTable, config: FusionConfig) -> None:
        self.corpus, self.features, self.table, self.config = corpus, features, table, config
        self.palettes, self.palette_mask = palettes(corpus.designs)

    def designs(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """style, align, crop, text of the designs `rows`."""
        config, features = self.config, self.features
        size = len(rows)
        view = rng.integers(0, features.align.shape[1], size)
        from_crop = (rng.random(size) < config.style_crop_share)[:, None]
        style = np.where(from_crop, features.crop_style[rows, view], features.style[rows, view])
        align = features.align[rows, view]
        crop = features.crop_align[rows, rng.integers(0, features.align.shape[1], size)]
        crop = np.where((rng.random(size) < config.whole_share)[:, None], align, crop)
        crop = crop * (rng.random(size) >= config.no_crop_share)[:, None]
        style = style * (rng.random(size) >= config.no_style_share)[:, None]
        texts = self.table.vectors[self.table.text[self.own_texts(rows, rng)]]
        texts = texts * (rng.random(size) < config.text_share)[:, None]
        return tuple(torch.from_numpy(np.asarray(x, np.float32)) for x in (style, align, crop, texts))

    def own_texts(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One text of each design, at random."""
        return rng.integers(self.corpus.first[rows], self.corpus.first[rows + 1])

    def requests(
        self, rows: NDArray[np.int64], texts: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Tensor, ...]:
        """text, mdd, nnp, nnp_mask, palette, palette_mask of `texts`, which belong to the designs `rows`."""
        config, table = self.config, self.table
        size = len(rows)
        source = (rng.random(size) < config.lexicon_share).astype(np.int64)
        text, mdd, nnp, nnp_mask = request_tensors(table, texts, source)
        keep = torch.from_numpy((rng.random(size) >= config.no_phrases_share).astype(np.float32))
        noise = torch.from_numpy(rng.normal(0, config.text_noise, (size, 512)).astype(np.float32))
        words = table.colour_mask[texts].any(axis=1) & (rng.random(size) < config.words_share)
        lab = np.where(words[:, None, None], table.colours[texts], self.palettes[rows])
        mask = np.where(words[:, None], table.colour_mask[texts], self.palette_mask[rows])
        # a person picks fewer colours than the design has, and not exactly those
        mask = mask * (rng.random(mask.shape) < 0.8) * (rng.random(size) < config.palette_share)[:, None]
        lab = lab + rng.normal(0, 5, lab.shape)
        used = max(1, int(np.flatnonzero(mask.any(axis=0)).max(initial=0)) + 1)
        lab, mask = lab[:, :used], mask[:, :used]
        palette = torch.from_numpy((lab * mask[:, :, None]).astype(np.float32))
        return (
            text + noise,
            mdd * keep[:, None],
            nnp,
            nnp_mask * keep[:, None],
            palette,
            torch.from_numpy(mask.astype(np.float32)),
        )


def train_fusions(corpus: Corpus, features: Features, table: RequestTable, config: FusionConfig) -> Fusions:
    """Trains both fusions from scratch; returns them in eval mode."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = Fusions().train()
    sampler = Sampler(corpus, features, table, config)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.lr, weight_decay=config.weight_decay, betas=(0.9, 0.98)
    )
    count = len(corpus.designs)
    batch = min(config.batch, count)
    steps = max(1, round(config.epochs * count / batch))
    schedule = Schedule(steps, config.warm_up)
    started = time.monotonic()
    for step in range(steps):
        rows = rng.choice(count, batch, replace=False)
        texts = sampler.own_texts(rows, rng)
        designs = model.design(*sampler.designs(rows, rng))  # [B,256]
        queries = model.query(*sampler.requests(rows, texts, rng))  # [B,256]
        cosines = queries @ designs.T  # [B,B] text x image
        ignored = torch.from_numpy(corpus.ignored(rows, texts).T.copy())
        loss = info_nce(model.temperature() * cosines, ignored)
        if config.weight_crc:
            judged = torch.from_numpy(confidence(corpus.wants[texts], corpus.hot[rows]))
            relaxed = confidence_relaxed(cosines, judged, threshold=config.crc_threshold) / batch
            loss = loss + config.weight_crc * relaxed
        for group in optimiser.param_groups:
            group["lr"] = config.lr * schedule(step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 50 == 0 or step == steps - 1:
            logger.info(
                "step %d/%d %.0f s loss %.3f",
                step + 1,
                steps,
                time.monotonic() - started,
                float(loss.detach()),
            )
    return model.eval()
