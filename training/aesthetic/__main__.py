"""Paper Q's models of beauty, on photos with votes and tags.

    lunula data synth --kind aesthetics --n 9000 --seed 61 --size 320 --out DIR      # or AVA's own files
    lunula train aesthetic features train packing export --data DIR --out RUN

A step passes over what is there already: a command that was interrupted goes on. Predictions of every variant
and run lie in RUN/predictions, what `lunula eval aesthetic` reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from evaluation.errors import DataError
from training.aesthetic.steps import STEPS
from training.export import ExportError
from training.stepwise import add_arguments, run_steps

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


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and does the steps in their order there."""
    parser = argparse.ArgumentParser(
        prog="lunula train aesthetic",
        description=__doc__,
        epilog=f"steps: {', '.join(STEPS)}\n\n{_OPTIONS}",
    )
    add_arguments(
        parser,
        data="drawn photos, or AVA's files",
        seed="fixes splits of AVA and training",
        options="of a single step (see below)",
    )
    run_steps(parser, STEPS, (DataError, ExportError), argv)


if __name__ == "__main__":
    main()
