"""Paper A's models on works whose artist is known (`lunula data artists`).

    lunula train artist folds features image text --data DIR --out RUN --encoders encoders.pt

Every step writes RUN/predictions/STEP and passes over what is there already: a command that was interrupted
goes on. The folds come first, then features before image, labels, knn_image and control.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from evaluation.works import WorksError
from training.artist.steps import STEPS, Job, StepError, load_step
from training.command import shown


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
        encoders=args.encoders,
        workers=args.workers,
        command=shown("lunula", "train", "artist", arguments=arguments),
        options=options,
    )
    try:
        for step in args.steps:
            load_step(step)(job)
    except (StepError, WorksError) as error:
        parser.exit(2, f"error: {error}\n")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed here: `make train-env`")
    except OSError as error:
        sys.exit(f"error: {error.filename or args.out}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where this one stopped")


def _parser() -> argparse.ArgumentParser:
    steps = "\n".join(f"  {name}" for name in STEPS)
    parser = argparse.ArgumentParser(
        prog="lunula train artist",
        description=__doc__,
        epilog=f"steps:\n{steps}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("steps", nargs="+", metavar="STEP", help="see below; several are done in their order")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a folder with works.jsonl")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of folds and results")
    parser.add_argument(
        "--encoders", type=Path, metavar="FILE", help="checkpoint of the design encoders, for features"
    )
    parser.add_argument("--seed", type=int, default=7, help="fixes folds and training (default 7)")
    parser.add_argument("--workers", type=int, default=1, help="processes that read photos (default 1)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of a single step (repeatable); a step names its own in its module",
    )
    return parser


if __name__ == "__main__":
    main()
