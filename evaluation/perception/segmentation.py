"""How well nails are found in labelled photos: mean IoU, Dice, and per-nail precision, recall and F1.

Two kinds of figure:
- per photo, over all nails together: IoU and Dice of the union of the masks, then their mean over photos;
- per nail: a found nail is right when its IoU with a labelled one is at least 0.5, each used once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.perception.groups import GroupedPhoto, GroupScore, NailScore, by_group
from evaluation.perception.labelled import LabelledPhoto, list_entries, read_entry, read_labelled
from nails.perception.nail_decode import NailInstance, instance_iou

__all__ = [
    "LabelledPhoto",
    "PhotoScore",
    "Predictor",
    "SegmentationReport",
    "evaluate",
    "list_entries",
    "matched",
    "painted",
    "read_entry",
    "read_labelled",
    "score_photo",
    "summarise",
    "union_mask",
]

MATCH_IOU = 0.5
RIGHT, WRONG, MISSED = (0, 220, 60), (255, 30, 30), (40, 80, 255)
"""Colours of what was found rightly, of what is no nail, and of what was not found."""

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Predictor = Callable[[Image], Sequence[NailInstance]]


@dataclass(frozen=True)
class PhotoScore:
    """Figures of one photo. right, found, labelled: numbers of nails. tone: None where unknown."""

    name: str
    iou: float
    dice: float
    right: int
    found: int
    labelled: int
    tone: int | None = None
    nails: tuple[NailScore, ...] = ()


@dataclass(frozen=True)
class SegmentationReport:
    """Figures of a folder, each in [0, 1]; photos as scored, worst IoU first."""

    mean_iou: float
    mean_dice: float
    precision: float
    recall: float
    f1: float
    photos: tuple[PhotoScore, ...] = field(repr=False)

    @property
    def is_grouped(self) -> bool:
        """Whether tone and polish are known."""
        return all(photo.tone is not None for photo in self.photos)

    def groups(self, by: str) -> list[GroupScore]:
        """Figures by "tone", "family" or "nude". Raises ValueError where the labels do not say them."""
        if not self.is_grouped:
            raise ValueError("these labels have no skin tone and no polish")
        return by_group([GroupedPhoto(p.tone or 0, p.iou, p.nails) for p in self.photos], by)

    def as_dict(self, by: Sequence[str] = ()) -> dict[str, Any]:
        """For `--json`; `by`: groups to add."""
        facts: dict[str, Any] = {
            "photos": len(self.photos),
            "mean_iou": self.mean_iou,
            "mean_dice": self.mean_dice,
            "nail_precision": self.precision,
            "nail_recall": self.recall,
            "nail_f1": self.f1,
            "worst": [{"name": photo.name, "iou": photo.iou} for photo in self.photos[:8]],
        }
        for name in by:
            facts[f"by_{name}"] = [asdict(group) for group in self.groups(name)]
        return facts


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
    found_mask = union_mask(found, (photo.mask.shape[0], photo.mask.shape[1]))
    common, union = int((found_mask & photo.mask).sum()), int((found_mask | photo.mask).sum())
    nails = tuple(
        NailScore(
            nail.colour,
            nail.instance.area,
            max((instance_iou(nail.instance, other) for other in found), default=0.0),
        )
        for nail in photo.nails
    )
    return PhotoScore(
        name=photo.name,
        iou=common / union if union else 1.0,
        dice=2 * common / (union + common) if union else 1.0,
        right=matched(found, [nail.instance for nail in photo.nails]),
        found=len(found),
        labelled=len(nails),
        tone=photo.tone,
        nails=nails,
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


def painted(photo: LabelledPhoto, found: Sequence[NailInstance], *, side: int) -> Image:
    """A photo with what is right (green), wrongly found (red) and missed (blue); RGB, long side `side`.

    Found nails are outlined in white, so that merged nails can be seen.
    """
    scale = side / max(photo.image.shape[:2])
    size = (
        max(1, round(photo.image.shape[1] * scale)),
        max(1, round(photo.image.shape[0] * scale)),
    )
    found_mask = union_mask(found, (photo.mask.shape[0], photo.mask.shape[1]))
    image = photo.image.astype(np.float32)
    for area, colour in (
        (found_mask & photo.mask, RIGHT),
        (found_mask & ~photo.mask, WRONG),
        (~found_mask & photo.mask, MISSED),
    ):
        image[area] = 0.45 * image[area] + 0.55 * np.array(colour, np.float32)
    small = np.array(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    for nail in found:
        outlines, _ = cv2.findContours(nail.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        placed = [
            np.rint((outline.reshape(-1, 2) + 0.5 + np.array(nail.offset)) * scale).astype(np.int32)
            for outline in outlines
        ]
        cv2.polylines(small, placed, True, (255, 255, 255), 1, cv2.LINE_AA)
    return small


def overlay_tile(
    photo: LabelledPhoto, found: Sequence[NailInstance], caption: str, *, side: int = 320
) -> Image:
    """`painted` on a white tile [side + 18,side,3] with a caption below."""
    small = painted(photo, found, side=side)
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
