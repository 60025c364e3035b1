"""What precisions are compared on: photos with their crops, requests, and which answer which."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.retrieval.nailstar import Entry
from evaluation.retrieval.nailstar import read as read_nailstar
from nails.encoders import DECODE_SIDE
from nails.perception.crop_rules import cut_square, expand_square
from nails.photo.codec import decode_photo
from nails.photo.preprocess import backbone_input

Floats = NDArray[np.float32]
SIDE = 224


class ProbeError(Exception):
    """Photos or requests are not in the form; the message says file and field."""


@dataclass(frozen=True)
class Photo:
    """A photo file and its crop: a box (x0, y0, x1, y1) in its pixels, or the file that CropService wrote."""

    file: Path
    crop: tuple[float, float, float, float] | Path
    words: str = ""  # what the catalogue says of it

    def views(self) -> tuple[Floats, Floats]:
        """The whole and the crop as the encoders see them, f32 [3,SIDE,SIDE] each."""
        image = decode_photo(self.file.read_bytes())
        if isinstance(self.crop, Path):
            crop = decode_photo(self.crop.read_bytes(), max_side=DECODE_SIDE)
        else:
            crop = cut_square(image, expand_square(self.crop, (image.shape[1], image.shape[0])))
        whole = image
        if max(image.shape[:2]) > DECODE_SIDE:
            whole = decode_photo(self.file.read_bytes(), max_side=DECODE_SIDE)
        return backbone_input(whole, SIDE), backbone_input(crop, SIDE)


@dataclass(frozen=True)
class ProbeRequest:
    """A request. palette: colours that the person picked; without one, those that the words name."""

    lang: str
    text: str
    palette: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Probe:
    """N photos, Q requests and which photos answer which request, bool [Q,N]."""

    name: str
    photos: Sequence[Photo]
    requests: Sequence[ProbeRequest]
    targets: NDArray[np.bool_]


def drawn_probe(folder: Path, split: str, count: int, words: Mapping[str, str] | None = None) -> Probe:
    """The first `count` photos of a split in NAIL-STAR's form, each with its request; `words` by id.

    Raises NailStarError, and ProbeError where the split is empty or a line has no crop.
    """
    entries = [entry for entry in read_nailstar(folder) if entry.split == split][:count]
    if not entries:
        raise ProbeError(f"{folder}: no photos of the split {split!r}")
    place = {entry.id: column for column, entry in enumerate(entries)}
    targets = np.zeros((len(entries), len(entries)), np.bool_)
    for row, entry in enumerate(entries):
        targets[row, [place[name] for name in entry.targets if name in place]] = True
    return Probe(
        name=f"{folder.name}, {split}, {len(entries)} photos",
        photos=[Photo(folder / e.image, _box(e, folder), (words or {}).get(e.id, "")) for e in entries],
        requests=[ProbeRequest(entry.lang, entry.request, entry.palette) for entry in entries],
        targets=targets,
    )


def _box(entry: Entry, folder: Path) -> tuple[float, float, float, float]:
    crop = entry.more.get("crop")
    box = crop.get("box") if isinstance(crop, dict) else None
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        raise ProbeError(f"{folder}: {entry.id}: crop.box: not four numbers")
    return float(box[0]), float(box[1]), float(box[2]), float(box[3])


def read_words(path: Path) -> dict[str, str]:
    """Lines {"id": photo, "text": what the catalogue says of it}. Raises ProbeError."""
    words: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ProbeError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            words[str(fields["id"])] = str(fields["text"]).strip()
        except (ValueError, KeyError, TypeError) as error:
            raise ProbeError(f"{path}:{number}: needs id and text: {error!r}") from None
    return words


def real_probe(folder: Path, crops: Path) -> Probe:
    """Real photos that are only ever measured: lines {"image": path, "requests": {language: text}} of
    `folder`/requests.jsonl, and NAME.crop.png of `lunula crop` in `crops`. Raises ProbeError."""
    photos: list[Photo] = []
    requests, owner = [], []
    path = folder / "requests.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ProbeError(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            photo, texts = folder / fields["image"], sorted(fields["requests"].items())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProbeError(f"{path}:{number}: needs image and requests: {error!r}") from None
        crop = crops / f"{photo.stem}.crop.png"
        for file, remedy in ((photo, ""), (crop, f": run `lunula crop {photo} --out {crops}` first")):
            if not file.is_file():
                raise ProbeError(f"{path}:{number}: {file} does not exist{remedy}")
        for lang, text in texts:
            requests.append(ProbeRequest(lang, text))
            owner.append(len(photos))
        photos.append(Photo(photo, crop))
    if not requests:
        raise ProbeError(f"{path}: no requests")
    targets = np.array(owner)[:, None] == np.arange(len(photos))[None, :]
    return Probe(f"{folder.name}, {len(photos)} real photos", photos, requests, targets)
