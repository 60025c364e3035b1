"""The step `features`: what the frozen models say of every photo and every tag, computed once.

RUN/features holds, in chunks of 256 photos,
- `align` [512] and `tokens` [49,320] of the served `image_align`, of the whole photo as the services read it;
- `pooled` [1280], ImageNet's EfficientNet-Lite0 before its classifier, for the baseline without text.
RUN/words.npz holds the vectors of the tags' words, as `text_encode` gives them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.aesthetic.rated import Rated, RatedSet
from evaluation.artist.works import Work
from nails.photo.preprocess import backbone_input
from training.aesthetic.job import AestheticJob
from training.kit.data.features import Photo, Run, Source, extract
from training.kit.data.sentences import Sentences
from training.kit.export.onnx_files import sha256_of
from training.kit.export.sessions import open_network, write_network
from training.kit.networks.backbone import imagenet_backbone
from training.kit.stepwise import StepError, remember

logger = logging.getLogger(__name__)
FOLDER = "features"
OUTPUTS = ("align", "tokens", "pooled")
WORDS = "words.npz"
_LITE = "efficientnet-lite0.onnx"
_LINK = "image_align.onnx"


def run(job: AestheticJob) -> None:
    """Writes RUN/features and RUN/words.npz. Raises StepError."""
    photos = job.rated_photos()
    served = job.models / "image_align" / "1" / "model.onnx"
    if not served.is_file():
        raise StepError(f"{served}: no such file; --models FOLDER says where image_align is")
    folder = job.out / FOLDER
    remember(folder, {"data": photos.digest, "photos": len(photos.photos), "image_align": sha256_of(served)})
    prepare(folder, served)
    extract(
        folder,
        as_works(photos.photos),
        Source(folder, open_both, serving_views, OUTPUTS),
        job.workers,
        "photos",
    )
    write_words(job.out, photos)


def prepare(folder: Path, served: Path) -> None:
    """Puts both networks into `folder`, as files that a process of its own can open."""
    (folder / _LINK).write_bytes(served.read_bytes())
    if not (folder / _LITE).exists():
        draft = folder / f"part-{_LITE}"
        write_network(imagenet_backbone(), draft, outputs=("pooled",))
        draft.replace(folder / _LITE)


def open_both(folder: Path) -> Run:
    """Both networks as one function: images f32 [N,3,224,224] -> align, tokens, pooled."""
    align, pooled = open_network(folder / _LINK), open_network(folder / _LITE)

    def look(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        # One photo at a time, as it is served: rounding does not depend on neighbours.
        singles = [align(images[i : i + 1]) for i in range(len(images))]
        return [np.concatenate(parts) for parts in zip(*singles, strict=True)] + pooled(images)

    return look


def serving_views(photo: Photo, _work: Work, _row: int) -> list[NDArray[np.float32]]:
    """The whole photo: f32 [3,224,224]."""
    return [backbone_input(photo)]


def as_works(photos: Sequence[Rated]) -> list[Work]:
    """The photos in the form that `extract` takes."""
    return [Work(id=photo.id, image=photo.image, title="", description="", artist="") for photo in photos]


def write_words(out: Path, photos: RatedSet) -> None:
    """Encodes the words of all tags in all their languages into RUN/words.npz."""
    sentences = Sentences(out / WORDS)
    sentences.add(text for words in photos.words.values() for text in words.values())
    sentences.save()
    logger.info("%d tags in %d texts", len(photos.words), len(sentences.rows))
