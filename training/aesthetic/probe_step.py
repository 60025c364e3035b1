"""The step `probe`: how much of what people like can be read off frozen features, by one linear map each.

For synthetic photos, whose records say it. The first `photos` (3,000) are looked at: `align`, `tokens` (mean
and spread over the map), `pooled` as the step `features` left them, and two that the models do not read:
`image_style`, served beside `image_align`, and `early`, mean and spread of ImageNet's EfficientNet-Lite0 at
stride 8. RUN/probe.json has Pearson's correlation on test photos of ridge regressions; the penalty is chosen
on validation photos.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.aesthetic.metrics import pearson
from evaluation.aesthetic.photos import INDEX
from nails.photo.preprocess import backbone_input
from training.aesthetic.features import as_works
from training.aesthetic.job import AestheticJob
from training.aesthetic.material import Material, read_material
from training.kit.data.features import read_photo
from training.kit.export.sessions import open_network
from training.kit.networks.backbone import imagenet_backbone
from training.kit.stepwise import StepError

FILE: Final = "probe.json"
PENALTIES: Final = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
PARTS: Final = ("harmony", "neatness", "light", "sharpness")
SHOWN: Final = ("blur", "stops", "warm", "haze", "mess")
Values = NDArray[np.float64]


def run(job: AestheticJob) -> None:
    """Writes RUN/probe.json and prints it. Raises StepError."""
    material = read_material(job)
    if material.photos.source != "drawn":
        raise StepError(f"{job.data}: only records of synthetic photos say what a probe asks for")
    count = min(job.photos, len(material.mos))
    wanted = read_parts(job.data / INDEX, count)
    wanted.pop("fit")  # of a tag, which these features have not seen
    wanted |= {"mos": material.mos[:count].astype(np.float64)}
    style = job.models / "image_style" / "1" / "model.onnx"
    sources = cached(material, count) | measure_photos(material, count, style)
    sources["align + tokens"] = np.hstack([sources["align"], sources["tokens"]])
    sources["align + tokens + style"] = np.hstack([sources["align + tokens"], sources["image_style"]])
    sources["align + tokens + early"] = np.hstack([sources["align + tokens"], sources["early"]])
    splits = [material.rows(split) for split in ("train", "val", "test")]
    rows = [own[own < count] for own in splits]
    table = {
        name: {target: round(fit_ridge(values, wanted[target], rows), 4) for target in wanted}
        for name, values in tqdm(sources.items(), desc="ridge")
    }
    found = {
        "photos": count,
        "test": len(rows[2]),
        "table": table,
        "known": measure_true_qualities(job.data / INDEX, material),
    }
    (job.out / FILE).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{'':24}" + "".join(f"{target:>10}" for target in wanted))
    for name, own in table.items():
        print(f"{name:24}" + "".join(f"{value:>10.3f}" for value in own.values()))
    print("votes, read off the qualities themselves (photos with tags):", found["known"])


def measure_true_qualities(path: Path, material: Material) -> dict[str, float]:
    """What the votes of tagged test photos owe to the qualities themselves: all, without fit, without
    neatness."""
    parts = read_parts(path, len(material.mos))
    tagged = np.array([bool(photo.tags) for photo in material.photos.photos])
    rows = [own[tagged[own]] for own in (material.rows(split) for split in ("train", "val", "test"))]
    mos = material.mos.astype(np.float64)
    sets = {"all": (), "without fit": ("fit",), "without neatness": ("neatness",)}
    return {
        name: round(
            fit_ridge(
                np.stack([parts[part] for part in (*PARTS, "fit") if part not in out], axis=1), mos, rows
            ),
            4,
        )
        for name, out in sets.items()
    }


def read_parts(path: Path, count: int) -> dict[str, Values]:
    """What the records of the first photos say of them, by name: [count] each."""
    with path.open(encoding="utf-8") as file:
        own: list[dict[str, Any]] = [json.loads(line)["aesthetics"] for line in islice(file, count)]
    parts = {name: np.array([record["parts"][name] for record in own]) for name in PARTS}
    # A photo with several tags fits as well as the mean of them; one without has nothing to fit.
    parts["fit"] = np.array([np.mean([*record["parts"]["fit"].values()] or [0.0]) for record in own])
    return parts | {name: np.array([record["shown"][name] for record in own]) for name in SHOWN}


def cached(material: Material, count: int) -> dict[str, Values]:
    """What the step `features` left of the first photos."""
    tokens = material.tokens[:count].astype(np.float32)
    return {
        "align": material.align[:count].astype(np.float64),
        "tokens": np.hstack([tokens.mean(axis=1), tokens.std(axis=1)]).astype(np.float64),
        "pooled": material.pooled[:count].astype(np.float64),
    }


@torch.no_grad()
def measure_photos(material: Material, count: int, style: Path) -> dict[str, Values]:
    """What takes another look at the first photos: image_style [count,256], early features [count,80]."""
    network = imagenet_backbone(depth=8).eval()
    embed = open_network(style)
    styles, early = [], []
    for work in tqdm(as_works(material.photos.photos[:count]), desc="photos", unit="photo", mininterval=1):
        image = backbone_input(read_photo(work))[None]
        styles.append(embed(image)[0][0])
        level = network.levels(torch.from_numpy(image))[8][0].flatten(1)  # [40,H*W]
        early.append(torch.cat([level.mean(dim=1), level.std(dim=1)]).numpy())
    return {"image_style": np.array(styles, np.float64), "early": np.array(early, np.float64)}


def fit_ridge(values: Values, target: Values, rows: list[NDArray[np.int64]]) -> float:
    """Correlation on test photos of a ridge regression; rows: of train, val, test."""
    train, val, test = rows
    scaled = (values - values[train].mean(axis=0)) / (values[train].std(axis=0) + 1e-6)
    gram = scaled[train].T @ scaled[train]
    towards = scaled[train].T @ (target[train] - target[train].mean())
    maps = [np.linalg.solve(gram + penalty * np.eye(len(gram)), towards) for penalty in PENALTIES]
    best = max(maps, key=lambda weights: pearson(scaled[val] @ weights, target[val]))
    return pearson(scaled[test] @ best, target[test])
