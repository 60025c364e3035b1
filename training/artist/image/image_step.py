"""The step `image`: a head on the frozen compact encoders' description of a photo, 25 times.

On two cores no backbone is fine-tuned 25 times: the backbone stands still and only the head is trained. Every
head is kept (RUN/models/image/outer-K-inner-I.pt): the inner models of one outer fold can be served as one.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training.artist.image import feature_step
from training.artist.image.network import ArtistHead
from training.artist.image.training import ArtistConfig, train_head
from training.artist.job import ArtistJob
from training.artist.nested import Nest, Rows, Table, Task, cross_validate, open_nest
from training.kit.data import features

CONFIG = ArtistConfig(epochs=6, batch=64, hidden=256)
"""25 heads on 20,000 works in some eight minutes of one core."""
WHAT = "MLP on frozen features of the compact encoders (EfficientNet-Lite0); the backbone is not fine-tuned"
HEADS = Path("models") / "image"


def run(job: ArtistJob) -> None:
    """Writes RUN/predictions/image. Raises StepError."""
    config = replace(CONFIG, epochs=job.image.epochs, hidden=job.image.hidden)
    nest, compute = open_nest(job), job.compute
    described = load_described(job, nest)
    shown = with_photo(nest)

    def fit(task: Task) -> Table:
        train = task.train[shown[task.train]]
        own = replace(config, seed=task.seed)
        head = train_head(described[train], nest.truth[train], len(nest.folds.artists), own, compute)
        keep(job.out / HEADS / f"outer-{task.outer}-inner-{task.inner}.pt", head)
        return answer(head, described, task.queries, shown)

    settings = {**asdict(config), "features": feature_step.NAME}
    cross_validate(job, nest, "image", fit, what=WHAT, settings=settings)


def load_described(job: ArtistJob, nest: Nest) -> NDArray[np.float16]:
    """Descriptions f16 [N,V,D] of the step features. Raises StepError."""
    folder = job.out / feature_step.FOLDER / feature_step.NAME
    return features.load(folder, ("description",), len(nest.works))["description"]


def with_photo(nest: Nest) -> NDArray[np.bool_]:
    """Which works have a photo: [N]."""
    return np.array([work.image is not None for work in nest.works])


@torch.inference_mode()
def answer(head: nn.Module, described: NDArray[np.float16], rows: Rows, shown: NDArray[np.bool_]) -> Table:
    """Probabilities f32 [n,A] from the serving view; zeros for works without a photo."""
    found = []
    for start in range(0, len(rows), 1024):
        chosen = rows[start : start + 1024]
        logits, _ = head(torch.from_numpy(described[chosen, 0].astype(np.float32)))
        probabilities = functional.softmax(logits, dim=1).numpy()
        found.append(np.where(shown[chosen, None], probabilities, 0))
    return np.concatenate(found).astype(np.float32)


def keep(path: Path, head: ArtistHead) -> None:
    """Writes a head, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    torch.save(head.state_dict(), draft)
    draft.replace(path)
