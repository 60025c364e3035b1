"""Paper A's models on works whose artist is known (`lunula data artists`).

    lunula train artist folds features image text --data DIR --out RUN --encoders encoders.pt

Every step writes RUN/predictions/STEP and passes over what is there already: a command that was interrupted
goes on. The folds come first, then features before image, labels, knn_image and control.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from evaluation.artist.works import WorksError
from training.artist.steps import STEPS
from training.kit.stepwise import add_arguments, run_steps


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and does the steps in their order there."""
    steps = "\n".join(f"  {name}" for name in STEPS)
    parser = argparse.ArgumentParser(
        prog="lunula train artist", description=__doc__, epilog=f"steps:\n{steps}"
    )
    add_arguments(
        parser,
        data="a folder with works.jsonl",
        seed="fixes folds and training",
        options="of a single step (repeatable); a step names its own in its module",
    )
    parser.add_argument(
        "--encoders", type=Path, metavar="FILE", help="checkpoint of the design encoders, for features"
    )
    run_steps(parser, STEPS, (WorksError,), argv)


if __name__ == "__main__":
    main()
