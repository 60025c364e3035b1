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

import argparse
import json
import logging
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2

from evaluation.retrieval.nailstar import NailStarError
from nails.encoders import ENCODERS, IMAGE_ALIGN
from training.parity.chain import Feeds
from training.parity.measure import LEAST_ALONE, LEAST_COSINE, LEAST_OVERLAP, Bench, refusals, table
from training.parity.precision import (
    CONVOLUTIONAL,
    INT8,
    INT8_CPU,
    PRECISIONS,
    PrecisionError,
    make,
    precisions_of,
    weights_of,
    write_variant,
)
from training.parity.probe import ProbeError, drawn_probe, read_words, real_probe

PROGRAM = "python -m training.parity"


def run_make(args: argparse.Namespace) -> int:
    """Writes the variants; what stood in their place is replaced."""
    photos = drawn_probe(args.data, "train", args.photos).photos if _calibrates(args) else []
    for model in args.models_named:
        for precision in [p for p in precisions_of(model) if p in args.precisions]:
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
            size = weights_of(folder).stat().st_size / 1e6
            print(f"{folder}: {size:.1f} MB, {time.monotonic() - started:.0f} s")
    return 0


def _calibrates(args: argparse.Namespace) -> bool:
    if not ({INT8, INT8_CPU} & set(args.precisions) and set(CONVOLUTIONAL) & set(args.models_named)):
        return False
    if args.data is None:
        raise ProbeError("int8 of image models is calibrated on photos: say --data DIR with nailstar.jsonl")
    return True


def run_compare(args: argparse.Namespace) -> int:
    """Prints the table, writes the report; 1 where the gate refuses a variant."""
    words = read_words(args.words) if args.words else None
    probes = [drawn_probe(args.data, args.split, args.photos, words)]
    if args.real:
        if not args.crops:
            raise ProbeError("--real: say --crops DIR of `lunula crop` as well")
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
                {"name": probe.name, "photos": len(probe.photos), "requests": len(probe.asked)}
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


def _names(known: Sequence[str]) -> Any:
    def read(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return read


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog=PROGRAM, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = top.add_subparsers(dest="step", required=True)
    variants = [f"{model}.{precision}" for model in ENCODERS for precision in precisions_of(model)]
    make_step = steps.add_parser("make", help="write the variants of served models")
    make_step.add_argument(
        "--out", type=Path, required=True, help="folder of variants, outside triton_models"
    )
    make_step.add_argument("--data", type=Path, help="folder with nailstar.jsonl; its train split calibrates")
    make_step.add_argument("--photos", type=int, default=64, help="that calibrate (default %(default)s)")
    make_step.add_argument(
        "--only",
        dest="models_named",
        type=_names(ENCODERS),
        default=list(ENCODERS),
        help="comma-separated models",
    )
    make_step.add_argument(
        "--precisions", type=_names(PRECISIONS), default=list(PRECISIONS), help=f"of {','.join(PRECISIONS)}"
    )
    make_step.set_defaults(run=run_make)
    compare = steps.add_parser("compare", help="measure variants against the reference, and gate them")
    compare.add_argument("--variants", type=Path, required=True, help="the folder that `make` wrote")
    compare.add_argument("--data", type=Path, required=True, help="folder with nailstar.jsonl and its photos")
    compare.add_argument("--split", default="test", choices=("train", "val", "test"), help="(default test)")
    compare.add_argument("--photos", type=int, default=400, help="first of the split (default %(default)s)")
    compare.add_argument("--words", type=Path, help='what the catalogue says: lines {"id": …, "text": …}')
    compare.add_argument("--real", type=Path, help="real photos with requests.jsonl, only measured")
    compare.add_argument("--crops", type=Path, help="NAME.crop.png that `lunula crop` wrote of --real")
    compare.add_argument(
        "--only", type=_names(variants), default=[], help="variants such as image_align.fp16"
    )
    compare.add_argument("--json", type=Path, help="write everything there as well")
    compare.add_argument("--gate", action="store_true", help="say what passes; exit with 1 if any is refused")
    compare.set_defaults(run=run_compare)
    for step in (make_step, compare):
        step.add_argument("--models", type=Path, default=Path("triton_models"), help="(default %(default)s)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when done; 1 with a message where something is not as it must be, or the gate refuses."""
    args = parser().parse_args(arguments)
    if args.photos < 1:
        print("error: --photos must be at least 1", file=sys.stderr)
        return 1
    cv2.setNumThreads(1)
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser's advice is not for whoever runs this
    try:
        return int(args.run(args))
    except (PrecisionError, ProbeError, NailStarError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
