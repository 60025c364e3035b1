"""What can be left out of an image, so that the worth of each ingredient can be measured."""

from __future__ import annotations

from collections.abc import Iterable

# Name: what is missing when an image is rendered without it.
INGREDIENTS = {
    "real_backgrounds": "real photos behind the hands: surfaces are procedural",
    "clutter": "things that lie about",
    "bare_nails": "nails without paint: every set is painted",
    "hard_negatives": "hands that show no nails (palms, fists, knuckles) and scenes without hands",
    "close_ups": "photos in which one to five nails fill the frame",
    "long_tips": "long and extra long nails",
    "free_edge": "the see-through or whitish edge of a natural nail, and see-through tips",
    "photo_effects": "noise, blur, exposure, colour and JPEG: the scene as rendered",
    "skin_detail": "pores, blotches, creases, veins, tendons: skin of one colour",
}


def validate_ingredients(without: Iterable[str]) -> frozenset[str]:
    """The names as a set. Raises ValueError for a name that is not in INGREDIENTS."""
    names = frozenset(without)
    unknown = sorted(names - set(INGREDIENTS))
    if unknown:
        raise ValueError(f"unknown ingredient {', '.join(unknown)}: one of {', '.join(INGREDIENTS)}")
    return names
