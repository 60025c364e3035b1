"""Calibrates the two artist models together and writes them to triton_models/.

python -m training.artist.export --encoders RUN/encoders.pt --out RUN --models triton_models
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.artist.artist_image import EMBEDDING, ArtistHead, ArtistImage
from training.artist.calibrate import (
    calibration_error,
    confidence_logit,
    fit_temperature,
    fit_unknown,
    fused,
    softmax,
    tempered,
)
from training.artist.works import read_works, split_works
from training.design.encoders import load_encoders
from training.design.export import IMAGES, ORIGIN, SCRATCH, example_images
from training.export import ModelCard, Provenance, TensorCard, export_model, fingerprint

logger = logging.getLogger(__name__)
PAPER_WEIGHT = 0.5  # paper A's 5:5
WORDS_VERSION = "1"  # of nails.words, in place of a preprocessing version
Parts = dict[str, NDArray[np.float64]]


def read_parts(path: Path) -> Parts:
    """The arrays of an .npz file."""
    with np.load(path) as stored:
        return {name: stored[name].astype(np.float64) for name in stored.files}


def described(works: int, sha: str) -> str:
    """The data in words, for provenance."""
    return f"synthetic artists, {works} works, index sha256 {sha}"


def fit(
    image: Parts, text: Parts, apart_image: Parts, apart_text: Parts, labels: dict[str, NDArray[np.int64]]
) -> tuple[dict[str, float], dict[str, float]]:
    """Calibration parameters and figures on the test works.

    image: logits by part; text: probabilities by part; `apart`: of the models that never saw the strangers;
    labels: of val and test.
    """
    image_p = {name: softmax(logits) for name, logits in image.items()}
    image_t = fit_temperature(image_p["val"], labels["val"])
    text_t = fit_temperature(text["val"], labels["val"])
    both_val = fused(tempered(image_p["val"], image_t), tempered(text["val"], text_t), PAPER_WEIGHT)
    fused_t = fit_temperature(both_val, labels["val"])

    def judged(pictures: NDArray[np.float64], words: NDArray[np.float64]) -> NDArray[np.float64]:
        mixed = fused(tempered(softmax(pictures), image_t), tempered(words, text_t), PAPER_WEIGHT)
        return tempered(mixed, fused_t)

    apart = {name: judged(apart_image[name], apart_text[name]) for name in ("val", "test", "strangers")}
    bias, slope = fit_unknown(apart["val"], apart["strangers"][::2])
    unknown = {
        name: 1 / (1 + np.exp(-(bias - slope * confidence_logit(table)))) for name, table in apart.items()
    }
    both = judged(image["test"], text["test"])

    def right(table: NDArray[np.float64]) -> float:
        return 100 * float((table.argmax(axis=1) == labels["test"]).mean())

    sweep = {
        f"test accuracy at image weight 0.{tenth}": right(
            fused(tempered(image_p["test"], image_t), tempered(text["test"], text_t), tenth / 10)
        )
        for tenth in range(1, 10)
    }
    return (
        {
            "image_temperature": image_t,
            "text_temperature": text_t,
            "fused_temperature": fused_t,
            "image_weight": PAPER_WEIGHT,
            "unknown_bias": bias,
            "unknown_slope": slope,
        },
        {
            "test accuracy, image": right(image_p["test"]),
            "test accuracy, text": right(text["test"]),
            "test accuracy, both": right(both),
            "test calibration error, both": calibration_error(both, labels["test"]),
            "test calibration error, image": calibration_error(
                tempered(image_p["test"], image_t), labels["test"]
            ),
            "strangers called unknown": 100 * float((unknown["strangers"][1::2] > 0.5).mean()),
            "known works called unknown": 100 * float((unknown["test"] > 0.5).mean()),
            **sweep,
        },
    )


def export_text(source: Path, folder: Path, about: dict[str, Any], parameters: dict[str, str]) -> None:
    """Copies the quantised model and writes its model.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / "model.ftz")
    sha = hashlib.sha256((folder / "model.ftz").read_bytes()).hexdigest()
    tables: dict[str, dict[str, Any]] = {
        "model": {
            "name": "artist_text",
            "description": "fastText over the words of title and description; runs inside ClassifyService",
            "licence": "Apache-2.0",
            "weights": "model.ftz",
            "weights_sha256": sha,
            "precision": "int8",
            "preprocess_version": WORDS_VERSION,
            "fingerprint": fingerprint(sha, WORDS_VERSION, "int8"),
        },
        "parameters": parameters,
        "provenance": {
            "command": about["command"],
            "data": described(about["works"], about["digest"]),
            "seed": about["seed"],
            "licence_of_origin": SCRATCH,
        },
        "provenance.metrics": about["metrics"],
    }
    lines = []
    for header, rows in tables.items():
        lines.append(f"[{header}]")
        # JSON's strings and numbers are TOML's
        lines += [
            f"{key if key.isidentifier() else json.dumps(key)} = {json.dumps(value)}"
            for key, value in rows.items()
        ]
        lines.append("")
    (folder / "model.toml").write_text("\n".join(lines), encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.artist.export", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="the works, for the labels of the held-out parts"
    )
    parser.add_argument("--encoders", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("triton_models"))
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stored = torch.load(args.out / "artist.pt", map_location="cpu", weights_only=True)
    about_text = json.loads((args.out / "text.json").read_text(encoding="utf-8"))
    split = split_works(read_works(args.data), seed=stored["config"]["seed"])
    if not list(split.artists) == stored["artists"] == about_text["artists"]:
        raise SystemExit("the two models and the data do not speak of the same artists")
    labels = {"val": split.labels(split.val), "test": split.labels(split.test)}
    parts = [read_parts(args.out / f"{name}.npz") for name in ("image", "text", "image-apart", "text-apart")]
    calibration, metrics = fit(*parts, labels)
    logger.info("%s", {**calibration, **metrics})
    parameters = {name: f"{value:.6g}" for name, value in calibration.items()}

    encoders = load_encoders(args.encoders)[0]
    head = ArtistHead(len(split.artists))
    head.load_state_dict(stored["state"])
    card = ModelCard(
        name="artist_image",
        description="Artist of a nail crop: design backbone with a cosine classifier; labels in labels.txt",
        inputs=(IMAGES,),
        outputs=(
            TensorCard("logits", "f32", (len(split.artists),)),
            TensorCard("embedding", "f32", (EMBEDDING,)),
        ),
        parameters=parameters,
    )
    folder = args.models / "artist_image"
    report = export_model(
        ArtistImage(encoders, head).eval(),
        card,
        folder,
        example=(example_images(),),
        provenance=Provenance(
            command=stored["command"],
            data=described(stored["data"]["works"], stored["data"]["digest"]),
            seed=stored["config"]["seed"],
            licence_of_origin=ORIGIN,
            metrics=metrics | stored["metrics"],
        ),
        half_tolerance=0.2,
    )
    (folder / "labels.txt").write_text("".join(f"{artist}\n" for artist in split.artists), encoding="utf-8")
    logger.info(
        "artist_image: %d bytes, graph %s, fp16 weights %s",
        report.size,
        report.graph_error,
        report.half_error,
    )
    export_text(args.out / "model.ftz", args.models / "artist_text", about_text, parameters)


if __name__ == "__main__":
    main()
