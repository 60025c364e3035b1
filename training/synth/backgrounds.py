"""Real photos with free licences to stand behind the hands: collected from wallpaper packages, never
committed.

`python -m training.synth.backgrounds --out DIR [FOLDER ...]` gathers the photos of the given folders, or of
those where Debian's wallpaper packages (see NOTICE) put theirs, scaled to 1,280 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from tyro.conf import Positional

from training.kit.flags import parse
from training.synth.background.photos import SUFFIXES
from training.synth.command import reported_errors

# Where gnome-backgrounds, mate-backgrounds, ukui-wallpapers, plasma-workspace-wallpapers and
# lomiri-wallpapers
# install their photos.
FOLDERS = (Path("/usr/share/backgrounds"), Path("/usr/share/wallpapers"))


def collect(out: Path, folders: tuple[Path, ...] = FOLDERS) -> int:
    """Copy the photos of folders to `out`, scaled to 1,280 pixels; returns how many there are."""
    out.mkdir(parents=True, exist_ok=True)
    sources = sorted(
        p for folder in folders if folder.exists() for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES
    )
    count = 0
    for path in sources:
        image = cv2.imread(str(path))
        if image is None or min(image.shape[:2]) < 300:
            continue
        scale = min(1.0, 1280 / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(out / f"{count:04d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        count += 1
    return count


@dataclass(frozen=True)
class Options:
    """What the command takes."""

    out: Path
    """where the copies go"""
    folders: Positional[tuple[Path, ...]] = FOLDERS
    """where the photos are"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run `python -m training.synth.backgrounds`."""
    given: Options = parse(Options, argv, program="python -m training.synth.backgrounds", about=__doc__)
    with reported_errors(given.out):
        print(f"{collect(given.out, given.folders)} photos in {given.out}")


if __name__ == "__main__":
    main()
