"""Whether a served model may be served in another precision.

    python -m training.parity make    --data DIR --out VARIANTS
    python -m training.parity compare --data DIR --variants VARIANTS --photos 400 --json REPORT --gate

`make` writes VARIANTS/<precision>/<model>, folders as Triton and the services take them. `compare` puts one
variant at a time into the place of its model, then all of a precision, and measures against the reference on
the same photos and requests: how far each output is off, whether an item changes beside others in a batch,
how many of the first ten designs of a ranking stay, hit rates, and CPU time on one thread. `--gate` says
which variants may be promoted and exits with 1 if any may not. What is compared, and how to read it:
docs/precision.md.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2

from evaluation.retrieval.nailstar import NailStarError
from nails.encoders import ENCODERS, IMAGE_ALIGN
from training.kit.flags import Count, names, parse, subcommand
from training.parity.chain import Feeds
from training.parity.measure import LEAST_ALONE, LEAST_COSINE, LEAST_OVERLAP, Bench, refusals, table
from training.parity.precision import (
    CONVOLUTIONAL,
    INT8,
    INT8_CPU,
    PRECISIONS,
    PrecisionError,
    list_precisions,
    make,
    weights_file,
    write_variant,
)
from training.parity.probe import ProbeError, drawn_probe, read_words, real_probe

PROGRAM = "python -m training.parity"


VARIANTS = tuple(f"{model}.{precision}" for model in ENCODERS for precision in list_precisions(model))


@dataclass(frozen=True)
class Make:
    """Write the variants of served models."""

    out: Path
    """folder of variants, outside triton_models"""
    data: Path | None = None
    """folder with nailstar.jsonl; its train split calibrates"""
    photos: Count = 64
    """photos that calibrate"""
    only: Annotated[tuple[str, ...], names(tuple(ENCODERS))] = tuple(ENCODERS)
    """models, with commas between"""
    precisions: Annotated[tuple[str, ...], names(tuple(PRECISIONS))] = tuple(PRECISIONS)
    """precisions, with commas between"""
    models: Path = Path("triton_models")
    """folder of the served models"""


@dataclass(frozen=True)
class Compare:
    """Measure variants against the reference, and gate them."""

    variants: Path
    """the folder that `make` wrote"""
    data: Path
    """folder with nailstar.jsonl and its photos"""
    split: Literal["train", "val", "test"] = "test"
    """which photos"""
    photos: Count = 400
    """first photos of the split"""
    words: Path | None = None
    """what the catalogue says: lines {"id": …, "text": …}"""
    real: Path | None = None
    """real photos with requests.jsonl, only measured"""
    crops: Path | None = None
    """NAME.crop.png that `lunula crop` wrote of --real"""
    only: Annotated[tuple[str, ...], names(VARIANTS)] = ()
    """variants such as image_align.fp16, with commas between; none: all"""
    json: Path | None = None
    """write everything there as well"""
    gate: bool = False
    """say what passes; exit with 1 if any is refused"""
    models: Path = Path("triton_models")
    """folder of the served models"""


COMMAND = Annotated[Make, subcommand(name="make")] | Annotated[Compare, subcommand(name="compare")]


def run_make(args: Make) -> int:
    """Writes the variants; what stood in their place is replaced."""
    data = _calibration_data(args)
    photos = drawn_probe(data, "train", args.photos).photos if data else []
    for model in args.only:
        for precision in [p for p in list_precisions(model) if p in args.precisions]:
            started = time.monotonic()
            feeds: Iterator[Feeds] = (
                {"images": view[None]}
                for photo in photos
                for view in photo.views()[: 2 if model == IMAGE_ALIGN else 1]
            )
            folder = args.out / precision / model
            made = make(args.models / model, precision, feeds)
            shutil.rmtree(folder, ignore_errors=True)
            command = f"{PROGRAM} make --photos {args.photos}"
            write_variant(made, args.models / model, folder, precision=precision, command=command)
            size = weights_file(folder).stat().st_size / 1e6
            print(f"{folder}: {size:.1f} MB, {time.monotonic() - started:.0f} s")
    return 0


def _calibration_data(args: Make) -> Path | None:
    """The folder whose photos calibrate, None where nothing is calibrated. Raises ProbeError."""
    if not ({INT8, INT8_CPU} & set(args.precisions) and set(CONVOLUTIONAL) & set(args.only)):
        return None
    if args.data is None:
        raise ProbeError("int8 of image models is calibrated on photos: give --data DIR with nailstar.jsonl")
    return args.data


def run_compare(args: Compare) -> int:
    """Prints the table, writes the report; 1 where the gate refuses a variant."""
    words = read_words(args.words) if args.words else None
    probes = [drawn_probe(args.data, args.split, args.photos, words)]
    if args.real:
        if not args.crops:
            raise ProbeError("--real: give --crops DIR of `lunula crop` as well")
        probes.append(real_probe(args.real, args.crops))
    bench = Bench(args.models, args.variants, args.only, probes)
    rows = list(bench.rows())
    for row in rows[1:]:
        row.refusals = refusals(row, probes[0].name)
    print(table(rows, probes))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        report = {
            "probes": [
                {"name": probe.name, "photos": len(probe.photos), "requests": len(probe.requests)}
                for probe in probes
            ],
            "gate": {"cosine": LEAST_COSINE, "overlap": LEAST_OVERLAP, "alone": LEAST_ALONE},
            "rows": [asdict(row) for row in rows],
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if not args.gate:
        return 0
    refused = [row for row in rows[1:] if row.refusals]
    for row in rows[1:]:
        print(f"{row.name}: " + ("refused: " + "; ".join(row.refusals) if row.refusals else "passes"))
    if refused:
        names = ", ".join(row.name for row in refused)
        print(f"error: {len(refused)} of {len(rows) - 1} may not be promoted: {names}", file=sys.stderr)
    return 1 if refused else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when done; 1 with a message where something is not as it must be, or the gate refuses."""
    args: Make | Compare = parse(COMMAND, arguments, program=PROGRAM, about=__doc__)
    cv2.setNumThreads(1)
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser's advice is not for whoever runs this
    try:
        return run_make(args) if isinstance(args, Make) else run_compare(args)
    except (PrecisionError, ProbeError, NailStarError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
