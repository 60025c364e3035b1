"""What a frozen network says of every photo, computed once and kept: what the heads are trained on.

RUN/features/NAME/chunk-00000.npz … hold 256 works each in the order of the folds; a chunk is written whole or
not at all, so an interrupted run goes on with the next one. Several processes share the chunks.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from evaluation.artist.works import Work
from nails.photo.codec import PhotoError, decode_photo
from training.kit.stepwise import StepError

CHUNK = 256
BATCH = 8
LONGEST = 1024  # pixels: photos are read no larger
Photo = NDArray[np.uint8]
Arrays = dict[str, NDArray[np.float16]]
Run = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]
Views = Callable[[Photo, Work, int], list[NDArray[np.float32]]]
"""(photo u8 [H,W,3], work, its row) -> views f32 [3,S,S] each."""


@dataclass(frozen=True)
class Source:
    """Where features come from. opener: makes the network's function from `network`, in each process; views:
    of a photo, as many of every one; outputs: names of what the network gives."""

    network: Path
    opener: Callable[[Path], Run]
    views: Views
    outputs: tuple[str, ...]


def read_photo(work: Work) -> Photo:
    """The photo of a work, upright. Raises StepError that names the file."""
    if work.image is None:
        raise ValueError(f"{work.id} has no photo")
    try:
        return decode_photo(work.image.read_bytes(), max_side=LONGEST)
    except (PhotoError, OSError) as error:
        raise StepError(f"{work.image}: the photo of work {work.id!r} cannot be read: {error}") from None


def extract(folder: Path, works: Sequence[Work], source: Source, workers: int, what: str) -> None:
    """Fills `folder` with the features of the works that have a photo; what is there is passed over."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (chunk_path(folder, number), start, list(works[start : start + CHUNK]))
        for number, start in enumerate(range(0, len(works), CHUNK))
    ]
    missing = [job for job in jobs if not job[0].exists()]
    bar = tqdm(total=len(works), initial=_count(jobs, missing), desc=what, unit="photo", mininterval=1)
    with bar:
        if workers <= 1:
            _start(source)
            for job in missing:
                bar.update(_work(job))
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(source,)) as pool:
            for done in pool.map(_work, missing):
                bar.update(done)


def load(folder: Path, names: Sequence[str], works: int, step: str = "features") -> Arrays:
    """Arrays f16 [N,V,...] by name in the order of the folds, zeros for works without a photo.

    Raises StepError where a chunk is missing.
    """
    found: dict[str, list[NDArray[np.float16]]] = {name: [] for name in names}
    for number in range(-(-works // CHUNK)):
        path = chunk_path(folder, number)
        if not path.exists():
            raise StepError(f"{path} is missing: do the step {step} first")
        with np.load(path, allow_pickle=False) as stored:
            for name in names:
                found[name].append(stored[name])
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    if any(len(array) != works for array in arrays.values()):
        raise StepError(f"{folder}: of other works than the folds; delete it")
    return arrays


def chunk_path(folder: Path, number: int) -> Path:
    """Where a chunk lies."""
    return folder / f"chunk-{number:05d}.npz"


def _count(
    jobs: Sequence[tuple[Path, int, list[Work]]], missing: Sequence[tuple[Path, int, list[Work]]]
) -> int:
    return sum(len(job[2]) for job in jobs) - sum(len(job[2]) for job in missing)


_STATE: tuple[Source, Run] | None = None


def _start(source: Source) -> None:
    """Sets a process up: its own session, one thread."""
    global _STATE  # noqa: PLW0603  # what a process of the pool keeps between its chunks
    cv2.setNumThreads(1)
    _STATE = (source, source.opener(source.network))


def _work(job: tuple[Path, int, list[Work]]) -> int:
    """Computes and writes one chunk; returns its number of works."""
    assert _STATE is not None
    source, run = _STATE
    path, start, works = job
    with_photo = [index for index, work in enumerate(works) if work.image is not None]
    rows: dict[str, NDArray[np.float16]] = {}
    for first in range(0, len(with_photo), BATCH):
        chosen = with_photo[first : first + BATCH]
        views = [source.views(read_photo(works[index]), works[index], start + index) for index in chosen]
        count = len(views[0])
        found = run(np.stack([view for own in views for view in own]))
        for name, values in zip(source.outputs, found, strict=True):
            shaped = values.reshape(len(chosen), count, *values.shape[1:]).astype(np.float16)
            if name not in rows:
                rows[name] = np.zeros((len(works), *shaped.shape[1:]), np.float16)
            rows[name][chosen] = shaped
    if not rows:  # no photo in the whole chunk: ask the network for the shapes
        blank = source.views(np.zeros((64, 64, 3), np.uint8), works[0], start)
        for name, values in zip(source.outputs, run(np.stack(blank)), strict=True):
            rows[name] = np.zeros((len(works), *values.shape), np.float16)
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as file:
        np.savez(file, **rows)  # type: ignore[arg-type]  # its last parameter is a flag
    draft.replace(path)
    return len(works)
