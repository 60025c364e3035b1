"""The step `export`: models of five folds as one, calibrated, with what enrolment needs, into triton_models/.

    lunula train artist export --data DIR --out RUN --encoders encoders.pt [--export.models triton_models]

Five heads and five fastText models are trained, each without one outer fold, and answer for that fold: out of
fold, temperatures and the log-linear pool are fitted. Served are the (geometric) means of all five. What the
unknown and enrolled artists weigh comes from RUN/openset.json, fitted where artists were really unknown
artists.

- artist_image: one ONNX graph (training.artist.export.served), labels.txt, prototypes.npz and, where works
  have labels, label_combinations.json (read by services.classify.features.references
  and services.classify.identify.label_evidence)
- artist_text: model-0.ftz … model-4.ftz, quantised; together they may have MOST_TEXT_BYTES, else one model
  of all works is served (option texts=five|one decides otherwise)

Options: models, texts, words (as for openset), hidden (of the heads: five of 256 are 7 of the graph's 17 MB).
"""

from __future__ import annotations

import json
import logging
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.artist.label_entropy import combination
from evaluation.artist.metrics import accuracy, best_artists, calibration_error
from nails.artist.fusion import Pool, linear_pool
from nails.artist.openset import OpenSet
from nails.artist.text_vectors import VERSION, compute_rarities, vectorise
from training.artist.export.served import FoldedArtistImage
from training.artist.export.text import MOST_TEXT_BYTES, ask_quantised, export_text, fit_quantised
from training.artist.fusion.fitting import fit_pool
from training.artist.image.image_step import CONFIG
from training.artist.image.network import ArtistHead
from training.artist.image.training import ArtistConfig
from training.artist.job import ArtistJob
from training.artist.nested import Nest, open_nest
from training.artist.openset.models import (
    SPACES,
    Floats,
    Material,
    Rows,
    fit_head,
    look,
    make_prototypes,
    read_material,
    space_vectors,
)
from training.artist.openset.step import FILE as OPENSET
from training.kit.export.card import ORIGIN, ModelCard, Provenance, TensorCard
from training.kit.export.images import IMAGES, example_images
from training.kit.export.model import export_model
from training.kit.networks.encoders import load_encoders
from training.kit.stepwise import StepError

logger = logging.getLogger(__name__)
HALF_TOLERANCE = {"logits": 0.5, "embedding": 0.02}
"""Of fp16 weights. Logits are logarithms: where one is off by this, its probability is far from the best."""


@dataclass(frozen=True)
class Folded:
    """Models of the outer folds. image, text: f64 [N, A], of the model that did not see the work."""

    heads: tuple[ArtistHead, ...]
    texts: tuple[Path, ...]
    image: Floats
    text: Floats


def run(job: ArtistJob) -> None:
    """Writes both models. Needs --encoders, and the steps features and openset. Raises StepError."""
    if job.encoders is None or not job.encoders.is_file():
        raise StepError("--encoders FILE: the checkpoint that the features were made with is needed")
    choice = job.export.texts
    space, openset = read_openset(job.out / OPENSET)
    nest = open_nest(job)
    material = read_material(job, nest)
    models = job.export.models
    with tempfile.TemporaryDirectory() as folder:
        config = replace(CONFIG, hidden=job.image.hidden)
        folded = fold_models(material, job.seed, Path(folder), config)
        pool = fit_pool(folded.image, folded.text, nest.truth, job.seed)
        parameters = {
            name: f"{getattr(pool, name):.6g}" for name in Pool.__dataclass_fields__
        } | openset.to_parameters()
        figures = measure_figures(folded, pool, nest.truth)
        logger.info("%s %s", parameters, figures)
        export_image(job, material, folded, space, parameters, figures, models / "artist_image")
        texts = folded.texts
        total = sum(path.stat().st_size for path in texts)
        if choice == "one" or (choice == "auto" and total > MOST_TEXT_BYTES):
            texts = (one_text(material, job.seed, Path(folder) / "all" / "model.ftz"),)
        about = {
            "command": job.command,
            "data": described(nest),
            "seed": job.seed,
            "words": material.reader,
            "metrics": {name: value for name, value in figures.items() if "text" in name}
            | {"bytes of five folds": float(total)},
        }
        export_text(texts, models / "artist_text", about, parameters)


def read_openset(path: Path) -> tuple[str, OpenSet]:
    """(space, numbers) of the step `openset`. Raises StepError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        space, openset = found["space"]["chosen"], OpenSet.from_parameters(found["parameters"])
    except FileNotFoundError:
        raise StepError(f"{path}: there is none; do the step openset first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StepError(f"{path}: {error}") from error
    if space not in SPACES:
        raise StepError(f"{path}: space: {space!r} is none of {', '.join(SPACES)}")
    return space, openset


def fold_models(material: Material, seed: int, folder: Path, config: ArtistConfig) -> Folded:
    """A head and a quantised fastText model (in `folder`) without each outer fold, asked about that fold."""
    nest, truth = material.nest, material.nest.truth
    artists = nest.folds.artists
    outer = np.array([work.outer for work in nest.folds.works])
    image, text = (np.zeros((len(truth), len(artists))) for _ in range(2))
    heads, texts = [], []
    for fold in range(nest.folds.outer):
        train, own = np.flatnonzero(outer != fold), np.flatnonzero(outer == fold)
        head = fit_head(material, train, truth[train], len(artists), replace(config, seed=seed + fold))
        image[own] = look(head, material, own)[0]
        path = folder / f"model-{fold}.ftz"
        model = fit_quantised(_lines(material, train), seed + fold, path)
        text[own] = ask_quantised(model, [material.lines[row] for row in own], artists)
        heads.append(head)
        texts.append(path)
        logger.info("fold %d of %d: %d bytes of fastText", fold + 1, nest.folds.outer, path.stat().st_size)
    return Folded(tuple(heads), tuple(texts), image, text)


def one_text(material: Material, seed: int, path: Path) -> Path:
    """One quantised model of all works."""
    fit_quantised(_lines(material, np.arange(len(material.lines))), seed, path)
    return path


def _lines(material: Material, rows: Rows) -> list[tuple[list[str], str]]:
    artists, truth = material.nest.folds.artists, material.nest.truth
    return [(material.lines[row], artists[truth[row]]) for row in rows if material.lines[row]]


def measure_figures(folded: Folded, pool: Pool, truth: Rows) -> dict[str, float]:
    """Percent, of single models out of fold; those served, means of five, are a little better."""
    both = (folded.image.any(axis=1)) & (folded.text.any(axis=1))
    tables = {
        "image": folded.image[both],
        "text": folded.text[both],
        "5:5": linear_pool(folded.image[both], folded.text[both], 0.5),
        "pool": pool(folded.image[both], folded.text[both]),
    }
    own = truth[both]
    found = {
        f"out-of-fold accuracy, {name}": 100 * accuracy(own, best_artists(table))
        for name, table in tables.items()
    }
    return found | {"out-of-fold calibration error, pool": 100 * calibration_error(tables["pool"], own)}


def export_image(
    job: ArtistJob,
    material: Material,
    folded: Folded,
    space: str,
    parameters: dict[str, str],
    figures: dict[str, float],
    folder: Path,
) -> None:
    """Writes model.onnx, model.toml, config.pbtxt, labels.txt and prototypes.npz."""
    assert job.encoders is not None
    nest = material.nest
    centre = material.generic[material.photo].mean(axis=0)
    encoders = load_encoders(job.encoders)[0]
    network = FoldedArtistImage(encoders, folded.heads, space, torch.from_numpy(centre)).eval()
    every = np.arange(len(nest.truth))
    embeddings = np.concatenate([look(head, material, every)[2] for head in folded.heads], axis=1)
    images = space_vectors(space, embeddings, material.generic, centre)
    card = ModelCard(
        name="artist_image",
        description=f"Artist of a photo: frozen design backbone, {len(folded.heads)} heads averaged; "
        "labels in labels.txt, prototypes for enrolment in prototypes.npz",
        inputs=(IMAGES,),
        outputs=(
            TensorCard("logits", "f32", (len(nest.folds.artists),)),
            TensorCard("embedding", "f32", (images.shape[1],)),
        ),
        parameters=parameters | {"embedding_space": space},
    )
    report = export_model(
        network,
        card,
        folder,
        example=(example_images(),),
        provenance=Provenance(
            command=job.command,
            data=described(nest),
            seed=job.seed,
            licence_of_origin=ORIGIN,
            metrics=figures,
        ),
        half_tolerance=HALF_TOLERANCE,
    )
    labels = "".join(f"{artist}\n" for artist in nest.folds.artists)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    write_prototypes(folder, material, images)
    write_labels(folder, nest)
    logger.info("artist_image: %d bytes, %s, fp16 %s", report.size, report.graph_error, report.half_error)


def write_prototypes(folder: Path, material: Material, images: NDArray[np.float32]) -> None:
    """Writes folder/prototypes.npz for the model there; services.classify.features.references reads it."""
    fingerprint = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))["model"]["fingerprint"]
    rarity = compute_rarities(material.texts)
    texts = [vectorise(text, rarity) for text in material.texts]
    found = make_prototypes(material.nest.folds.artists, material.nest.truth, images, texts)
    np.savez_compressed(
        folder / "prototypes.npz",
        artists=np.array(found.artists),
        image=found.image.astype(np.float16),
        text_starts=found.text.starts,
        text_indices=found.text.indices,
        text_values=found.text.values.astype(np.float16),
        rarity=rarity,
        image_fingerprint=np.array(fingerprint),
        vectors_version=np.array(VERSION),
    )


def write_labels(folder: Path, nest: Nest) -> None:
    """Writes folder/label_combinations.json, [labels, {artist: works}] of the works that have labels.

    Combinations of a single work are left out: they would name its artist as if that were a rule.
    """
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for work in nest.folds.works:
        if work.labels is not None:
            counts.setdefault(tuple(sorted(combination(work.labels))), Counter())[work.artist] += 1
    table = [
        [list(seen), dict(sorted(own.items()))] for seen, own in sorted(counts.items()) if own.total() > 1
    ]
    path = folder / "label_combinations.json"
    path.unlink(missing_ok=True)
    if table:
        text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
        path.write_text(text + "\n", encoding="utf-8")


def described(nest: Nest) -> str:
    """The data in words, for provenance."""
    count = len(nest.folds.artists)
    return f"{len(nest.works)} works of {count} artists, works.jsonl sha256 {nest.digest}"
