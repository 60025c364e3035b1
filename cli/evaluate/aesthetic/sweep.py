"""A folder of images for each setting of something that makes them, and the aesthetic score of each image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli.client.batches import batches, read_photo_bytes
from cli.client.records import PHOTO_SUFFIXES
from cli.errors import RequestError
from evaluation.aesthetic.trend import jonckheere_terpstra, spearman_overall, spearman_per_seed
from lunula.rank.v1 import rank_service_pb2 as rank
from lunula.rank.v1 import rank_service_pb2_grpc as rank_grpc
from lunula.type.v1 import photo_pb2
from nails.photo.codec import PhotoError, decode_photo
from services.kit.client import call
from services.kit.wire.errors import from_item_error

_BATCH = 8

Images = Mapping[float, Mapping[str, Path]]
"""Paths by setting and seed: the file's name without its ending."""
Scores = Mapping[float, Mapping[str, float]]


def find_images(folder: Path) -> dict[float, dict[str, Path]]:
    """The images of DIR/NUMBER/NAME.jpg (or another format) by number and name, numbers rising.

    Every image is decoded, so that a broken one is reported before any is sent. Raises RequestError for no
    folder, one whose name is no number, one without images, two that are one number, fewer than two, two
    images of one name, and for broken images.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder}: no such folder")
    found: dict[float, dict[str, Path]] = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        try:
            scale = float(place.name)
        except ValueError:
            scale = math.nan
        if not math.isfinite(scale):
            raise RequestError(
                f"{place}: the name of a folder says its scale, and {place.name!r} is no number"
            )
        if scale in found:
            raise RequestError(f"{place}: a second folder for the scale {scale:g}")
        found[scale] = _images(place)
    if len(found) < 2:
        raise RequestError(
            f"{folder}: {'one folder' if found else 'no folder'} with a number for a name; "
            "a trend needs two scales or more"
        )
    return dict(sorted(found.items()))


def _images(place: Path) -> dict[str, Path]:
    images: dict[str, Path] = {}
    for path in sorted(place.iterdir()):
        if path.suffix.lower() not in PHOTO_SUFFIXES or not path.is_file():
            continue
        if path.stem in images:
            raise RequestError(f"{path}: {images[path.stem].name} has the same name")
        try:
            decode_photo(path.read_bytes(), max_side=64)
        except PhotoError as error:
            raise RequestError(f"{path}: {error.description} [{error.reason}]") from error
        images[path.stem] = path
    if not images:
        raise RequestError(f"{place}: no images ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return images


async def score_images(
    stub: rank_grpc.RankServiceAsyncStub,
    images: Images,
    tags: Sequence[str],
    scores: dict[float, dict[str, float]],
    on_scored: Callable[[int], None] = lambda _: None,
) -> None:
    """Score every image into `scores`, which keeps the scores so far where a later call fails.

    tags: of all images alike; none: they are scored for no tag. Raises RequestError where an
    image is refused, LunulaError.
    """
    every = {path: (scale, name) for scale, own in images.items() for name, path in own.items()}
    scores.update({scale: {} for scale in images})
    for batch in batches(list(every), _BATCH):
        request = rank.ScoreAestheticsRequest(
            photos=[photo_pb2.Photo(data=read_photo_bytes(path)) for path in batch],
            tags=tags,
            disable_auto_tags=True,  # what a photo looks most like changes with the scale
        )
        response: rank.ScoreAestheticsResponse = await call(stub.ScoreAesthetics, request, timeout=120.0)
        for path, item in zip(batch, response.items, strict=True):
            if item.HasField("error"):
                error = from_item_error(item.error)
                raise RequestError(f"{path}: {error.message} [{error.reason}]")
            scale, name = every[path]
            scores[scale][name] = item.result.score
        on_scored(len(batch))


@dataclass(frozen=True)
class SweepRow:
    """Scores of one scale."""

    scale: float
    images: int
    mean: float
    deviation: float
    low: float
    high: float


def summarise_scales(scores: Scores) -> list[SweepRow]:
    """A row a scale, rising. deviation: of the scores (n - 1; 0 for one image)."""
    rows = []
    for scale, own in sorted(scores.items()):
        values = np.array(list(own.values()))
        deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        rows.append(
            SweepRow(
                scale, len(values), float(values.mean()), deviation, float(values.min()), float(values.max())
            )
        )
    return rows


def summarise_sweep(scores: Scores, tags: Sequence[str]) -> dict[str, Any]:
    """All figures for `--json`: scores by scale, Spearman overall and per seed, the trend."""
    groups = {scale: np.array(list(own.values())) for scale, own in scores.items()}
    trend = jonckheere_terpstra(groups)
    seeds = spearman_per_seed(scores)
    each = np.array(list(seeds.values()))
    return {
        "tags": list(tags),
        "scales": [vars(row) for row in summarise_scales(scores)],
        "spearman": spearman_overall(groups),
        "per seed": {
            "seeds": len(seeds),
            "mean": float(each.mean()) if len(each) else None,
            "median": float(np.median(each)) if len(each) else None,
            "positive": float(np.mean(each > 0)) if len(each) else None,
            "each": seeds,
        },
        "jonckheere-terpstra": vars(trend),
        "scores": {f"{scale:g}": dict(own) for scale, own in sorted(scores.items())},
    }
