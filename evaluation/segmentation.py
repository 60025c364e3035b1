"""How well nails are found in labelled photos: mean IoU, Dice, and per-nail precision, recall and F1.

A folder has `images/` and `masks/` with equal stems; a mask is nail where it is above 127 (JPEG masks have
ringing). Two kinds of figure:
- per photo, over all nails together: IoU and Dice of the union of the masks, then their mean over photos;
- per nail: a found nail is right when its IoU with a labelled one is at least 0.5, each used once. Labels
  carry no instances, so a labelled nail is a connected part of the mask; two nails that touch count as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.nail_decode import NailInstance, instance_iou, instance_of
from nails.photo import PhotoLimits, decode

MASK_THRESHOLD = 127
MATCH_IOU = 0.5
# A labelled part smaller than this share of the photo is a speck of the labelling, not a nail.
SPECK_SHARE = 2e-4

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Predictor = Callable[[Image], Sequence[NailInstance]]


@dataclass(frozen=True)
class LabelledPhoto:
    """name; image uint8 [H,W,3]; mask bool [H,W]."""

    name: str
    image: Image
    mask: Mask


@dataclass(frozen=True)
class PhotoScore:
    """Figures of one photo. right, found, labelled: nails."""

    name: str
    iou: float
    dice: float
    right: int
    found: int
    labelled: int


@dataclass(frozen=True)
class SegmentationReport:
    """Figures of a folder, each in [0, 1]; photos as scored, worst IoU first."""

    mean_iou: float
    mean_dice: float
    precision: float
    recall: float
    f1: float
    photos: tuple[PhotoScore, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "photos": len(self.photos),
            "mean_iou": self.mean_iou,
            "mean_dice": self.mean_dice,
            "nail_precision": self.precision,
            "nail_recall": self.recall,
            "nail_f1": self.f1,
            "worst": [{"name": photo.name, "iou": photo.iou} for photo in self.photos[:8]],
        }


def read_labelled(folder: Path) -> Iterator[LabelledPhoto]:
    """The labelled photos of a folder by name. Raises FileNotFoundError for a photo without a mask."""
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    for path in sorted((folder / "images").iterdir()):
        if path.stem not in masks:
            raise FileNotFoundError(f"{folder}/masks has no mask for {path.name}")
        image = decode(path.read_bytes(), limits=PhotoLimits())
        grey = cv2.imread(str(masks[path.stem]), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise ValueError(f"{masks[path.stem]}: not a readable mask")
        size = (image.shape[1], image.shape[0])
        if grey.shape != image.shape[:2]:
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        yield LabelledPhoto(path.stem, image, np.asarray(grey) > MASK_THRESHOLD)


def labelled_nails(mask: Mask) -> list[NailInstance]:
    """The connected parts of a mask bool [H,W], specks left out."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    least = SPECK_SHARE * mask.size
    parts = np.asarray(labels)
    return [
        instance_of(parts == label) for label in range(1, count) if stats[label, cv2.CC_STAT_AREA] >= least
    ]


def union_mask(nails: Sequence[NailInstance], shape: tuple[int, int]) -> Mask:
    """All nails in one mask bool [H,W]."""
    mask = np.zeros(shape, bool)
    for nail in nails:
        x, y = nail.offset
        mask[y : y + nail.mask.shape[0], x : x + nail.mask.shape[1]] |= nail.mask
    return mask


def matched(found: Sequence[NailInstance], labelled: Sequence[NailInstance]) -> int:
    """How many found nails are right: pairs with IoU >= 0.5, best IoU first, each nail used once."""
    pairs = [
        (instance_iou(nail, truth), i, j) for i, nail in enumerate(found) for j, truth in enumerate(labelled)
    ]
    used_found: set[int] = set()
    used_labelled: set[int] = set()
    for iou, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if iou < MATCH_IOU:
            break
        if i not in used_found and j not in used_labelled:
            used_found.add(i)
            used_labelled.add(j)
    return len(used_found)


def score_photo(photo: LabelledPhoto, found: Sequence[NailInstance]) -> PhotoScore:
    """Figures of one photo. Without a labelled and without a found nail its IoU and Dice are 1."""
    drawn = union_mask(found, (photo.mask.shape[0], photo.mask.shape[1]))
    common, union = int((drawn & photo.mask).sum()), int((drawn | photo.mask).sum())
    truth = labelled_nails(photo.mask)
    return PhotoScore(
        name=photo.name,
        iou=common / union if union else 1.0,
        dice=2 * common / (union + common) if union else 1.0,
        right=matched(found, truth),
        found=len(found),
        labelled=len(truth),
    )


def summarise(scores: Sequence[PhotoScore]) -> SegmentationReport:
    """Means over photos, and nails counted over all photos. Raises ValueError for no photos."""
    if not scores:
        raise ValueError("no labelled photos")
    right = sum(score.right for score in scores)
    found, labelled = sum(score.found for score in scores), sum(score.labelled for score in scores)
    precision, recall = right / max(1, found), right / max(1, labelled)
    return SegmentationReport(
        mean_iou=float(np.mean([score.iou for score in scores])),
        mean_dice=float(np.mean([score.dice for score in scores])),
        precision=precision,
        recall=recall,
        f1=2 * right / max(1, found + labelled),
        photos=tuple(sorted(scores, key=lambda score: (score.iou, score.name))),
    )


def evaluate(folder: Path, predict: Predictor, *, page: Path | None = None) -> SegmentationReport:
    """Scores `predict` (photo uint8 [H,W,3] -> nails) on a labelled folder; overlays go to `page` (PNG)."""
    scores: list[PhotoScore] = []
    tiles: dict[str, Image] = {}
    for photo in read_labelled(folder):
        found = predict(photo.image)
        scores.append(score_photo(photo, found))
        if page is not None:
            tiles[photo.name] = overlay_tile(photo, found, f"{photo.name} {scores[-1].iou:.2f}")
    report = summarise(scores)
    if page is not None:
        write_page(page, [tiles[score.name] for score in report.photos])
    return report


def overlay_tile(
    photo: LabelledPhoto, found: Sequence[NailInstance], caption: str, *, side: int = 320
) -> Image:
    """A photo with what is right (green), wrongly found (red) and missed (blue), outlined per nail."""
    drawn = union_mask(found, (photo.mask.shape[0], photo.mask.shape[1]))
    tile = photo.image.astype(np.float32)
    for area, colour in (
        (drawn & photo.mask, (0, 220, 60)),
        (drawn & ~photo.mask, (255, 30, 30)),
        (~drawn & photo.mask, (40, 80, 255)),
    ):
        tile[area] = 0.45 * tile[area] + 0.55 * np.array(colour, np.float32)
    scale = side / max(tile.shape[:2])
    size = (max(1, round(tile.shape[1] * scale)), max(1, round(tile.shape[0] * scale)))
    small = np.asarray(cv2.resize(tile, size, interpolation=cv2.INTER_AREA), np.uint8)
    canvas = np.full((side + 18, side, 3), 255, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    cv2.putText(canvas, caption, (2, side + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def write_page(path: Path, tiles: Sequence[Image], *, columns: int = 8) -> None:
    """Writes tiles of one size as a PNG, row by row. Raises OSError when it cannot be written."""
    rows = []
    for start in range(0, len(tiles), columns):
        row = list(tiles[start : start + columns])
        row += [np.full_like(tiles[0], 255)] * (columns - len(row))
        rows.append(np.concatenate(row, axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = cv2.cvtColor(np.concatenate(rows, axis=0), cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"cannot write {path}")
