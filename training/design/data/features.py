"""What the encoders say of every photo in several views, computed once: what the rows are trained on.

View 0 is the serving view; further views are distorted, so that the fusions see how embeddings move. Of the
serving view of the whole photo two more things are kept: how likely each fact is, from which the compact
describer writes a text, and tokens of stride 16 averaged by two, which are the patches of the small BEiT-3.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from training.design.data.photos import read_mask, read_photo
from training.design.data.records import Design
from training.kit.data.augment import ViewConfig, distorted_view, plain_view
from training.kit.export.sessions import SIZE, Run, open_network, write_network
from training.kit.networks.encoders import Encoders

CHUNK = 8  # designs that a process embeds at a time


class Everything(nn.Module):
    """Both embeddings, the facts and the tokens in one pass over the shared backbone."""

    def __init__(self, model: Encoders) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.model.look(images)


OUTPUTS = ("align", "style", "facts", "tokens")


@dataclass(frozen=True)
class Features:
    """f16 arrays in the order of `names`.

    align [N,V,512], style [N,V,256]: of the whole photo; crop_align, crop_style: of the crop. facts [N,F] in
    [0, 1] and tokens [N,T,112]: of the serving view of the whole photo.
    """

    names: NDArray[np.str_]
    align: NDArray[np.float16]
    style: NDArray[np.float16]
    crop_align: NDArray[np.float16]
    crop_style: NDArray[np.float16]
    facts: NDArray[np.float16]
    tokens: NDArray[np.float16]

    def save(self, path: Path) -> None:
        """Writes an .npz file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".part.npz")
        np.savez(draft, **self.__dict__)
        draft.replace(path)

    @staticmethod
    def load(path: Path) -> Features:
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return Features(**{name: stored[name] for name in stored.files})


Part = tuple[NDArray[np.float16], ...]


def _embed(
    run: Run, designs: Sequence[Design], first: int, distorted: int, seed: int, config: ViewConfig, size: int
) -> Part:
    """Of `designs`, the first of which is number `first` of all: arrays in the order of `Features`."""
    photos = [read_photo(design) for design in designs]
    images = []
    for index, (design, photo) in enumerate(zip(designs, photos, strict=True)):
        rng = np.random.default_rng([seed, first + index])
        mask = read_mask(design, photo.shape[:2])
        clutter = photos[(index + 1) % len(photos)]
        for box in (None, design.crop):
            images.append(plain_view(photo, box, size))
            images += [
                distorted_view(photo, mask, box, size, rng, config, clutter)[0] for _ in range(distorted)
            ]
    found = run(np.stack(images))
    align, style, facts, tokens = (x.reshape(len(designs), 2, 1 + distorted, *x.shape[1:]) for x in found)
    parts = (align[:, 0], style[:, 0], align[:, 1], style[:, 1], facts[:, 0, 0], tokens[:, 0, 0])
    return tuple(part.astype(np.float16) for part in parts)


_RUN: Run | None = None


def _start(path: Path) -> None:
    """Sets a process up: its own session, one thread."""
    global _RUN  # noqa: PLW0603  # what a process of the pool keeps between its chunks
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _RUN = open_network(path)


def _work(job: tuple[list[Design], int, int, int, ViewConfig, int]) -> Part:
    assert _RUN is not None
    return _embed(_RUN, *job)


def embed_designs(
    model: Encoders,
    designs: Sequence[Design],
    *,
    distorted: int,
    seed: int,
    config: ViewConfig,
    size: int = SIZE,
    workers: int = 1,
) -> Features:
    """Embeds view 0 and `distorted` further views of every design, fixed by the seed and its number."""
    if not designs:
        raise ValueError("no designs to embed")
    jobs = [
        (list(designs[start : start + CHUNK]), start, distorted, seed, config, size)
        for start in range(0, len(designs), CHUNK)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_network(Everything(model), path, OUTPUTS, size)
        if workers == 1:
            run = open_network(path)
            parts = [_embed(run, *job) for job in tqdm(jobs, desc="features", unit="x8", mininterval=10)]
        else:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(path,)) as pool:
                parts = list(
                    tqdm(pool.map(_work, jobs), total=len(jobs), desc="features", unit="x8", mininterval=10)
                )
    names = np.array([design.name for design in designs])
    return Features(names, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
