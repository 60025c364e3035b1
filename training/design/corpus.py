"""Designs and their texts as the arrays that a training step looks up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nails.vocabulary import COLOURS
from training.design.judge import asked
from training.design.nail_colour import NamedColourBins
from training.design.records import Design, Request, known_kinds, multi_hot
from training.design.sentences import Sentences


@dataclass(frozen=True)
class Corpus:
    """Designs with everything that a step looks up. All arrays in the order of designs or of texts."""

    designs: Sequence[Design]
    hot: NDArray[np.float32]  # [N,S] attributes
    known: NDArray[np.float32]  # [N,S]
    palette: NDArray[np.float32]  # [N,C] shares of the named colours
    requests: Sequence[Request]  # T of them
    texts: NDArray[np.float32]  # [T,512] sentence embeddings
    wants: NDArray[np.float32]  # [T,S] what a text asks for
    owner: NDArray[np.int64]  # [T] index of the design
    first: NDArray[np.int64]  # [N+1] texts of design i are first[i]..first[i+1]

    def ignored(self, images: NDArray[np.int64], texts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B,K]: the text names something, and the photo satisfies all of it (see `judge`)."""
        wants, has = self.wants[texts], self.hot[images]
        wanted, unwanted = (wants > 0).astype(np.float32), (wants < 0).astype(np.float32)
        missed = (1 - has) @ wanted.T + has @ unwanted.T  # [B,K]
        satisfied = (missed < 0.5) & ((wanted + unwanted).sum(axis=1) > 0)[None, :]
        same = self.owner[texts][None, :] == images[:, None]
        return np.asarray(satisfied | same)


def build_corpus(designs: Sequence[Design], sentences: Sentences) -> Corpus:
    """Looks everything up once. Designs without a text are left out."""
    designs = [design for design in designs if design.requests]
    requests = [request for design in designs for request in design.requests]
    counts = np.array([len(design.requests) for design in designs], np.int64)
    sentences.add(request.text for request in requests)
    hot = multi_hot(designs)
    return Corpus(
        designs=designs,
        hot=hot,
        known=known_kinds(hot),
        palette=palette_shares(designs),
        requests=requests,
        texts=sentences([request.text for request in requests]),
        wants=asked(requests),
        owner=np.repeat(np.arange(len(designs)), counts),
        first=np.concatenate([[0], np.cumsum(counts)]),
    )


def palette_shares(designs: Sequence[Design]) -> NDArray[np.float32]:
    """Soft shares of the named colours in each palette: f32 [N,C]; zero rows where there is no palette."""
    bins = NamedColourBins()
    shares = np.zeros((len(designs), len(COLOURS)), np.float32)
    for row, design in enumerate(designs):
        if design.palette:
            lab = torch.tensor([entry[0] for entry in design.palette])
            weight = torch.tensor([entry[1] for entry in design.palette])
            shares[row] = ((weight / weight.sum()) @ bins.soften(lab)).numpy()
    return shares
