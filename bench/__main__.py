"""`python -m bench`: every benchmark, each beside its named reference in the same run.

`python -m bench NAME ...` runs those, and `python -m bench NAME --option ...` hands the options to the one.
"""

from __future__ import annotations

import runpy
import sys

BENCHES = ("text_encode", "crop", "synth", "search", "rerank", "classify")


def main() -> None:
    """Run all benches, or those named on the command line."""
    given = sys.argv[1:]
    split = next((place for place, word in enumerate(given) if word.startswith("-")), len(given))
    names, options = given[:split] or list(BENCHES), given[split:]
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"unknown bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    if options and len(names) != 1:
        sys.exit("options are for one bench: name it before them")
    for name in names:
        sys.argv = [name, *options]
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
