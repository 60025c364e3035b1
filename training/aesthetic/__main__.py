"""Paper Q's models of beauty, on photos with votes and tags.

    lunula data synth --kind aesthetics --n 9000 --seed 61 --size 320 --out DIR      # or AVA's own files
    lunula train aesthetic features train packing export --data DIR --out RUN

A step passes over what is there already: a command that was interrupted goes on. Predictions of every variant
and run lie in RUN/predictions, what `lunula eval aesthetic` reads.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from pathlib import Path

from evaluation.labelled import LabelsError
from training.aesthetic.steps import STEPS, load_step
from training.artist.steps import Job, StepError
from training.export import ExportError

_OPTIONS = """options of the steps (--option NAME=VALUE, repeatable):
  of AVA      rule=paper|official, test_list=FILE, least=1000, train=135000, val=1350, test=1350,
              skip_missing=yes
  features    models=triton_models (where image_align is served from)
  probe       photos=3000 (what linear maps read off the features of drawn photos; needs no training)
  train       variants=regression,notext,literal,ranking,mse,ours   runs=5   epochs=5   grid=4
              weight=.1|.5|1|2|5 (of the squared error; else chosen on validation photos)
              combine=mean|attention (of several tags; else chosen on validation photos)
  packing     runs=5, retrained=2 (models trained anew for each grid)
  export      models=triton_models (where to), run=N (else the best of `ours` on validation photos)
"""


def main(argv: list[str] | None = None) -> None:
    """Reads the command line and does the steps in their order there."""
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser()
    args = parser.parse_args(arguments)
    for step in args.steps:
        if step not in STEPS:
            parser.error(f"{step!r} is no step: one of {', '.join(STEPS)}")
    if not args.data.is_dir():
        parser.error(f"--data {args.data}: no such folder")
    options = {}
    for option in args.option:
        name, equals, value = option.partition("=")
        if not (name and equals):
            parser.error(f"--option {option}: not NAME=VALUE")
        options[name] = value
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    job = Job(
        data=args.data,
        out=args.out,
        seed=args.seed,
        workers=args.workers,
        command=shlex.join(["lunula", "train", "aesthetic", *arguments]),
        options=options,
    )
    try:
        for step in args.steps:
            load_step(step)(job)
    except (StepError, LabelsError, ExportError) as error:
        parser.exit(2, f"error: {error}\n")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed here: `make train-env`")
    except OSError as error:
        sys.exit(f"error: {error.filename or args.out}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where this one stopped")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lunula train aesthetic",
        description=__doc__,
        epilog=f"steps: {', '.join(STEPS)}\n\n{_OPTIONS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("steps", nargs="+", metavar="STEP", help="see below; several are done in their order")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="drawn photos, or AVA's files"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the results")
    parser.add_argument("--seed", type=int, default=7, help="fixes splits of AVA and training (default 7)")
    parser.add_argument("--workers", type=int, default=1, help="processes that read photos (default 1)")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of a single step (see below)"
    )
    return parser


if __name__ == "__main__":
    main()
