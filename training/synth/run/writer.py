"""Fill a folder with synthetic photos: parallel, resumable, the same bytes for the same seed.

Every photo depends only on its own seed, so an interrupted run continues where it stopped and any number of
workers writes the same files. `index.jsonl` is written last and in order; it exists only when all is there.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cv2
import simplejpeg

from training.synth.image import generate
from training.synth.ingredients import validate_ingredients
from training.synth.kinds.artists import ARTISTS, MOST_ARTISTS
from training.synth.kinds.subjects import GROUPS, KINDS, design_split
from training.synth.run.lists import add_accepted, lists

MOST = 10_000_000  # photos of one run
SIZES = (64, 4096)


@dataclass(frozen=True)
class Job:
    """One photo to write."""

    out: Path
    number: int
    seed: int
    kind: str
    size: int
    quality: int
    backgrounds: Path | None
    without: tuple[str, ...] = ()
    artists: int = ARTISTS


def photo_seed(seed: int, number: int) -> int:
    """Seed of the photo `number` of a run: runs of different seeds share no photo below 10 million photos."""
    return seed * MOST + number


def numbers_of_splits(seed: int, splits: Mapping[str, int]) -> list[int]:
    """The first numbers of a run of designs that fill every split, in order.

    Raises ValueError for an unknown split or a size below 0.
    """
    for name, size in splits.items():
        if name not in ("train", "val", "test") or not 0 <= size <= MOST // 100:
            raise ValueError(f"{name}={size}: train, val or test, and 0 to {MOST // 100:,} photos")
    left = dict(splits)
    numbers = []
    for number in range(MOST):
        if not any(left.values()):
            break
        split = design_split(photo_seed(seed, number))
        if left.get(split):
            left[split] -= 1
            numbers.append(number)
    return numbers


def _numbers(n: int, seed: int, kind: str, splits: Mapping[str, int] | None) -> Sequence[int]:
    if splits is None:
        return range(n)
    if kind != "designs" or sum(splits.values()) != n:
        raise ValueError("splits go with kind designs, and n is their sum")
    return numbers_of_splits(seed, splits)


def write(
    out: Path | str,
    n: int,
    seed: int = 7,
    kind: str = "designs",
    workers: int | None = None,
    size: int = 640,
    quality: int = 90,
    backgrounds: Path | None = None,
    progress: bool = True,
    without: Iterable[str] = (),
    artists: int = ARTISTS,
    splits: Mapping[str, int] | None = None,
) -> Path:
    """Write `n` photos to `out` (images/, masks/, hands/, records/, index.jsonl); returns the index's path.

    Photos whose record exists are kept. `without`: names of training.synth.ingredients to leave out.
    `artists`: how many share the works of kind "artists". `splits`: how many photos of each split, in place
    of the first `n`, which is then their sum; kind "designs" alone. Raises ValueError where `out` holds a run
    with other settings and for arguments out of range, OSError where `out` cannot be written, and
    RuntimeError where a process died.
    """
    out = Path(out)
    left_out = tuple(sorted(validate_ingredients(without)))
    _in_range(n, seed, kind, workers, size, quality, artists)
    numbers = _numbers(n, seed, kind, splits)
    if backgrounds is not None and not backgrounds.is_dir():
        raise ValueError(f"{backgrounds}: no folder of backgrounds")
    for folder in ("images", "masks", "hands", "records"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    settings = {
        "seed": seed,
        "kind": kind,
        "size": size,
        "quality": quality,
        "backgrounds": str(backgrounds or ""),
        "without": list(left_out),
    }
    if kind == "artists":
        settings["artists"] = artists
    if splits is not None:
        settings["splits"] = dict(splits)
    _same_run(out, settings)
    jobs = [
        Job(out, i, photo_seed(seed, i), kind, size, quality, backgrounds, left_out, artists) for i in numbers
    ]
    missing = [job for job in jobs if not _record_path(job).exists()]
    workers = workers or os.cpu_count() or 1
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task("photos", total=n, completed=n - len(missing))
        if workers == 1:
            for job in missing:
                write_one(job)
                bar.advance(task)
        else:
            # fresh processes: a fork would inherit locks of the parent's threads
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(workers, context, initializer=_prepare) as pool:
                try:
                    for future in as_completed([pool.submit(write_one, job) for job in missing]):
                        future.result()
                        bar.advance(task)
                except BrokenProcessPool as error:
                    raise RuntimeError(
                        "a rendering process was killed (is there too little memory?); "
                        "the same command goes on where this run stopped"
                    ) from error
                finally:
                    pool.shutdown(cancel_futures=True)  # after an error, do not render the rest first
    index = out / "index.jsonl"
    records = [json.loads(_record_path(job).read_text(encoding="utf-8")) for job in jobs]
    add_accepted(records)
    for name, text in lists(kind, records).items():
        _write_whole(out / name, (text,))
    _write_whole(index, (json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records))
    return index


def write_one(job: Job) -> None:
    """Render and write one image; its record comes last and atomically, so that it vouches for the rest."""
    sample = generate(job.seed, job.kind, job.size, job.backgrounds, job.artists, job.without)
    name = f"{job.number:06d}"
    image_path, mask_path = f"images/{name}.jpg", f"masks/{name}.png"
    data = simplejpeg.encode_jpeg(sample.image, quality=job.quality, colorspace="RGB", colorsubsampling="420")
    (job.out / image_path).write_bytes(data)
    (job.out / mask_path).write_bytes(cv2.imencode(".png", sample.mask)[1].tobytes())
    hands_path = f"hands/{name}.png"
    (job.out / hands_path).write_bytes(cv2.imencode(".png", sample.hands)[1].tobytes())
    record: dict[str, Any] = {
        "id": name,
        "image": image_path,
        "mask": mask_path,
        "hands_mask": hands_path,
        **sample.record,
    }
    _write_whole(_record_path(job), (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n",))


def _write_whole(path: Path, texts: Iterable[str]) -> None:
    """Write a file that is either all there or not there, whenever the process dies."""
    draft = path.with_name(path.name + ".part")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(texts)
    draft.replace(path)


def _record_path(job: Job) -> Path:
    return job.out / "records" / f"{job.number:06d}.json"


def _in_range(
    n: int, seed: int, kind: str, workers: int | None, size: int, quality: int, artists: int
) -> None:
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: one of {', '.join(KINDS)}")
    for name, value, low, high in (
        ("n", n, 1, MOST),
        ("seed", seed, 0, 2**40),
        ("workers", workers or 1, 1, 1024),
        ("size", size, *SIZES),
        ("quality", quality, 1, 100),
        ("artists", artists, 1, MOST_ARTISTS),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, not in {low:,} to {high:,}")
    if n % GROUPS.get(kind, 1):
        raise ValueError(f"photos of kind {kind} come in groups of {GROUPS[kind]}: n is {n}")


def _same_run(out: Path, settings: dict[str, Any]) -> None:
    path = out / "settings.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != settings:
            raise ValueError(f"{out} holds a run with other settings: {before}")
    else:
        _write_whole(path, (json.dumps(settings) + "\n",))


def _prepare() -> None:
    """Set a rendering process up: one thread, and no life after the process that wanted the photos."""
    cv2.setNumThreads(1)
    _keep_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _keep_memory() -> None:
    """Tell glibc, where it is there, to keep freed arrays: giving each back costs a tenth of the time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: its largest value
        mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
