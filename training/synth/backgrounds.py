"""Real photos with free licences to stand behind the hands: collected from wallpaper packages, never
committed.

`python -m training.synth.backgrounds --out DIR [FOLDER ...]` gathers the photos of the given folders, or of
those where Debian's wallpaper packages (see NOTICE) put theirs, scaled to 1,280 pixels.
"""

from __future__ import annotations

import argparse
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Where gnome-backgrounds, mate-backgrounds, ukui-wallpapers, plasma-workspace-wallpapers and
# lomiri-wallpapers
# install their photos.
FOLDERS = (Path("/usr/share/backgrounds"), Path("/usr/share/wallpapers"))
_KINDS = {".jpg", ".jpeg", ".png", ".webp"}


@lru_cache(maxsize=8)
def photos(folder: Path) -> tuple[Path, ...]:
    """Photos in a folder, in order of name. Raises ValueError where there is none."""
    found = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in _KINDS))
    if not found:
        raise ValueError(f"no photo in {folder}")
    return found


@lru_cache(maxsize=64)
def _load(path: Path) -> NDArray[np.uint8]:
    """BGR u8 [h,w,3]."""
    image = cv2.imread(
        str(path), cv2.IMREAD_REDUCED_COLOR_2 if path.stat().st_size > 3_000_000 else cv2.IMREAD_COLOR
    )
    if image is None:
        raise ValueError(f"{path} is not a photo")
    return np.asarray(image, np.uint8)


def crop(rng: np.random.Generator, folder: Path, h: int, w: int) -> F32:
    """A random part of a random photo as sRGB [h,w,3] in 0-1, turned, mirrored, recoloured, perhaps out of
    focus."""
    paths = photos(folder)
    image = _load(paths[int(rng.integers(0, len(paths)))])
    turn = int(rng.integers(0, 4)) if rng.random() < 0.4 else 0
    th, tw = (w, h) if turn % 2 else (h, w)  # the part's size before it is turned
    height, width = image.shape[:2]
    fit = min(height / th, width / tw)
    share = float(rng.uniform(0.25, 1.0)) * fit
    ch, cw = max(int(th * share), 8), max(int(tw * share), 8)
    y, x = int(rng.integers(0, max(height - ch, 0) + 1)), int(rng.integers(0, max(width - cw, 0) + 1))
    part = image[y : y + ch, x : x + cw]
    method = cv2.INTER_AREA if share > 1 else cv2.INTER_LINEAR
    part = np.asarray(cv2.resize(part, (tw, th), interpolation=method), np.uint8)
    if rng.random() < 0.4:
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), float(rng.uniform(0.8, 6))), np.uint8)
    gain, gamma = rng.uniform(0.6, 1.3), rng.uniform(0.7, 1.4)
    curve = np.clip(255 * gain * np.power(np.linspace(0, 1, 256), gamma), 0, 255).astype(np.uint8)
    part = np.asarray(cv2.LUT(part, curve), np.uint8)
    part = np.rot90(part, turn)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    order = [2, 1, 0] if rng.random() > 0.15 else rng.permutation(3)
    saturation = rng.uniform(0.05, 0.8) if rng.random() < 0.6 else 1.0  # wallpapers are gaudier than desks
    mix = (1 - saturation) / 3 + saturation * np.eye(3)[order]
    return np.asarray(cv2.transform(np.ascontiguousarray(part, np.float32), mix * (1 / 255)), np.float32)


def collect(out: Path, folders: tuple[Path, ...] = FOLDERS) -> int:
    """Copy the photos of folders to `out`, scaled to 1,280 pixels; returns how many there are."""
    out.mkdir(parents=True, exist_ok=True)
    sources = sorted(
        p for folder in folders if folder.exists() for p in folder.rglob("*") if p.suffix.lower() in _KINDS
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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.synth.backgrounds", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("folders", type=Path, nargs="*", default=FOLDERS)
    args = parser.parse_args()
    print(f"{collect(args.out, tuple(args.folders))} photos in {args.out}")


if __name__ == "__main__":
    main()
