"""`python -m bench`: every benchmark, each beside its named reference in the same run."""

from __future__ import annotations

import runpy
import sys

BENCHES = ("text_encode", "crop", "synth")


def main() -> None:
    """Run all benches, or those named on the command line."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"unknown bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for name in names:
        sys.argv = [name]
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        runpy.run_module(f"bench.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
