"""Designs and their texts as the arrays that a training step looks up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nails.vocabulary import COLOURS
from training.design.data.claims import ClaimTable
from training.design.data.records import Design, Fact, Request
from training.kit.data.sentences import Sentences
from training.kit.networks.nail_colour import NamedColourBins

RARE = 20  # a fact that fewer photos show is not learnt as a class of its own


@dataclass(frozen=True)
class Corpus:
    """Designs with everything that a step looks up. All arrays in the order of designs or of texts."""

    designs: Sequence[Design]
    facts: Sequence[Fact]  # F that are asked of every photo
    shown: NDArray[np.float32]  # [N,F] in {0, 1}
    palette: NDArray[np.float32]  # [N,C] shares of the named colours
    requests: Sequence[Request]  # T of them
    texts: NDArray[np.float32]  # [T,512] sentence embeddings
    claims: ClaimTable  # which photo satisfies which text
    owner: NDArray[np.int64]  # [T] index of the design
    first: NDArray[np.int64]  # [N+1] texts of design i are first[i]..first[i+1]
    siblings: Sequence[NDArray[np.int64]]  # N: the other designs of the same family

    def ignored(self, photos: NDArray[np.int64], texts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool [B,K]: the photo satisfies everything the text claims, so it is no contrast to it."""
        return self.claims.satisfied(texts, photos).T

    def sibling_texts(self, photos: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One text of each sibling of `photos`: the hardest contrasts there are."""
        others = np.unique(np.concatenate([self.siblings[photo] for photo in photos]))
        return rng.integers(self.first[others], self.first[others + 1])


def build_corpus(
    designs: Sequence[Design], sentences: Sentences, facts: Sequence[Fact] | None = None
) -> Corpus:
    """Looks everything up once. Designs without a text are left out.

    `facts`: those to ask of every photo; by default the ones that at least RARE of `designs` show.
    """
    designs = [design for design in designs if design.requests]
    requests = [request for design in designs for request in design.requests]
    counts = np.array([len(design.requests) for design in designs], np.int64)
    sentences.add(request.text for request in requests)
    if facts is None:
        often = Counter(fact for design in designs for fact in design.facts)
        facts = sorted(fact for fact, count in often.items() if count >= RARE)
    return Corpus(
        designs=designs,
        facts=facts,
        shown=multi_hot(designs, facts),
        palette=palette_shares(designs),
        requests=requests,
        texts=sentences([request.text for request in requests]),
        claims=ClaimTable.build([claims_record(design) for design in designs]),
        owner=np.repeat(np.arange(len(designs)), counts),
        first=np.concatenate([[0], np.cumsum(counts)]),
        siblings=_siblings(designs),
    )


def claims_record(design: Design) -> dict[str, object]:
    """What the judge reads of a record."""
    return {"attributes": design.shown, "texts": [{"claims": r.claims} for r in design.requests]}


def multi_hot(designs: Sequence[Design], facts: Sequence[Fact]) -> NDArray[np.float32]:
    """f32 [N,F]: 1 where a design shows a fact."""
    place = {fact: column for column, fact in enumerate(facts)}
    hot = np.zeros((len(designs), len(facts)), np.float32)
    for row, design in enumerate(designs):
        for fact in design.facts:
            if fact in place:
                hot[row, place[fact]] = 1
    return hot


def _siblings(designs: Sequence[Design]) -> list[NDArray[np.int64]]:
    families: dict[str, list[int]] = defaultdict(list)
    for row, design in enumerate(designs):
        if design.family:
            families[design.family].append(row)
    return [
        np.array([other for other in families.get(design.family, ()) if other != row], np.int64)
        for row, design in enumerate(designs)
    ]


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
