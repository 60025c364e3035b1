"""Real photos with written requests, which are only ever measured.

Form: `requests.jsonl`, lines of {"image": path, "requests": {language: text}}. Crops are files that
CropService cut (`lunula crop`), since on real photos nobody knows the truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nails.photo.preprocess import backbone_input
from training.design.data.features import OUTPUTS, Everything, Features
from training.kit.data.photos import read_image
from training.kit.export.sessions import SIZE, onnx_runner
from training.kit.networks.encoders import Encoders


@dataclass(frozen=True)
class Real:
    """photos, crops: P paths each. requests: Q pairs (language, text); owner i64 [Q]: their photo."""

    photos: list[Path]
    crops: list[Path]
    requests: list[tuple[str, str]]
    owner: NDArray[np.int64]


def read_real(folder: Path, crops: Path) -> Real:
    """Reads `folder`/requests.jsonl. Raises FileNotFoundError for a photo without a crop."""
    photos: list[Path] = []
    cut, requests, owner = [], [], []
    for line in (folder / "requests.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        photo = folder / fields["image"]
        crop = crops / f"{photo.stem}.crop.png"
        if not crop.exists():
            raise FileNotFoundError(f"{crop}: run `lunula crop {photo} --out {crops}` first")
        for language, text in sorted(fields["requests"].items()):
            requests.append((language, text))
            owner.append(len(photos))
        photos.append(photo)
        cut.append(crop)
    return Real(photos, cut, requests, np.array(owner, np.int64))


def embed_real(model: Encoders, real: Real) -> Features:
    """The features of the photos in their serving view, V = 1."""
    run = onnx_runner(Everything(model), OUTPUTS)
    found = []
    for photo, crop in zip(real.photos, real.crops, strict=True):
        views = [backbone_input(read_image(file), SIZE) for file in (photo, crop)]
        found.append(run(np.stack(views)))
    align, style, facts, tokens = (np.stack(x).astype(np.float16) for x in zip(*found, strict=True))
    return Features(
        names=np.array([photo.stem for photo in real.photos]),
        align=align[:, :1],
        style=style[:, :1],
        crop_align=align[:, 1:],
        crop_style=style[:, 1:],
        facts=facts[:, 0],
        tokens=tokens[:, 0],
    )
