"""The step `features`: the frozen compact encoders' description of every photo.

Of each photo the serving view and, for training, distorted ones (--features.views). `description` is what the
design heads start from: it still holds skin, light and shades, which their embeddings learn to overlook.
`facts` is how likely each fact is that the encoders know; it stands in for an object detector's labels.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from evaluation.artist.works import Work
from training.artist.job import ArtistJob
from training.artist.nested import open_nest
from training.kit.data.augment import ViewConfig, distorted_view, plain_view
from training.kit.data.features import Photo, Source, extract
from training.kit.export.sessions import SIZE, open_network, write_network
from training.kit.networks.encoders import Encoders, load_encoders
from training.kit.networks.image_align import ALIGN_DIM
from training.kit.networks.image_style import STYLE_DIM
from training.kit.stepwise import StepError, remember

FOLDER = "features"
NAME = "compact"
OUTPUTS = ("description", "align", "style", "facts")


class Description(nn.Module):
    """images f32 [N,3,S,S] -> description [N,D], align [N,512], style [N,256], facts [N,F] in [0, 1]."""

    def __init__(self, model: Encoders) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        model = self.model
        levels = model.backbone.levels(images)
        by_align, _ = model.align.describe(images, levels)
        by_style, _ = model.style.describe(images, levels)
        _, align = model.align(by_align)
        _, style = model.style(by_style)
        logits = model.align_facts(align * ALIGN_DIM**0.5) + model.style_facts(style * STYLE_DIM**0.5)
        description = torch.cat([by_align, by_style], dim=1)
        return description, functional.normalize(align, dim=1), style, (logits / 2).sigmoid()


def augmented_views(
    photo: Photo, _work: Work, row: int, *, distorted: int, seed: int
) -> list[NDArray[np.float32]]:
    """The serving view and `distorted` others, fixed by the seed and the row: f32 [3,224,224] each."""
    rng = np.random.default_rng([seed, 2, row])
    no_mask = np.zeros(photo.shape[:2], np.uint8)
    views = [plain_view(photo, None, SIZE)]
    for _ in range(distorted):
        views.append(distorted_view(photo, no_mask, None, SIZE, rng, GENTLE)[0])
    return views


# Light and framing are evidence of an artist: milder than in the training of the encoders.
GENTLE = ViewConfig(turn=12, quarter_turns=0.0, mirror=0.0, gain=0.04, exposure=0.1, contrast=0.1,
                    saturation=0.1, noise=4.0, patch=0.0)  # fmt: skip


def run(job: ArtistJob) -> None:
    """Writes RUN/features/compact. Needs --encoders. Raises StepError."""
    nest = open_nest(job)
    views = job.features.views
    folder = job.out / FOLDER / NAME
    network = prepare(job, folder, {"data": nest.digest, "seed": job.seed, "views": views})
    source = Source(
        network, open_network, functools.partial(augmented_views, distorted=views, seed=job.seed), OUTPUTS
    )
    extract(folder, nest.works, source, job.workers, NAME)


def prepare(job: ArtistJob, folder: Path, settings: dict[str, object]) -> Path:
    """Writes the encoders as folder/network.onnx with the names of their facts beside it."""
    if job.encoders is None or not job.encoders.is_file():
        raise StepError("--encoders FILE: a checkpoint of the design encoders is needed")
    sha = hashlib.sha256(job.encoders.read_bytes()).hexdigest()
    remember(folder, {"encoders": sha, **settings})
    network = folder / "network.onnx"
    if not network.exists():
        model, stored = load_encoders(job.encoders)
        facts = [list(fact) for fact in stored["facts"]]
        (folder / "facts.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
        draft = folder / "network.part.onnx"
        write_network(Description(model), draft, OUTPUTS)
        draft.replace(network)
    return network
