"""Fill a folder with synthetic photos: parallel, resumable, the same bytes for the same seed.

Every photo depends only on its own seed, so an interrupted run continues where it stopped and any number of
workers writes the same files. `index.jsonl` is written last and in order; it exists only when all is there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import simplejpeg

from training.synth.ingredients import checked
from training.synth.run_facts import complete
from training.synth.scene import draw


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


def photo_seed(seed: int, number: int) -> int:
    """Seed of the photo `number` of a run: runs of different seeds share no photo below 10 million photos."""
    return seed * 10_000_000 + number


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
) -> Path:
    """Write `n` photos to `out` (images/, masks/, records/, index.jsonl) and return the path of the index.

    Photos whose record exists are kept. `without`: names of training.synth.ingredients to leave out. Raises
    ValueError where `out` holds a run with other settings, and for an unknown ingredient.
    """
    out = Path(out)
    left_out = tuple(sorted(checked(without)))
    for folder in ("images", "masks", "records"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    settings = {
        "seed": seed,
        "kind": kind,
        "size": size,
        "quality": quality,
        "backgrounds": str(backgrounds or ""),
        "without": list(left_out),
    }
    _same_run(out, settings)
    jobs = [Job(out, i, photo_seed(seed, i), kind, size, quality, backgrounds, left_out) for i in range(n)]
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
            with ProcessPoolExecutor(workers, context, initializer=_one_thread) as pool:
                for future in as_completed([pool.submit(write_one, job) for job in missing]):
                    future.result()
                    bar.advance(task)
    index = out / "index.jsonl"
    draft = out / "index.jsonl.part"
    records = [json.loads(_record_path(job).read_text(encoding="utf-8")) for job in jobs]
    complete(records)
    with draft.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records)
    draft.replace(index)
    return index


def write_one(job: Job) -> None:
    """Draw and write one photo; the record comes last and atomically, so that it vouches for the rest."""
    sample = draw(job.seed, job.kind, job.size, job.backgrounds, without=job.without)
    name = f"{job.number:06d}"
    image_path, mask_path = f"images/{name}.jpg", f"masks/{name}.png"
    data = simplejpeg.encode_jpeg(sample.image, quality=job.quality, colorspace="RGB", colorsubsampling="420")
    (job.out / image_path).write_bytes(data)
    (job.out / mask_path).write_bytes(cv2.imencode(".png", sample.mask)[1].tobytes())
    record: dict[str, Any] = {"id": name, "image": image_path, "mask": mask_path, **sample.record}
    path = _record_path(job)
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    draft.replace(path)


def _record_path(job: Job) -> Path:
    return job.out / "records" / f"{job.number:06d}.json"


def _same_run(out: Path, settings: dict[str, Any]) -> None:
    path = out / "settings.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != settings:
            raise ValueError(f"{out} holds a run with other settings: {before}")
    else:
        path.write_text(json.dumps(settings) + "\n", encoding="utf-8")


def _one_thread() -> None:
    cv2.setNumThreads(1)
