"""Segmentation figures by group: Monk skin tone, polish family, and nude or bare nails on every tone.

Photos without a labelled nail say nothing about tones or polishes and stand in no group. Two figures a
group, each beside the mean over everything that is grouped:
- photos: mean IoU of the union of the masks. A photo's family is that of most of its labelled nail pixels.
- nails: mean over labelled nails of the IoU with the found nail that overlaps it best, 0 when missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

BARE = "bare"
FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    BARE: (BARE,),
    "nude": ("nude", "beige", "pink_beige", "sheer_pink", "peach", "clear"),
    "white": ("white", "milky_white", "ivory"),
    "pink": ("pink", "baby_pink", "hot_pink", "dusty_rose", "magenta"),
    "red": ("red", "wine"),
    "orange": ("orange", "coral", "terracotta"),
    "yellow": ("yellow", "lemon", "neon_yellow", "mustard"),
    "green": ("green", "lime", "mint", "khaki", "dark_green"),
    "blue": ("blue", "sky_blue", "dusty_blue", "navy", "teal", "turquoise"),
    "purple": ("purple", "lavender", "mauve", "plum"),
    "brown": ("brown", "chocolate"),
    "grey": ("grey", "greige", "charcoal"),
    "black": ("black",),
    "metal": ("gold", "silver", "rose_gold", "champagne", "bronze"),
}
"""Polish families and the colours of nails.vocabulary in them; every colour is in exactly one."""
_FAMILY_OF = {colour: family for family, colours in FAMILIES.items() for colour in colours}
BY = ("tone", "family", "nude")
"""What figures can be grouped by; "nude": nude and bare nails, by tone."""


@dataclass(frozen=True)
class NailScore:
    """A labelled nail: its polish, its area in pixels, its IoU with the found nail that overlaps it best."""

    colour: str
    area: int
    iou: float


@dataclass(frozen=True)
class GroupedPhoto:
    """A photo's tone (1-10; 0: no hand), IoU over all nails, and its labelled nails."""

    tone: int
    iou: float
    nails: tuple[NailScore, ...]


@dataclass(frozen=True)
class GroupScore:
    """Figures of a group. gaps: to the mean over all photos and all nails, negative below; None: no photo."""

    name: str
    photos: int
    iou: float | None
    iou_gap: float | None
    nails: int
    nail_iou: float
    nail_iou_gap: float


def polish_family(colour: str) -> str:
    """The family of a polish; "other" for a name that is in none."""
    return _FAMILY_OF.get(colour, "other")


def by_group(photos: Sequence[GroupedPhoto], by: str) -> list[GroupScore]:
    """Figures of the groups that `by` (one of BY) makes, in the order of tones or of FAMILIES.

    Raises ValueError for another `by`.
    """
    if by not in BY:
        raise ValueError(f"cannot group by {by!r}; there are {', '.join(BY)}")
    shown = [photo for photo in photos if photo.nails]
    if not shown:
        return []
    if by == "family":
        return _scores(shown, list(FAMILIES), main_family, lambda _, nail: polish_family(nail.colour))
    tones = [_tone_name(tone) for tone in range(1, 11)] + [_tone_name(0)]
    if by == "tone":
        return _scores(
            shown, tones, lambda photo: _tone_name(photo.tone), lambda photo, _: _tone_name(photo.tone)
        )

    def nude_photo(photo: GroupedPhoto) -> str:
        return _tone_name(photo.tone) if main_family(photo) in (BARE, "nude") else ""

    def nude_nail(photo: GroupedPhoto, nail: NailScore) -> str:
        return _tone_name(photo.tone) if polish_family(nail.colour) in (BARE, "nude") else ""

    return _scores(shown, tones, nude_photo, nude_nail)


def main_family(photo: GroupedPhoto) -> str:
    """The family of most of a photo's labelled nail pixels. Raises ValueError without a nail."""
    if not photo.nails:
        raise ValueError("a photo without a nail has no polish")
    pixels: Counter[str] = Counter()
    for nail in photo.nails:
        pixels[polish_family(nail.colour)] += nail.area
    return pixels.most_common(1)[0][0]


def _tone_name(tone: int) -> str:
    return f"tone {tone}" if tone else "no hand"


def _scores(
    photos: Sequence[GroupedPhoto],
    order: Sequence[str],
    of_photo: Callable[[GroupedPhoto], str],
    of_nail: Callable[[GroupedPhoto, NailScore], str],
) -> list[GroupScore]:
    mean = float(np.mean([photo.iou for photo in photos]))
    nail_mean = float(np.mean([nail.iou for photo in photos for nail in photo.nails]))
    by_photo: dict[str, list[float]] = {}
    by_nail: dict[str, list[float]] = {}
    for photo in photos:
        by_photo.setdefault(of_photo(photo), []).append(photo.iou)
        for nail in photo.nails:
            by_nail.setdefault(of_nail(photo, nail), []).append(nail.iou)
    names = [name for name in (*order, "other") if name in by_nail]
    scores = []
    for name in names:
        ious, nails = by_photo.get(name, []), by_nail[name]
        iou = float(np.mean(ious)) if ious else None
        scores.append(
            GroupScore(
                name=name,
                photos=len(ious),
                iou=iou,
                iou_gap=None if iou is None else iou - mean,
                nails=len(nails),
                nail_iou=float(np.mean(nails)),
                nail_iou_gap=float(np.mean(nails)) - nail_mean,
            )
        )
    return scores
