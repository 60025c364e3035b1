"""Labelled photos from a folder, in either of two forms.

- `images/` and `masks/` with equal stems. A mask is nail where it is above 127 (JPEG masks have ringing) and
  carries no instances, so a labelled nail is a connected part of it; two nails that touch count as one.
- the same with an `index.jsonl`, as `training.synth` writes it: masks hold the number of each nail, and each
  line says the Monk tone of the skin and the polish of every nail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from evaluation.errors import DataError
from evaluation.json_lines import Line, read_lines
from nails.perception.nail_decode import NailInstance, instance_from_mask
from nails.photo.codec import PhotoError, PhotoLimits, decode_photo

MASK_THRESHOLD = 127
_MAX_LINE = 8 << 20  # bytes: records of synthetic photos hold many texts
# A labelled part smaller than this share of the photo is a speck of the labelling, not a nail.
SPECK_SHARE = 2e-4

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LabelledNail:
    """A labelled nail. colour: its polish as a name of nails.vocabulary, "bare" without, "" when unknown."""

    instance: NailInstance
    colour: str = ""


@dataclass(frozen=True)
class LabelledPhoto:
    """name; image uint8 [H,W,3]; mask bool [H,W] of all nails; nails: one by one, specks left out.

    tone: Monk tone 1-10 of the skin, 0 without a hand, None when unknown.
    """

    name: str
    image: Image
    mask: Mask
    nails: tuple[LabelledNail, ...]
    tone: int | None = None


@dataclass(frozen=True)
class Entry:
    """Where one labelled photo lies. record: its line of index.jsonl, or None."""

    name: str
    image: Path
    mask: Path
    record: Mapping[str, Any] | None = None


def list_entries(folder: Path) -> list[Entry]:
    """The labelled photos of a folder, by name. Raises DataError for what is missing."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    entries = _indexed(folder) if (folder / "index.jsonl").is_file() else _paired(folder)
    if not entries:
        raise DataError(f"{folder}: no labelled photos")
    missing = [entry for entry in entries if not entry.mask.is_file()]
    if missing:
        others = f" (and {len(missing) - 1} others)" if len(missing) > 1 else ""
        raise DataError(f"{folder / 'masks'}: no mask for {missing[0].image.name}{others}")
    return entries


def read_entry(entry: Entry) -> LabelledPhoto:
    """Reads a photo and its mask. Raises DataError where one is unreadable or their sizes differ."""
    try:
        image = decode_photo(entry.image.read_bytes(), limits=PhotoLimits())
    except (OSError, PhotoError) as error:
        raise DataError(f"{entry.image}: not a readable photo: {error}") from error
    # From bytes: OpenCV would print its own complaint about a file that is not there.
    data = np.frombuffer(entry.mask.read_bytes(), np.uint8)
    grey = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if grey is None:
        raise DataError(f"{entry.mask}: not a readable mask")
    labels = np.asarray(grey, np.uint8)
    if labels.shape != image.shape[:2]:
        raise DataError(
            f"{entry.mask}: the mask is {labels.shape[1]} x {labels.shape[0]}, "
            f"the photo {image.shape[1]} x {image.shape[0]}"
        )
    if entry.record is None:
        mask = labels > MASK_THRESHOLD
        return LabelledPhoto(entry.name, image, mask, tuple(labelled_nails(mask)))
    try:
        nails = _listed_nails(labels, entry.record["nails"])
        return LabelledPhoto(entry.name, image, labels > 0, nails, int(entry.record["tone"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{entry.name} of index.jsonl: {error!r}") from error


def read_labelled(folder: Path) -> Iterator[LabelledPhoto]:
    """The labelled photos of a folder, by name. Raises DataError."""
    for entry in list_entries(folder):
        yield read_entry(entry)


def labelled_nails(mask: Mask) -> list[LabelledNail]:
    """The connected parts of a mask bool [H,W], specks left out."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    parts = np.asarray(labels)
    return [
        LabelledNail(instance_from_mask(parts == label))
        for label in range(1, count)
        if stats[label, cv2.CC_STAT_AREA] >= SPECK_SHARE * mask.size
    ]


def _listed_nails(
    labels: NDArray[np.uint8], records: Sequence[Mapping[str, Any]]
) -> tuple[LabelledNail, ...]:
    nails = []
    for record in records:
        mask = labels == int(record["instance"])
        if np.count_nonzero(mask) < SPECK_SHARE * mask.size:
            continue
        look = record["attributes"]
        colour = "bare" if look.get("bare") == "true" else str(look["colour"])
        nails.append(LabelledNail(instance_from_mask(mask), colour))
    return tuple(nails)


def _paired(folder: Path) -> list[Entry]:
    for name in ("images", "masks"):
        if not (folder / name).is_dir():
            raise DataError(f"{folder}: has no folder {name}/")
    masks = {path.stem: path for path in sorted((folder / "masks").iterdir()) if path.is_file()}
    photos = [path for path in sorted((folder / "images").iterdir()) if path.is_file()]
    return [
        Entry(path.stem, path, masks.get(path.stem, folder / "masks" / path.name))
        for path in photos
        if not path.name.startswith(".")
    ]


class _Record(Line):
    """What is read of a line of index.jsonl here; the rest is kept for whoever looks for it."""

    model_config = ConfigDict(extra="allow")

    id: str
    image: str
    mask: str


def _indexed(folder: Path) -> list[Entry]:
    return [
        Entry(record.id, folder / record.image, folder / record.mask, record.model_dump())
        for _, record in read_lines(folder / "index.jsonl", _MAX_LINE, _Record, DataError, finite=False)
    ]
