"""Still lifes: pictures of things with free licences laid on photographed surfaces; clutter without a hand.

`python -m training.synth.still_lifes --out DIR --surfaces FOLDER [--surfaces FOLDER] --things FOLDER --n 500`
writes photographs from which `nail_seg` and `hand_detect` learn what is neither nail nor hand. Surfaces are
any photos or textures; things are pictures with an alpha channel, such as those of Debian's
tuxpaint-stamps-default (see NOTICE). Nothing of it is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from tyro.conf import UseAppendAction

from training.kit.flags import parse
from training.synth.command import reported_errors

Image = NDArray[np.uint8]

SIZE = (960, 720)
_SURFACES = {".jpg", ".jpeg", ".png", ".webp", ".tga"}
# Pictures of hands and people would teach the opposite of what clutter is for.
LEFT_OUT = ("/asl/", "/people/", "/faces/", "/medical/", "hand", "finger", "foot", "skin")


def things_in(folder: Path) -> list[Path]:
    """Pictures of things in order of name. Raises ValueError where there is none."""
    found = sorted(
        path for path in folder.rglob("*.png") if not any(part in str(path).lower() for part in LEFT_OUT)
    )
    if not found:
        raise ValueError(f"no picture of a thing in {folder}")
    return found


def surfaces_in(folders: Sequence[Path]) -> list[Path]:
    """Photos of surfaces in order of name. Raises ValueError where there is none."""
    found = sorted(
        path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in _SURFACES
    )
    if not found:
        raise ValueError(f"no photo in {', '.join(map(str, folders))}")
    return found


@lru_cache(maxsize=512)
def _thing(path: Path) -> Image | None:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4 or min(image.shape[:2]) < 24:
        return None
    ys, xs = np.nonzero(image[..., 3] > 32)
    if len(ys) == 0:
        return None
    return np.asarray(image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1], np.uint8)


def _surface(rng: np.random.Generator, path: Path, width: int, height: int) -> Image | None:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < 48:
        return None
    if max(image.shape[:2]) <= 512 and rng.random() < 0.6:  # a texture: laid side by side
        image = np.tile(image, (int(rng.integers(1, 4)), int(rng.integers(1, 4)), 1))
    h, w = image.shape[:2]
    share = rng.uniform(0.4, 1.0) * min(w / width, h / height)
    cw, ch = max(8, int(share * width)), max(8, int(share * height))
    x, y = int(rng.integers(0, w - cw + 1)), int(rng.integers(0, h - ch + 1))
    way = cv2.INTER_AREA if share > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image[y : y + ch, x : x + cw], (width, height), interpolation=way), np.uint8)


def _lay(rng: np.random.Generator, canvas: Image, thing: Image) -> None:
    """Puts a thing on the canvas, in place: turned, scaled, recoloured, with a shadow."""
    height, width = canvas.shape[:2]
    side = float(np.exp(rng.uniform(np.log(24), np.log(420))))
    scale = side / max(thing.shape[:2])
    angle = rng.uniform(0, 360) if rng.random() < 0.7 else 0.0
    middle = (thing.shape[1] / 2, thing.shape[0] / 2)
    matrix = cv2.getRotationMatrix2D(middle, angle, scale)
    at = (rng.uniform(-0.05, 1.05) * width, rng.uniform(-0.05, 1.05) * height)
    matrix[:, 2] += np.array(at) - middle
    if scale < 0.6:
        thing = np.asarray(cv2.GaussianBlur(thing, (0, 0), 0.45 / scale), np.uint8)
    placed = cv2.warpAffine(thing, matrix, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32)
    colour, alpha = placed[..., :3], placed[..., 3:] / 255
    if rng.random() < 0.35:
        colour = colour[..., rng.permutation(3)]
    colour = np.clip(colour * rng.uniform(0.6, 1.2) + rng.uniform(-20, 20), 0, 255)
    shift = np.array([[1, 0, rng.uniform(-12, 12)], [0, 1, rng.uniform(2, 14)]])
    shadow = cv2.warpAffine(alpha, shift, (width, height))
    shadow = cv2.GaussianBlur(shadow, (0, 0), rng.uniform(2, 9))[..., None]
    under = canvas * (1 - rng.uniform(0.1, 0.6) * shadow)
    canvas[:] = np.clip(under * (1 - alpha) + colour * alpha, 0, 255).astype(np.uint8)


def still_life(rng: np.random.Generator, surfaces: list[Path], things: list[Path]) -> Image:
    """One picture, BGR uint8; the same state of `rng` and the same files give the same pixels."""
    width, height = SIZE if rng.random() < 0.5 else SIZE[::-1]
    canvas = None
    while canvas is None:
        canvas = _surface(rng, surfaces[rng.integers(len(surfaces))], width, height)
    few = [things[i] for i in rng.integers(0, len(things), 4)]
    for _ in range(int(rng.choice([0, 4, 10, 25], p=[0.12, 0.3, 0.38, 0.2]))):
        # The same things again and again, as sweets in a bowl, or all kinds of things.
        path = few[rng.integers(4)] if rng.random() < 0.5 else things[rng.integers(len(things))]
        thing = _thing(path)
        if thing is not None:
            _lay(rng, canvas, thing)
    return canvas


@dataclass(frozen=True)
class Options:
    """What the command takes."""

    out: Path
    """where the pictures go"""
    surfaces: UseAppendAction[tuple[Path, ...]]
    """folder of photos or textures of surfaces"""
    things: Path
    """folder of pictures of things with an alpha channel"""
    n: int = 500
    """how many pictures"""
    seed: int = 0
    """the same seed gives the same pictures"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run `python -m training.synth.still_lifes`."""
    given: Options = parse(Options, argv, program="python -m training.synth.still_lifes", about=__doc__)
    with reported_errors(given.out):
        if not given.surfaces:
            raise ValueError("--surfaces FOLDER is missing")
        surfaces, things = surfaces_in(given.surfaces), things_in(given.things)
        given.out.mkdir(parents=True, exist_ok=True)
        for index in track(range(given.n), description="Still lifes"):
            picture = still_life(np.random.default_rng((given.seed, index)), surfaces, things)
            cv2.imwrite(str(given.out / f"{index:05d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
