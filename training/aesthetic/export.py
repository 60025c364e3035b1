"""The step `export`: the best run of `ours` on validation photos into triton_models/aesthetic.

    lunula train aesthetic export --data DIR --out RUN [--models triton_models] [--run N]

The model's parameters say how stored tokens are packed (`grid`, `bits`: of the step packing) and how a score
becomes an aesthetic score in 0..1: 1 / (1 + exp(-(score - middle) / width)), fitted so that it is about the
share of the validation photos that score lower; `image_align` and `text_encode` are the fingerprints of the
models whose outputs it was trained on.
"""

from __future__ import annotations

import json
import logging
import tomllib
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from evaluation.aesthetic.metrics import average_ranks
from nails.aesthetic.tokens import Packing
from training.aesthetic.features import FOLDER
from training.aesthetic.fitting import Inputs, figures
from training.aesthetic.job import AestheticJob
from training.aesthetic.material import NONE, Material, read_material
from training.aesthetic.networks import ALIGN_DIM, TOKEN_DIM, TagAesthetic
from training.aesthetic.packing_step import grid_path, read_served, repack
from training.aesthetic.train_step import Trained, load, model_path, score_photos
from training.kit.export.card import SCRATCH, ModelCard, Provenance, TensorCard
from training.kit.export.model import ExportReport, export_model
from training.kit.stepwise import StepError

logger = logging.getLogger(__name__)
MOST_TAGS: Final = 8
TOLERANCE: Final = {"score": 1e-4, "distribution": 1e-5}
HALF_TOLERANCE: Final = {"score": 0.01, "distribution": 2e-3}
"""Of fp16 weights: a hundredth of a mark is far below the error of a photo's votes, .1."""


def run(job: AestheticJob) -> None:
    """Writes model.onnx, model.toml and config.pbtxt. Options: models, run. Raises StepError, ExportError."""
    material = read_material(job)
    packing = read_served(job.out)
    trained, number = _chosen(job, packing)
    packing = packing or Packing(trained.config.grid, 16)
    found = export(job, material, trained, packing, number)
    logger.info("aesthetic: %d bytes, %s, fp16 %s", found.size, found.graph_error, found.half_error)


def export(
    job: AestheticJob, material: Material, trained: Trained, packing: Packing, number: int
) -> ExportReport:
    """Writes the model of a run, which reads tokens of this packing."""
    network = trained.network
    assert isinstance(network, TagAesthetic)
    inputs = Inputs.of(material, "ours", material.tokens)
    measured: dict[str, float] = {}
    scores: dict[str, NDArray[np.float32]] = {}
    for split in ("val", "test"):
        rows = material.rows(split)
        tokens = torch.from_numpy(repack(material.tokens[rows], packing))
        scores[split] = score_photos(trained, inputs, rows, material.tags[rows], tokens).score
        own = figures(scores[split], material.mos[rows])
        measured |= {f"{split} {name}": value for name, value in own.items()}
    middle, width = fit_percentiles(scores["val"])
    models = job.models
    parameters = {
        "grid": str(packing.grid),
        "bits": str(packing.bits),
        "middle": f"{middle:.4f}",
        "width": f"{width:.4f}",
    } | read_fingerprints(models, job.out / FOLDER)
    return export_model(
        network,
        card(packing, parameters),
        models / "aesthetic",
        example=example(material, packing),
        provenance=Provenance(
            command=job.command,
            data=describe_data(material),
            seed=trained.config.seed,
            licence_of_origin=SCRATCH,
            metrics={"run": float(number), **measured},
        ),
        tolerance=TOLERANCE,
        half_tolerance=HALF_TOLERANCE,
    )


def read_fingerprints(models: Path, features: Path) -> dict[str, str]:
    """Fingerprints of the models whose outputs it reads, by their names.

    Raises StepError where `image_align` is no longer the one that the features were made with.
    """
    found = {}
    for name in ("image_align", "text_encode"):
        path = models / name / "model.toml"
        try:
            about = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
            found[name] = str(about["fingerprint"])
            weights = str(about["weights_sha256"])
        except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
            raise StepError(f"{path}: {error}: the fingerprint of {name} is needed") from error
        if name == "image_align":
            used = json.loads((features / "settings.json").read_text(encoding="utf-8"))["image_align"]
            if used != weights:
                raise StepError(f"{path}: {name} is not the one that {features} was made with")
    return found


def card(packing: Packing, parameters: dict[str, str]) -> ModelCard:
    """The model's contract: as many tokens as the packing keeps, any number of tags."""
    return ModelCard(
        name="aesthetic",
        description="Aesthetic quality of a photo for its tags: tags attend to the tokens of image_align",
        inputs=(
            TensorCard("tokens", "f16", (packing.tokens, TOKEN_DIM)),
            TensorCard("align", "f32", (ALIGN_DIM,)),
            TensorCard("tag", "f32", (-1, ALIGN_DIM)),
            TensorCard("tag_mask", "f32", (-1,)),
        ),
        outputs=(TensorCard("score", "f32", (1,)), TensorCard("distribution", "f32", (10,))),
        max_batch_size=256,
        preferred=(),
        parameters=parameters,
    )


def example(material: Material, packing: Packing) -> tuple[Tensor, ...]:
    """Six photos with none, one, two and three tags, in four places."""
    rows = material.rows("val")[:6]
    vectors = torch.from_numpy(material.words[0])
    chosen = torch.full((len(rows), 4), NONE)
    for photo in range(len(rows)):
        for place in range(photo % 4):
            chosen[photo, place] = (3 * photo + place) % len(vectors)
    mask = (chosen != NONE).float()
    tag = vectors[chosen.clamp(min=0)] * mask.unsqueeze(2)
    tokens = torch.from_numpy(repack(material.tokens[rows], packing))
    return tokens, torch.from_numpy(material.align[rows]), tag, mask


def fit_percentiles(scores: NDArray[np.float32]) -> tuple[float, float]:
    """(middle, width) of the logistic that is nearest to the scores' own percentiles, least squares."""
    values = scores.astype(np.float64)
    if values.std() == 0:
        raise StepError("all validation photos have the same score: nothing to fit percentiles to")
    share = (average_ranks(values) - 0.5) / len(values)
    start = [float(values.mean()), float(np.log(values.std() * np.sqrt(3) / np.pi))]
    found = least_squares(lambda x: 1 / (1 + np.exp(-(values - x[0]) / np.exp(x[1]))) - share, start)
    return float(found.x[0]), float(np.exp(found.x[1]))


def describe_data(material: Material) -> str:
    """The data in words, for provenance."""
    photos = material.photos
    kind = "synthetic photos with votes" if photos.source == "drawn" else "photos of AVA"
    return f"{len(material.rows('train')):,} {kind}, lists sha256 {photos.digest}"


def _chosen(job: AestheticJob, packing: Packing | None) -> tuple[Trained, int]:
    """The run that is best on validation photos, or that which is asked for, of the packing's grid."""
    paths = {}
    number = 1
    while True:
        path = model_path(job.out, "ours", number)
        trained = load(path, "ours") if path.exists() else None
        if packing is not None and (trained is None or trained.config.grid != packing.grid):
            path = grid_path(job.out, packing.grid, number)
        if not path.exists():
            break
        paths[number] = path
        number += 1
    if not paths:
        raise StepError(f"{model_path(job.out, 'ours', 1)}: no such run; do the step train first")
    if job.run is not None:
        wanted = job.run
        if wanted not in paths:
            raise StepError(f"--run {wanted}: there are runs 1 to {len(paths)}")
        return load(paths[wanted], "ours"), wanted
    models = {number: load(path, "ours") for number, path in paths.items()}
    best = max(models, key=lambda number: models[number].val["srcc"])
    return models[best], best
