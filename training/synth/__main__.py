"""Draw synthetic photos (`photos`), a contact sheet (`sheet`), the sample catalogue (`sample`), or print what
is held out of training texts (`held-out`)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2

from training.synth.holdout import listing
from training.synth.ingredients import INGREDIENTS
from training.synth.kinds.artists import ARTISTS, MOST_ARTISTS, total_works
from training.synth.kinds.subjects import GROUPS, KINDS
from training.synth.run.sample import write_catalogue
from training.synth.run.sheet import contact_sheet
from training.synth.run.writer import MOST, SIZES, write

_KINDS_HELP = """kinds:
  designs       requests at four levels in two languages, palette, families that bind colours (paper N)
  segmentation  hands and nails, many without paint, from near and far, and scenes without hands
  artists       works of artists with their wording, in overlapping schools (paper A)
  attributes    attributes drawn evenly; pairs of photos that differ in one (paper R)
  contexts      groups of five photos with two stories and queries at four levels (paper C)
  aesthetics    votes from harmony, neatness, light, sharpness and fit to tags (paper Q)
"""


def main(argv: list[str] | None = None) -> None:
    """Read the command line."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        _run(args)
    except ValueError as error:  # what was asked for cannot be done
        parser.exit(2, f"error: {error}\n")
    except RuntimeError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or args.out}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where this run stopped")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lunula data synth",
        description=__doc__,
        epilog=_KINDS_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=["photos", "sheet", "sample", "held-out"], default="photos"
    )
    parser.add_argument("--kind", default="designs", choices=KINDS, metavar="KIND", help="see below")
    groups = ", ".join(f"{kind}: a multiple of {size}" for kind, size in GROUPS.items())
    parser.add_argument("--n", type=int, help=f"how many photos (default 1000; at most {MOST:,}; {groups})")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same bytes (default 7)")
    parser.add_argument(
        "--size", type=int, default=640, help=f"longer side in pixels, {SIZES[0]} to {SIZES[1]} (default 640)"
    )
    parser.add_argument("--workers", type=int, help="processes (default: all cores)")
    parser.add_argument("--backgrounds", type=Path, help="folder of photos to stand behind the hands")
    parser.add_argument(
        "--artists",
        type=int,
        default=ARTISTS,
        help=f"artists who share the works of kind artists, 1 to {MOST_ARTISTS:,} (default {ARTISTS})",
    )
    parser.add_argument(
        "--all-works",
        action="store_true",
        help="in place of --n: as many photos as the artists have works",
    )
    parser.add_argument(
        "--splits",
        type=_splits,
        metavar="train=N,val=N,test=N",
        help="in place of --n: photos of each split (kind designs); paper N has train=8625,val=400,test=1600",
    )
    parser.add_argument("--out", type=Path, help="folder to fill; a run that was interrupted goes on")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of about 64 samples here instead")
    parser.add_argument("--marked", action="store_true", help="draw outlines and joints on the sheet")
    parser.add_argument("--beside", type=Path, help="folder of real photos for every other row of the sheet")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=list(INGREDIENTS),
        metavar="NAME",
        help=f"leave an ingredient out (repeatable): {', '.join(INGREDIENTS)}",
    )
    return parser


def _splits(text: str) -> dict[str, int]:
    """ "train=8625,val=400" as a dictionary; raises argparse's error for anything else."""
    try:
        return {name.strip(): int(size) for name, size in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like train=8625,val=400,test=1600") from None


def _run(args: argparse.Namespace) -> None:
    if args.what == "held-out":
        print(json.dumps(listing(), ensure_ascii=False, indent=1))
    elif args.what == "sample":
        write_catalogue(args.out or Path("sample"))
    elif args.what == "sheet" or args.sheet:
        _sheet(args, args.sheet or args.out or Path("sheet.png"))
    elif args.out:
        n = 1000 if args.n is None else args.n
        if args.all_works:
            if args.kind != "artists" or args.n is not None:
                raise ValueError("--all-works goes with --kind artists, in place of --n")
            n = total_works(args.artists)
        if args.splits is not None:
            if args.n is not None:
                raise ValueError("--splits goes in place of --n")
            n = sum(args.splits.values())
        write(
            args.out,
            n,
            args.seed,
            args.kind,
            args.workers,
            args.size,
            backgrounds=args.backgrounds,
            without=args.without,
            artists=args.artists,
            splits=args.splits,
        )
    else:
        raise ValueError("say where to: --out FOLDER for photos, --sheet FILE for a contact sheet")


def _sheet(args: argparse.Namespace, path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"{path}: a contact sheet is a .png or .jpg file")
    group = GROUPS.get(args.kind, 1)
    columns = 2 * group if group > 2 else 8  # what belongs together stands side by side
    page = contact_sheet(
        args.seed * group,
        args.kind,
        count=(64 // columns) * columns if args.n is None else args.n,
        columns=columns,
        marked=args.marked,
        backgrounds=args.backgrounds,
        beside=args.beside,
        without=args.without,
    )
    path.write_bytes(cv2.imencode(path.suffix.lower(), page[..., ::-1])[1].tobytes())


if __name__ == "__main__":
    main()
