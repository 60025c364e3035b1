"""Figures of a trained set of models: on synthetic designs that were held out, and on a folder of real
photos.

Designs are embedded without a text, as uploaded photos are. Real photos are only ever measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.design.encoders import Encoders
from training.design.features import Features, embed_designs
from training.design.fusions import Fusions, RequestTable, request_tensors, tabulate
from training.design.query_fuse import MAX_COLOURS
from training.design.ranking import best_ranks, figures
from training.design.records import Design
from training.design.sentences import Sentences
from training.design.views import PLAIN

Floats = NDArray[np.float32]


@torch.inference_mode()
def fuse_designs(
    fusions: Fusions, features: Features, *, view: int = 0, style_from_crop: bool = False
) -> Floats:
    """f32 [N,256] of designs without texts."""
    style = features.crop_style if style_from_crop else features.style
    inputs = [
        torch.from_numpy(x[:, view].astype(np.float32)) for x in (style, features.align, features.crop_align)
    ]
    return fusions.design(*inputs, torch.zeros(len(style), 512)).numpy()


@torch.inference_mode()
def fuse_requests(fusions: Fusions, table: RequestTable, rows: NDArray[np.int64], *, colours: bool) -> Floats:
    """f32 [Q,256]; `colours`: with a palette read from the colour words of each request."""
    palette = torch.zeros(len(rows), MAX_COLOURS, 3)
    mask = torch.zeros(len(rows), MAX_COLOURS)
    if colours:
        palette, mask = torch.from_numpy(table.colours[rows]), torch.from_numpy(table.colour_mask[rows])
    return fusions.query(*request_tensors(table, rows), palette, mask).numpy()


def measure(
    fusions: Fusions,
    features: Features,
    asked: Sequence[tuple[int, str, str, Sequence[str], Sequence[str]]],
    sentences: Sentences,
    accepts: Sequence[frozenset[int]] = (),
) -> dict[str, dict[str, float]]:
    """Figures by model and language for requests (design index, language, text, mdd, nnp).

    `accepts[i]`: other designs that satisfy the requests of design i.
    """
    table = tabulate([(text, mdd, nnp) for _, _, text, mdd, nnp in asked], sentences)
    targets = np.zeros((len(asked), len(features.align)), bool)
    for row, (index, *_) in enumerate(asked):
        targets[row, [index, *(accepts[index] if accepts else ())]] = True
    rows = np.arange(len(asked))
    texts = table.vectors[table.text]
    designs = fuse_designs(fusions, features)
    similarities = {
        "fused": fuse_requests(fusions, table, rows, colours=False) @ designs.T,
        "fused, style of the crop": fuse_requests(fusions, table, rows, colours=False)
        @ fuse_designs(fusions, features, style_from_crop=True).T,
        "fused, colours of the words": fuse_requests(fusions, table, rows, colours=True) @ designs.T,
        "align, photo": texts @ features.align[:, 0].astype(np.float32).T,
        "align, crop": texts @ features.crop_align[:, 0].astype(np.float32).T,
    }
    languages = np.array([lang for _, lang, *_ in asked])
    return {
        f"{name} {lang}": figures(best_ranks(similarity[languages == lang], targets[languages == lang]))
        for name, similarity in similarities.items()
        for lang in sorted(set(languages.tolist()))
    }


def held_out_requests(designs: Sequence[Design]) -> list[tuple[int, str, str, Sequence[str], Sequence[str]]]:
    """One dense text (or the longest) of each design in each language."""
    asked: list[tuple[int, str, str, Sequence[str], Sequence[str]]] = []
    for index, design in enumerate(designs):
        for lang in ("en", "ja"):
            own = [request for request in design.requests if request.lang == lang]
            dense = [request for request in own if request.level == "dense"] or own
            if dense:
                chosen = max(dense, key=lambda request: len(request.text))
                asked.append((index, lang, chosen.text, chosen.mdd, chosen.nnp))
    return asked


def measure_folder(
    folder: Path, encoders: Encoders, fusions: Fusions, sentences: Sentences
) -> dict[str, dict[str, float]]:
    """Figures on photos with written requests (`requests.jsonl`); the whole photo stands in for the crop."""
    lines = [
        json.loads(line) for line in (folder / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    designs = []
    for line in lines:
        designs.append(
            Design(
                name=line["image"],
                image=folder / line["image"],
                mask=None,
                crop=(0.0, 0.0, 1e6, 1e6),
                attributes=frozenset(),
                palette=(),
                requests=(),
            )
        )
    features = embed_designs(encoders, designs, distorted=0, seed=0, config=PLAIN)
    asked = [
        (index, lang, text, (), ())
        for index, line in enumerate(lines)
        for lang, text in sorted(line["requests"].items())
    ]
    return measure(fusions, features, asked, sentences)
