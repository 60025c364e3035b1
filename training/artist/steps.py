"""The steps of `lunula train artist`: what they are called, where they live, what they leave behind."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any, Final

from training.artist.job import ArtistJob

STEPS: Final[dict[str, str]] = {
    "folds": "training.artist.fold_step:run",
    "features": "training.artist.image.feature_step:run",
    "image": "training.artist.image.image_step:run",
    "text": "training.artist.text.steps:fasttext",
    "text_w2v": "training.artist.text.steps:word2vec",
    "text_d2v": "training.artist.text.steps:doc2vec",
    "text_tfidf": "training.artist.text.steps:tfidf",
    "labels": "training.artist.baselines.label_step:run",
    "majority": "training.artist.baselines.label_step:majority",
    "knn_image": "training.artist.baselines.knn_step:image",
    "knn_text": "training.artist.baselines.knn_step:text",
    "vgg16": "training.artist.image.vgg_step:run",
    "control": "training.artist.image.control_step:run",
    "fuse": "training.artist.fusion.step:run",
    "openset": "training.artist.openset.step:run",
    "export": "training.artist.export.step:run",
}
"""Name of a step -> "module:function"; each owner of steps adds lines."""


def write_about(folder: Path, job: ArtistJob, kind: str, what: str, started: float, **more: Any) -> None:
    """Writes folder/about.json: the last file of a model, so that its presence says that it is complete.

    kind: "probabilities" or "scores". started: time.monotonic() at the beginning of this run of the step.
    """
    from evaluation.artist.works import digest

    about = {
        "kind": kind,
        "what": what,
        "seed": job.seed,
        "command": job.command or shlex.join(["lunula", "train", "artist", folder.name]),
        "data": digest(job.data),
        "seconds": round(time.monotonic() - started, 1),
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "about.json.part"
    draft.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / "about.json")
