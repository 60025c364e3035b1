"""Paper Q's models of aesthetic quality, on photos with votes and tags.

    lunula data synth --kind aesthetics --n 9000 --seed 61 --size 320 --out DIR      # or AVA's own files
    lunula train aesthetic features train packing export --data DIR --out RUN

A step passes over what is there already: a command that was interrupted goes on. Predictions of every variant
and run lie in RUN/predictions, what `lunula eval aesthetic` reads.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.errors import DataError
from training.aesthetic.job import AestheticJob
from training.aesthetic.steps import STEPS
from training.kit.export.model import ExportError
from training.kit.stepwise import run_steps


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and does the steps in their order there."""
    run_steps(
        AestheticJob, STEPS, (DataError, ExportError), argv, program="lunula train aesthetic", about=__doc__
    )


if __name__ == "__main__":
    main()
