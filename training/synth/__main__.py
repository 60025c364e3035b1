"""python -m training.synth: write synthetic photos, a contact sheet, or (`sample`) the sample catalogue."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from training.synth.catalogue import write_catalogue
from training.synth.ingredients import INGREDIENTS
from training.synth.scene import KINDS
from training.synth.sheet import contact_sheet
from training.synth.writer import write


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.synth", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["photos", "sample"], default="photos")
    parser.add_argument("--kind", default="designs", choices=KINDS)
    parser.add_argument("--n", type=int, default=1000, help="how many photos")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", type=int, default=640, help="longer side in pixels")
    parser.add_argument("--workers", type=int, default=None, help="processes; default: all cores")
    parser.add_argument(
        "--backgrounds", type=Path, default=None, help="folder of photos to stand behind the hands"
    )
    parser.add_argument("--out", type=Path, help="folder to fill; a run that was interrupted goes on")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of 64 samples here instead")
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
    args = parser.parse_args()
    if args.what == "sample":
        write_catalogue(args.out or Path("sample"))
    elif args.sheet:
        page = contact_sheet(
            args.seed,
            args.kind,
            marked=args.marked,
            backgrounds=args.backgrounds,
            beside=args.beside,
            without=args.without,
        )
        cv2.imwrite(str(args.sheet), page[..., ::-1])
    elif args.out:
        write(
            args.out,
            args.n,
            args.seed,
            args.kind,
            args.workers,
            args.size,
            backgrounds=args.backgrounds,
            without=args.without,
        )
    else:
        parser.error("give --out or --sheet")


if __name__ == "__main__":
    main()
