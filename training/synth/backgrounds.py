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


@lru_cache(maxsize=48)
def _load(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(
        str(path), cv2.IMREAD_REDUCED_COLOR_2 if path.stat().st_size > 3_000_000 else cv2.IMREAD_COLOR
    )
    if image is None:
        raise ValueError(f"{path} is not a photo")
    return np.ascontiguousarray(image[..., ::-1])


def crop(rng: np.random.Generator, folder: Path, h: int, w: int) -> F32:
    """A random part of a random photo as sRGB [h,w,3] in 0-1, turned, mirrored, recoloured, perhaps out of
    focus."""
    paths = photos(folder)
    image = _load(paths[int(rng.integers(0, len(paths)))])
    turn = int(rng.integers(0, 4)) if rng.random() < 0.4 else 0
    image = np.rot90(image, turn)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    height, width = image.shape[:2]
    fit = min(height / h, width / w)
    share = float(rng.uniform(0.25, 1.0)) * fit
    ch, cw = max(int(h * share), 8), max(int(w * share), 8)
    y, x = int(rng.integers(0, max(height - ch, 0) + 1)), int(rng.integers(0, max(width - cw, 0) + 1))
    part = np.ascontiguousarray(image[y : y + ch, x : x + cw])
    part = cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA if share > 1 else cv2.INTER_LINEAR)
    out = part.astype(np.float32) * np.float32(1 / 255)
    if rng.random() < 0.15:
        out = np.ascontiguousarray(out[..., rng.permutation(3)])
    if rng.random() < 0.6:  # wallpapers are more colourful than desks and rooms
        grey = out.mean(axis=2, keepdims=True)
        out = grey + (out - grey) * np.float32(rng.uniform(0.05, 0.8))
    if rng.random() < 0.4:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.8, 6)))
    gain, gamma = rng.uniform(0.6, 1.3), rng.uniform(0.7, 1.4)
    result: F32 = np.clip(gain * np.power(out, np.float32(gamma)), 0, 1).astype(np.float32)
    return result


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
