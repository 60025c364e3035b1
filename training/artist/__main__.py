"""Paper A's models on works whose artist is known (`lunula data artists`).

    lunula train artist folds features image text --data DIR --out RUN --encoders encoders.pt

Every step writes RUN/predictions/STEP and passes over what is there already: a command that was interrupted
goes on. The folds come first, then features before image, labels, knn_image and control.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.artist.works import WorksError
from training.artist.job import ArtistJob
from training.artist.steps import STEPS
from training.kit.stepwise import run_steps


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and does the steps in their order there."""
    run_steps(ArtistJob, STEPS, (WorksError,), argv, program="lunula train artist", about=__doc__)


if __name__ == "__main__":
    main()
