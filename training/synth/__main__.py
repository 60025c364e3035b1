"""Render synthetic images of hands (photos), a contact sheet of them (sheet) or the sample catalogue
(sample), or print what training texts never contain (held-out).

kinds:
  designs       requests at four levels in two languages, palette, families that bind colours (paper N)
  segmentation  hands and nails, many without paint, from near and far, and scenes without hands
  artists       works of artists with their wording, in overlapping schools (paper A)
  attributes    attributes sampled evenly; pairs of images that differ in one (paper R)
  contexts      groups of five images with two stories and queries at four levels (paper C)
  aesthetics    votes from harmony, neatness, light, sharpness and fit to tags (paper Q)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
from tyro.conf import Positional, UseAppendAction, arg

from training.kit.flags import parse
from training.synth.command import reported_errors
from training.synth.holdout import listing
from training.synth.ingredients import INGREDIENTS
from training.synth.kinds.artists import ARTISTS, MOST_ARTISTS, total_works
from training.synth.kinds.subjects import GROUPS, Kind
from training.synth.run.sample import write_catalogue
from training.synth.run.sheet import contact_sheet
from training.synth.run.writer import MOST, SIZES, write

_LEFT_OUT = f"leave an ingredient out: {', '.join(INGREDIENTS)}"
_GROUPS = ", ".join(f"{kind}: a multiple of {size}" for kind, size in GROUPS.items())


@dataclass(frozen=True)
class Options:
    """What `lunula data synth` takes."""

    what: Positional[Literal["photos", "sheet", "sample", "held-out"]] = "photos"
    """what is written or printed"""
    kind: Kind = "designs"
    """see above"""
    n: Annotated[int | None, arg(help=f"how many images; 1000, at most {MOST:,}; {_GROUPS}")] = None
    seed: int = 7
    """the same seed gives the same bytes"""
    size: Annotated[int, arg(help=f"longer side in pixels, {SIZES[0]} to {SIZES[1]}")] = 640
    workers: int | None = None
    """processes; all cores where it is not given"""
    backgrounds: Path | None = None
    """folder of photos to stand behind the hands"""
    artists: Annotated[
        int, arg(help=f"artists who share the works of kind artists, 1 to {MOST_ARTISTS:,}")
    ] = ARTISTS
    all_works: bool = False
    """in place of --n: as many images as the artists have works"""
    splits: Annotated[str, arg(metavar="train=N,val=N,test=N")] = ""
    """in place of --n: images of each split (kind designs); paper N has train=8625,val=400,test=1600"""
    out: Path | None = None
    """folder to fill; a run that was interrupted goes on"""
    sheet: Path | None = None
    """write a contact sheet of about 64 samples here instead"""
    marked: bool = False
    """draw outlines and joints on the sheet"""
    beside: Path | None = None
    """folder of real photos for every other row of the sheet"""
    without: UseAppendAction[Annotated[tuple[str, ...], arg(metavar="NAME", help=_LEFT_OUT)]] = ()


def main(argv: Sequence[str] | None = None) -> None:
    """Run `lunula data synth`."""
    given: Options = parse(Options, argv, program="lunula data synth", about=__doc__)
    try:
        with reported_errors(given.out):
            _run(given)
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where this run stopped")


def _run(given: Options) -> None:
    if given.what == "held-out":
        print(json.dumps(listing(), ensure_ascii=False, indent=1))
    elif given.what == "sample":
        write_catalogue(given.out or Path("sample"))
    elif given.what == "sheet" or given.sheet:
        _write_sheet(given, given.sheet or given.out or Path("sheet.png"))
    elif given.out:
        splits = _read_splits(given.splits) if given.splits else None
        write(
            given.out,
            _count(given, splits),
            given.seed,
            given.kind,
            given.workers,
            given.size,
            backgrounds=given.backgrounds,
            without=given.without,
            artists=given.artists,
            splits=splits,
        )
    else:
        raise ValueError("say where to: --out FOLDER for photos, --sheet FILE for a contact sheet")


def _count(given: Options, splits: dict[str, int] | None) -> int:
    """How many images the options ask for. Raises ValueError where they contradict each other."""
    if given.all_works and (given.kind != "artists" or given.n is not None):
        raise ValueError("--all-works goes with --kind artists, in place of --n")
    if splits is not None and given.n is not None:
        raise ValueError("--splits goes in place of --n")
    if splits is not None:
        return sum(splits.values())
    if given.all_works:
        return total_works(given.artists)
    return 1000 if given.n is None else given.n


def _read_splits(text: str) -> dict[str, int]:
    """ "train=8625,val=400" as a dictionary. Raises ValueError for anything else."""
    try:
        return {name.strip(): int(size) for name, size in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise ValueError(f"--splits {text!r} is not like train=8625,val=400,test=1600") from None


def _write_sheet(given: Options, path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"{path}: a contact sheet is a .png or .jpg file")
    group = GROUPS.get(given.kind, 1)
    columns = 2 * group if group > 2 else 8  # what belongs together stands side by side
    page = contact_sheet(
        given.seed * group,
        given.kind,
        count=(64 // columns) * columns if given.n is None else given.n,
        columns=columns,
        marked=given.marked,
        backgrounds=given.backgrounds,
        beside=given.beside,
        without=given.without,
    )
    path.write_bytes(cv2.imencode(path.suffix.lower(), page[..., ::-1])[1].tobytes())


if __name__ == "__main__":
    main()
