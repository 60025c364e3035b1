"""The step `train`: every variant of the table, several runs each, and what they say of the test photos.

The weight of the squared error and how several tags are averaged are chosen on the validation photos first
(RUN/choice.json); nothing is chosen on test photos. A run leaves RUN/models/VARIANT/run-K.pt, its last file,
and RUN/predictions/VARIANT/run-K.npz.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.aesthetic.predictions import Scored, Truth, write, write_about
from training.aesthetic.fitting import (
    VARIANTS,
    Config,
    Inputs,
    Network,
    PhotoScores,
    answer,
    build,
    figures,
    fit,
    with_seed,
)
from training.aesthetic.job import AestheticJob
from training.aesthetic.material import NONE, Material, Rows, read_material
from training.kit.compute import CPU, Compute
from training.kit.stepwise import StepError, remember

logger = logging.getLogger(__name__)
WEIGHTS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
COMBINES: Final[tuple[Literal["mean", "attention"], ...]] = ("mean", "attention")
MODELS: Final = "models"
CHOICE: Final = "choice.json"


@dataclass(frozen=True)
class Trained:
    """A stored run. line: (factor, shift) that give its scores their scale."""

    network: Network
    config: Config
    line: tuple[float, float]
    val: dict[str, float]
    seconds: float


def run(job: AestheticJob) -> None:
    """Trains what is missing. Raises StepError."""
    variants, runs = job.variants, job.runs
    config = Config(epochs=job.epochs, grid=job.grid)
    material = read_material(job)
    tokens = material.at(config.grid)
    remember(
        job.out / MODELS,
        {"data": material.photos.digest, "seed": job.seed, "epochs": config.epochs, "grid": config.grid},
    )
    config = chosen(job, material, Inputs.of(material, "ours", tokens), config)
    remember(job.out / MODELS / "chosen", {"weight": config.weight, "attentive": config.attentive})
    test = material.rows("test")
    truth = read_truth(material, test)
    wrong = wrong_tags(material, test, job.seed)
    with tqdm(total=len(variants) * runs, desc="runs", unit="run") as bar:
        for variant in variants:
            inputs = Inputs.of(material, variant, tokens)
            seconds = []
            for number in range(1, runs + 1):
                path = model_path(job.out, variant, number)
                bar.set_postfix_str(f"{variant} {number}")
                if not path.exists():
                    trained = train_one(
                        material, inputs, variant, with_seed(config, job.seed, number), job.compute
                    )
                    answers = [
                        score_photos(trained, inputs, test, tags) for tags in (material.tags[test], wrong)
                    ]
                    write(job.out, variant, truth, make_scored(number, variant, answers, truth))
                    save(path, trained)
                    logger.info("%s %d: %s", variant, number, trained.val)
                seconds.append(load(path, variant).seconds)
                bar.update()
            write_about(
                job.out,
                variant,
                what=VARIANTS[variant].what,
                command=job.command,
                seed=job.seed,
                settings=asdict(config),
                seconds=round(sum(seconds), 1),
                data=material.photos.digest,
            )
    print_runs(job.out, variants, runs)


def chosen(job: AestheticJob, material: Material, inputs: Inputs, config: Config) -> Config:
    """With weight and averaging: as the job says, of RUN/choice.json, or chosen now on validation photos."""
    weight: str | None = job.weight
    combine: str | None = job.combine
    path = job.out / CHOICE
    choice: dict[str, Any] = {"weight": {}, "combine": {}}
    if path.exists():
        choice = json.loads(path.read_text(encoding="utf-8"))

    def tried(kind: str, name: str, other: Config) -> float:
        """SRCC on validation photos, of run 0, which is in no table."""
        if name not in choice[kind]:
            trained = train_one(material, inputs, "ours", with_seed(other, job.seed, 0), job.compute)
            choice[kind][name] = trained.val
            path.write_text(json.dumps(choice, indent=1) + "\n", encoding="utf-8")
            logger.info("%s %s: %s", kind, name, trained.val)
        return float(choice[kind][name]["srcc"])

    if weight is None:
        found = {
            f"{w:g}": tried("weight", f"{w:g}", replace(config, weight=w)) for w in _bar(WEIGHTS, "weight")
        }
        weight = max(found, key=lambda name: found[name])
    config = replace(config, weight=float(weight))
    if combine is None:
        found = {
            name: tried("combine", name, replace(config, attentive=name == "attention"))
            for name in _bar(COMBINES, "combine")
        }
        combine = max(found, key=lambda name: found[name])
    return replace(config, attentive=combine == "attention")


def train_one(
    material: Material, inputs: Inputs, variant: str, config: Config, compute: Compute = CPU
) -> Trained:
    """One training, with its figures on the validation photos."""
    started = time.monotonic()
    network = fit(variant, inputs, material.rows("train"), config, compute)
    seconds = time.monotonic() - started
    val = material.rows("val")
    answers = answer(network, inputs, val, material.tags[val])
    line = (1.0, 0.0)
    if VARIANTS[variant].scaled:
        factor, shift = np.polyfit(answers.score, material.mos[val], 1)
        line = (float(factor), float(shift))
    score = (answers.score * line[0] + line[1]).astype(np.float32)
    return Trained(network, config, line, figures(score, material.mos[val]), seconds)


def score_photos(
    trained: Trained, inputs: Inputs, rows: Rows, tags: Rows, image: torch.Tensor | None = None
) -> PhotoScores:
    """What a run says, on the scale of votes: scores in 1-10."""
    answers = answer(trained.network, inputs, rows, tags, image)
    score = np.clip(answers.score * trained.line[0] + trained.line[1], 1, 10).astype(np.float32)
    return PhotoScores(score, answers.distribution)


def read_truth(material: Material, rows: Rows) -> Truth:
    """The photos `rows` in the form that evaluation reads."""
    photos = [material.photos.photos[row] for row in rows]
    likeness = material.likeness[rows]
    tagged = np.isfinite(likeness)
    mean = np.where(tagged, likeness, 0).sum(axis=1) / np.maximum(tagged.sum(axis=1), 1)
    return Truth(
        ids=tuple(photo.id for photo in photos),
        mos=material.mos[rows],
        votes=material.votes[rows],
        tags=tuple(photo.tags for photo in photos),
        similarity=np.where(tagged.any(axis=1), mean, np.nan).astype(np.float32),
    )


def wrong_tags(material: Material, rows: Rows, seed: int) -> Rows:
    """For each photo the tags [n,2] of another that shares none; none where it has none itself.

    Raises StepError where there is no such photo.
    """
    rng = np.random.default_rng([seed, 11])
    own = material.tags[rows]
    found = np.full_like(own, NONE)
    tagged = np.flatnonzero((own != NONE).any(axis=1))
    for place in tagged:
        mine = set(own[place].tolist()) - {NONE}
        for other in rng.permutation(tagged):
            if not mine & set(own[other].tolist()):
                found[place] = own[other]
                break
        else:
            raise StepError(f"every test photo shares a tag with {material.photos.photos[rows[place]].id}")
    return found


def make_scored(number: int, variant: str, answers: Sequence[PhotoScores], truth: Truth) -> Scored:
    """A run for the file; answers: asked with the photos' own tags, and with wrong ones."""
    wrong: NDArray[np.float32] = np.where(truth.tagged, answers[1].score, np.nan).astype(np.float32)
    return Scored(
        number, answers[0].score, answers[0].distribution if VARIANTS[variant].bins else None, wrong
    )


def model_path(out: Path, variant: str, number: int) -> Path:
    """Where a run's network lies."""
    return out / MODELS / variant / f"run-{number}.pt"


def save(path: Path, trained: Trained) -> None:
    """Writes a run whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {
        "weights": trained.network.state_dict(),
        "config": asdict(trained.config),
        "line": trained.line,
        "val": trained.val,
        "seconds": trained.seconds,
    }
    draft = path.with_suffix(".part")
    torch.save(stored, draft)
    draft.replace(path)


def load(path: Path, variant: str) -> Trained:
    """The run that `save` wrote. Raises StepError where there is none."""
    if not path.exists():
        raise StepError(f"{path}: no such run; do the step train first")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    config = Config(**stored["config"])
    network = build(variant, config)
    network.load_state_dict(stored["weights"])
    network.eval()
    return Trained(network, config, tuple(stored["line"]), stored["val"], stored["seconds"])


def print_runs(out: Path, variants: Sequence[str], runs: int) -> None:
    """Prints mean and standard deviation over the runs, on validation photos."""
    print(f"{'validation':12}" + "".join(f"{name:>16}" for name in ("lcc", "srcc", "mae")))
    for variant in variants:
        found = [load(model_path(out, variant, number), variant).val for number in range(1, runs + 1)]
        cells = [[own[name] for own in found] for name in ("lcc", "srcc", "mae")]
        print(f"{variant:12}" + "".join(f"{np.mean(own):>9.4f} ±{np.std(own):.4f}" for own in cells))


def _bar(values: Sequence[Any], name: str) -> Any:
    return tqdm(values, desc=name, unit="run")
