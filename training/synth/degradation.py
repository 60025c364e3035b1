"""Series of images from bad to good: the same set on the same hand in the same light, painted and
photographed with more and more care.

    lunula data degraded --n 40 --steps 5 --seed 3 --out DIR

DIR/1 … DIR/STEPS hold the steps, each n photos; what has one name in all of them is one set. Step 1 is the
worst: paint beside the nail and gaps in it, blur, wrong exposure, colour cast, haze; the last one is without
fault and exposed as the tag wants. DIR/degraded.jsonl says of every photo what was done to it, and the
score that training.synth.kinds.aesthetics has for it, which never falls from step to step.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import simplejpeg
from tyro.conf import arg

from training.kit.flags import parse
from training.synth.command import reported_errors
from training.synth.design.designs import Design
from training.synth.image import Sample, compose
from training.synth.kinds.aesthetics import TAGS, Tag, sample_rated_design, score_design
from training.synth.kinds.subjects import Subject
from training.synth.nail.craft import Craft
from training.synth.run.writer import SIZES, photo_seed
from training.synth.scene.record import is_visible

KIND: Final = "aesthetics"
LISTING: Final = "degraded.jsonl"
MOST: Final = 10_000
MOST_STEPS: Final = 20
_QUALITY = 90
_TRIES = 400  # designs sampled to find one with a tag; one in about 20 has it


@dataclass(frozen=True)
class Series:
    """A set with its tags, the seed of its scene, and the care of each step, worst first."""

    design: Design
    tags: tuple[Tag, ...]
    scene: int
    steps: tuple[Craft, ...]


@dataclass(frozen=True)
class Job:
    """One series to write."""

    out: Path
    number: int
    seed: int
    steps: int
    size: int
    tag: str


def make_series(seed: int, steps: int, tag: str = "") -> Series:
    """The series of a seed. tag: one that its design must have, "" for any.

    Raises ValueError for an unknown tag and fewer than two steps.
    """
    if steps < 2:
        raise ValueError("a series has two steps or more")
    if tag and tag not in TAGS:
        raise ValueError(f"unknown tag {tag!r}: one of {', '.join(TAGS)}")
    rng = np.random.default_rng([seed, zlib.crc32(b"degraded")])
    for _ in range(_TRIES):
        found = sample_rated_design(rng, allow_held_out=True)
        if not tag or tag in found.tags:
            break
    tags = tuple(TAGS[name] for name in found.tags)
    stops = float(np.mean([one.stops for one in tags])) if tags else 0.0
    worst = _worst(rng, stops)
    shares = np.linspace(0, 1, steps)
    return Series(found.design, tags, seed, tuple(_between(worst, Craft(stops=stops), s) for s in shares))


def _worst(rng: np.random.Generator, stops: float) -> Craft:
    """Bad in everything: too dark or too bright, warm or cold."""
    wrong = -rng.uniform(1.2, 1.8) if rng.random() < 0.6 else rng.uniform(0.8, 1.2)
    return Craft(
        mess=float(rng.uniform(0.75, 1.0)),
        blur=float(rng.uniform(0.55, 0.9)),
        stops=float(stops + wrong),
        warm=float(rng.choice([-1, 1]) * rng.uniform(0.1, 0.2)),
        haze=float(rng.uniform(0.35, 0.65)),
    )


def _between(worst: Craft, best: Craft, share: float) -> Craft:
    """Every fault less by the same share, 0 (worst) to 1 (best)."""
    ends = asdict(worst), asdict(best)
    return Craft(**{name: float((1 - share) * ends[0][name] + share * ends[1][name]) for name in ends[0]})


def render_series(series: Series, size: int) -> Iterator[Sample]:
    """The photos of a series, worst first: they differ in nothing but care. size: of the longer side."""
    scene = series.scene
    for attempt in range(5):  # a set that hardly shows is placed again, for all steps alike
        best = _photo(series, len(series.steps) - 1, scene, size)
        if is_visible(best.record):
            break
        scene = series.scene + (attempt + 1) * 2**40
    for step in range(len(series.steps) - 1):
        yield _photo(series, step, scene, size)
    yield best


def _photo(series: Series, step: int, scene: int, size: int) -> Sample:
    rng = np.random.default_rng([scene, zlib.crc32(KIND.encode()), zlib.crc32(b"degraded")])
    subject = Subject(series.design, "test", craft=series.steps[step])
    return compose(rng, series.design, scene, KIND, size, "test", subject=subject)


def write_series(job: Job) -> list[dict[str, Any]]:
    """Writes the photos of a series and returns their lines of LISTING."""
    series = make_series(photo_seed(job.seed, job.number), job.steps, job.tag)
    lines = []
    for step, sample in enumerate(render_series(series, job.size), start=1):
        name = f"{step}/{job.number:04d}.jpg"
        (job.out / name).write_bytes(
            simplejpeg.encode_jpeg(sample.image, quality=_QUALITY, colorspace="RGB", colorsubsampling="420")
        )
        craft = series.steps[step - 1]
        parts, score = score_design(series.design, craft, series.tags)
        lines.append(
            {
                "id": f"{job.number:04d}",
                "step": step,
                "image": name,
                "tags": [tag.name for tag in series.tags],
                "latent": round(score, 4),
                "parts": parts,
                "shown": {fault: round(value, 4) for fault, value in asdict(craft).items()},
            }
        )
    return lines


def write(
    out: Path, n: int, steps: int, seed: int, size: int = 640, tag: str = "", workers: int | None = None
) -> Path:
    """Writes n series to `out`, which is new or empty; returns the path of LISTING.

    Raises ValueError for arguments out of range and a folder that holds something, OSError.
    """
    for name, value, low, high in (
        ("n", n, 1, MOST),
        ("steps", steps, 2, MOST_STEPS),
        ("seed", seed, 0, 2**40),
        ("size", size, *SIZES),
        ("workers", workers or 1, 1, 1024),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, not in {low:,} to {high:,}")
    make_series(0, steps, tag)  # an unknown tag is refused before anything is written
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise ValueError(f"{out}: holds something; a series wants a folder of its own")
    for step in range(1, steps + 1):
        (out / str(step)).mkdir()
    jobs = [Job(out, number, seed, steps, size, tag) for number in range(n)]
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    workers = min(workers or os.cpu_count() or 1, n)
    found: list[dict[str, Any]] = []
    with Progress(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("series", total=n)
        if workers == 1:
            for job in jobs:
                found += write_series(job)
                bar.advance(task)
        else:
            # fresh processes: a fork would inherit locks of the parent's threads
            with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
                for lines in pool.map(write_series, jobs):
                    found += lines
                    bar.advance(task)
    listing = out / LISTING
    listing.write_text(
        "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in found),
        encoding="utf-8",
    )
    return listing


@dataclass(frozen=True)
class Options:
    """What `lunula data degraded` takes."""

    out: Path
    """a folder that is new or empty"""
    n: Annotated[int, arg(help=f"sets, 1 to {MOST:,}")] = 40
    steps: Annotated[int, arg(help=f"steps, 2 to {MOST_STEPS}")] = 5
    seed: int = 3
    """the same seed gives the same images"""
    size: Annotated[int, arg(help=f"longer side in pixels, {SIZES[0]} to {SIZES[1]}")] = 640
    tag: str = ""
    """only sets with this tag, such as natural; any where it is empty"""
    workers: int | None = None
    """processes; all cores where it is not given"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run `lunula data degraded`."""
    given: Options = parse(Options, argv, program="lunula data degraded", about=__doc__)
    with reported_errors(given.out):
        listing = write(given.out, given.n, given.steps, given.seed, given.size, given.tag, given.workers)
    print(f"wrote {given.n} sets in {given.steps} steps, and {listing}")


if __name__ == "__main__":
    main()
