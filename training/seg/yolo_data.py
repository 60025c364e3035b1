"""Labelled photos in the form that ultralytics reads: pictures, one line per nail, data.yaml. No torch.

Two sources, mixed as wanted:
- labelled photos (`images/` and `masks/` with equal stems, as `evaluation.perception.labelled` reads them):
  masks carry no instances, so a nail is a connected part of its mask;
- synthetic photos (a folder of `training.synth`): the masks number the nails.

Pictures are copied byte for byte; both OpenCV (which ultralytics reads with) and `nails.photo.codec` turn
them as EXIF says, so the outlines fit. Every `VALIDATION_STEP`-th photo by name is kept for validation.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from evaluation.perception.labelled import list_entries, read_entry
from nails.perception.nail_decode import NailInstance, instance_from_mask
from training.kit.data.photos import read_mask, read_synthetic, split

VALIDATION_STEP = 10
# An outline may stray this far from the mask, in pixels: a tenth of the points, the same nail.
OUTLINE_TOLERANCE = 0.5
CLASS_NAME = "nail"

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Converted:
    """What was written. train, val: photos. nails: lines in all."""

    data: Path
    train: int
    val: int
    nails: int


def outline(nail: NailInstance) -> Points:
    """One polygon [P,2] around the whole nail, in photo pixels.

    Ultralytics takes one polygon an instance: the parts of a nail that something crosses are joined by a
    bridge without width between their nearest points. Holes are filled.
    """
    contours, _ = cv2.findContours(nail.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    parts = sorted((_closed(np.asarray(contour)) for contour in contours), key=len, reverse=True)
    joined = parts[0]
    for part in parts[1:]:
        joined = _bridged(joined, part)
    # +0.5: OpenCV counts from pixel centres.
    return joined + 0.5 + np.array(nail.offset, np.float64)


def _closed(contour: NDArray[np.int32]) -> Points:
    simple = np.asarray(cv2.approxPolyDP(contour, OUTLINE_TOLERANCE, True), np.float64).reshape(-1, 2)
    if len(simple) >= 3:
        return simple
    (x0, y0), (x1, y1) = simple.min(axis=0) - 0.5, simple.max(axis=0) + 0.5
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _bridged(first: Points, second: Points) -> Points:
    """Both rings as one: along the first to its point nearest to the second, around that, and back."""
    apart = ((first[:, None] - second[None]) ** 2).sum(axis=2)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    around = np.concatenate([second[j:], second[: j + 1]])
    return np.concatenate([first[: i + 1], around, first[i:]])


def label_lines(nails: Sequence[NailInstance], size: tuple[int, int]) -> str:
    """`0 x y x y ...` for each nail, coordinates as shares of the photo's `size` (width, height)."""
    lines = []
    for nail in nails:
        shares = np.clip(outline(nail) / np.array(size, np.float64), 0, 1)
        lines.append("0 " + " ".join(f"{value:.6f}" for value in shares.ravel()))
    return "".join(line + "\n" for line in lines)


def numbered_nails(mask: NDArray[np.uint8]) -> list[NailInstance]:
    """The nails of an instance mask uint8 [H,W] (0 is background), in the order of their numbers."""
    return [instance_from_mask(mask == number) for number in np.unique(mask) if number]


def convert(photos: Iterable[Path], synthetic: Iterable[Path], out: Path) -> Converted:
    """Writes OUT/images/{train,val}, OUT/labels/{train,val} and OUT/data.yaml.

    `photos`: folders of labelled photos; `synthetic`: folders of `training.synth`. Raises FileExistsError
    where OUT already holds a data set, ValueError for labels that cannot be read or too few photos.
    """
    if (out / "data.yaml").exists():
        raise FileExistsError(f"{out} already holds a data set; name another folder or remove it")
    for kind in ("images", "labels"):
        for part in ("train", "val"):
            (out / kind / part).mkdir(parents=True, exist_ok=True)
    counts, nails = {"train": 0, "val": 0}, 0

    def write(part: str, source: Path, name: str, found: list[NailInstance], size: tuple[int, int]) -> int:
        shutil.copyfile(source, out / "images" / part / f"{name}{source.suffix.lower()}")
        (out / "labels" / part / f"{name}.txt").write_text(label_lines(found, size), encoding="ascii")
        counts[part] += 1
        return len(found)

    for number, folder in enumerate(photos):
        for index, entry in enumerate(track(list_entries(folder), description=str(folder))):
            photo = read_entry(entry)
            part = "train" if index % VALIDATION_STEP else "val"
            size = (photo.image.shape[1], photo.image.shape[0])
            found = [nail.instance for nail in photo.nails]
            nails += write(part, entry.image, f"p{number}-{entry.name}", found, size)
    for number, folder in enumerate(synthetic):
        for part, chosen in zip(("train", "val"), split(read_synthetic(folder)), strict=True):
            for one in track(chosen, description=f"{folder} {part}"):
                found = numbered_nails(read_mask(one.mask))
                nails += write(part, one.image, f"d{number}-{one.id}", found, one.size)
    if not all(counts.values()):
        raise ValueError(f"{counts['train']} photos to train on and {counts['val']} to validate: too few")
    # Without `path:` ultralytics takes the file's own folder.
    (out / "data.yaml").write_text(
        f"train: images/train\nval: images/val\nnames:\n  0: {CLASS_NAME}\n", encoding="ascii"
    )
    return Converted(out / "data.yaml", counts["train"], counts["val"], nails)
