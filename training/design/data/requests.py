"""Requests as the rows read them: sentence, description and phrases as rows of one table, and a palette.

The phrases are those that serving finds (`nails.language.phrases`), in training as in evaluation: the role of
the language model that writes MDD and NNP in paper N.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nails.language.phrases import parse_request
from training.design.data.records import Design
from training.kit.data.sentences import Sentences
from training.synth.picking import pick_paints

Rows = NDArray[np.int64]
MAX_PHRASES = 16  # of a request
MAX_COLOURS = 12  # of its palette
PICKED = (
    0.25,
    0.5,
    0.25,
)  # how often a person picks one, two and three colours: 2.0 on average, as NAIL-STAR


@dataclass(frozen=True)
class RequestTable:
    """T requests as rows into a table of sentence embeddings, whose row 0 is absent."""

    vectors: NDArray[np.float16]  # [R,512]
    text: Rows  # [T]
    mdd: Rows  # [T]
    nnp: Rows  # [T,16]
    colours: NDArray[np.float32]  # [T,12,3] CIELAB of the colour words
    colour_mask: NDArray[np.float32]  # [T,12]

    def tensors(self, rows: Rows, most: int = MAX_PHRASES) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """text [B,512], mdd [B,512], nnp [B,K,512], nnp_mask [B,K] of `rows`; no column of nothing.

        `most`: of the phrases of a request; the last are left out.
        """
        phrases = self.nnp[rows]
        phrases = phrases[:, : max(1, min(most, int((phrases > 0).sum(axis=1).max())))]
        return (
            self._vectors(self.text[rows]),
            self._vectors(self.mdd[rows]),
            self._vectors(phrases),
            torch.from_numpy((phrases > 0).astype(np.float32)),
        )

    def _vectors(self, rows: Rows) -> Tensor:
        return torch.from_numpy(self.vectors[rows].astype(np.float32))


def tabulate(texts: Sequence[str], sentences: Sentences) -> RequestTable:
    """The table of `texts`; encodes what is not encoded yet."""
    readings = [parse_request(text) for text in texts]
    described = [". ".join(reading.mdd) for reading in readings]
    sentences.add([*texts, *described, *(phrase for r in readings for phrase in r.nnp[:MAX_PHRASES])])
    vectors = np.concatenate([np.zeros((1, sentences.table.shape[1]), np.float32), sentences.table])

    def row(text: str) -> int:
        return sentences.rows[text] + 1 if text else 0

    nnp = np.zeros((len(texts), MAX_PHRASES), np.int64)
    colours = np.zeros((len(texts), MAX_COLOURS, 3), np.float32)
    mask = np.zeros((len(texts), MAX_COLOURS), np.float32)
    for i, reading in enumerate(readings):
        for place, phrase in enumerate(reading.nnp[:MAX_PHRASES]):
            nnp[i, place] = row(phrase)
        for place, colour in enumerate(reading.colours[:MAX_COLOURS]):
            colours[i, place], mask[i, place] = colour.lab, 1
    return RequestTable(
        vectors=vectors.astype(np.float16),
        text=np.array([row(text) for text in texts], np.int64),
        mdd=np.array([row(text) for text in described], np.int64),
        nnp=nnp,
        colours=colours,
        colour_mask=mask,
    )


Palettes = tuple[NDArray[np.float32], NDArray[np.float32]]


def pick_palettes(designs: Sequence[Design], rng: np.random.Generator) -> Palettes:
    """What a person would pick for each design: one to three of its paints, the large ones likelier, each a
    little off. CIELAB f32 [B,3,3] and mask f32 [B,3]."""
    colours, mask = np.zeros((len(designs), 3, 3), np.float32), np.zeros((len(designs), 3), np.float32)
    for row, design in enumerate(designs):
        if not design.palette:
            continue
        labs, weights = zip(*design.palette, strict=True)
        picked = pick_paints(rng, labs, [max(weight, 1e-3) for weight in weights], PICKED)
        colours[row, : len(picked)], mask[row, : len(picked)] = picked, 1
    return colours, mask


@dataclass(frozen=True)
class Questions:
    """The requests of one split in NAIL-STAR's form. Arrays in the order of `ids`."""

    ids: NDArray[np.str_]
    texts: list[str]
    palettes: Palettes  # [Q,12,3], [Q,12]
    targets: list[frozenset[str]]


def read_questions(path: Path, split: str) -> Questions:
    """The lines of `split` of a `nailstar.jsonl`. Raises ValueError where there are none."""
    lines: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as file:
        lines = [line for line in map(json.loads, file) if line["split"] == split]
    if not lines:
        raise ValueError(f"{path}: no requests of the split {split!r}")
    colours = np.zeros((len(lines), MAX_COLOURS, 3), np.float32)
    mask = np.zeros((len(lines), MAX_COLOURS), np.float32)
    for row, line in enumerate(lines):
        for place, lab in enumerate(line["palette"][:MAX_COLOURS]):
            colours[row, place], mask[row, place] = lab, 1
    return Questions(
        ids=np.array([line["id"] for line in lines]),
        texts=[line["request"] for line in lines],
        palettes=(colours, mask),
        targets=[frozenset(line["targets"]) for line in lines],
    )
