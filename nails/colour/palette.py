"""Palettes: the colours of a design's nails, and how well they match the colours of a request.

A request's colours are assigned one to one to the design's by CIEDE2000. Each difference d becomes a
likeness 1 / (1 + (d / 15)^2): 0.90 at 5 (the same colour to most eyes), 0.5 at 15 (a shade of it), 0.14 at 37
(another colour). The similarity of two palettes is the weighted mean of these likenesses, and the
"difference" reported beside it is the one colour difference that has this likeness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from nails.colour.assignment import assign
from nails.colour.cielab import ciede2000, in_gamut, srgb_to_lab
from nails.vocabulary import COLOURS

MAX_COLOURS = 12
HALF_LIKENESS = 15.0  # the CIEDE2000 difference that counts half

_SLACK = 1e-4  # what float32 on the wire may add
_SAMPLE = 6000  # pixels per photo; palettes are stable to a percent from about 3000 on
_CLUSTERS = 9
_CELL_BITS = 2  # lower bits of a channel that make no visible difference
_MERGE_DIFFERENCE = 9.0
_MERGE_SAME_NAME = 18.0
_MIN_WEIGHT = 0.03
# A specular highlight burns out to white but covers little; a white design covers more.
_HIGHLIGHT_LEVEL = 238
_HIGHLIGHT_SHARE = 0.10
# A colour that covers less than half of its requested share counts as up to this much farther.
_RARITY_DIFFERENCE = 10.0
_ENOUGH_SHARE = 0.5
# A request's colour that must share a design's colour with another counts as this much farther.
_SHARED_DIFFERENCE = 10.0

_NAMED = tuple(colour for colour in COLOURS if colour.name != "clear")
_NAMED_LAB = np.array([colour.lab for colour in _NAMED], np.float64)


NailPixels = tuple[NDArray[np.uint8], NDArray[np.bool_]]


class PaletteError(ValueError):
    """A palette that is refused. `index` is the offending colour's, or None for the palette as a whole.

    Reasons: COLOUR_NOT_FINITE, COLOUR_OUT_OF_GAMUT, COLOUR_WEIGHT_INVALID, PALETTE_TOO_MANY_COLOURS.
    """

    def __init__(self, reason: str, description: str, index: int | None = None) -> None:
        super().__init__(f"{reason}: {description}")
        self.reason = reason
        self.description = description
        self.index = index


@dataclass(frozen=True)
class PaletteColour:
    """One colour: CIELAB (L, a, b), its share of the palette in (0, 1], the nearest named colour."""

    lab: tuple[float, float, float]
    weight: float
    name: str = ""


class PaletteMatch(NamedTuple):
    """similarity: in [0, 1], 1 when no requested colour is missing; difference: the same in CIEDE2000."""

    similarity: float
    difference: float


def likeness(difference: float) -> float:
    """How much a CIEDE2000 difference >= 0 counts as the same colour: (0, 1], falling."""
    return 1.0 / (1.0 + (difference / HALF_LIKENESS) ** 2)


def equivalent_difference(similarity: float) -> float:
    """The inverse of `likeness`: the difference that counts `similarity`, in (0, 1]."""
    return HALF_LIKENESS * math.sqrt(max(0.0, 1.0 / max(similarity, 1e-9) - 1.0))


def nearest_name(lab: Sequence[float]) -> str:
    """Name of the vocabulary's colour nearest to a CIELAB colour. Paint is never named "clear"."""
    return _NAMED[int(ciede2000(np.asarray(lab, np.float64), _NAMED_LAB).argmin())].name


def validate_palette(
    labs: Sequence[Sequence[float]], weights: Sequence[float] | None = None
) -> list[PaletteColour]:
    """A caller's palette, checked and with weights that sum to 1; [] for no colours.

    A weight of 0 is one that is not given: if all are 0 (or `weights` is None) the colours share equally,
    otherwise such a colour gets the mean of the given weights. Raises PaletteError with the index of the
    first bad colour.
    """
    if len(labs) > MAX_COLOURS:
        raise PaletteError(
            "PALETTE_TOO_MANY_COLOURS", f"{len(labs)} colours are more than the {MAX_COLOURS} allowed"
        )
    given = [0.0] * len(labs) if weights is None else [float(weight) for weight in weights]
    if len(given) != len(labs):
        raise ValueError("every colour needs one weight")
    for index, (lab, weight) in enumerate(zip(labs, given, strict=True)):
        if len(lab) != 3 or not all(math.isfinite(value) for value in lab):
            raise PaletteError("COLOUR_NOT_FINITE", f"colour {tuple(lab)} is not three finite numbers", index)
        if not -_SLACK <= lab[0] <= 100 + _SLACK or not in_gamut(lab):
            shown = ", ".join(f"{value:g}" for value in lab)
            raise PaletteError("COLOUR_OUT_OF_GAMUT", f"no display can show CIELAB ({shown})", index)
        if not 0 <= weight <= 1 + _SLACK:
            raise PaletteError("COLOUR_WEIGHT_INVALID", f"weight {weight:g} is not within 0 and 1", index)
    positive = [weight for weight in given if weight > 0]
    mean = sum(positive) / len(positive) if positive else 1.0
    filled = [weight if weight > 0 else mean for weight in given]
    total = sum(filled)
    return [
        PaletteColour((float(lab[0]), float(lab[1]), float(lab[2])), weight / total, nearest_name(lab))
        for lab, weight in zip(labs, filled, strict=True)
    ]


def extract_palette(
    image: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]], max_colours: int = 5
) -> list[PaletteColour]:
    """Colours of the nail pixels of an RGB image [H,W,3], largest share first; [] without nails.

    masks: bool [H,W] each. Masks are eroded, so that skin at their borders does not count; small burnt-out
    highlights are left out; every nail counts equally, so that a near thumb does not outvote four fingers.
    Deterministic.
    """
    return extract_nail_palette(_windows(image, masks), max_colours)


def extract_nail_palette(nails: Sequence[NailPixels], max_colours: int = 5) -> list[PaletteColour]:
    """`extract_palette` for nails cut out already, each as its window of the photo [h,w,3] and mask [h,w]."""
    pixels, weights = _nail_pixels(nails)
    if not len(pixels):
        return []
    burnt = (pixels >= _HIGHLIGHT_LEVEL).all(axis=1)
    if 0 < float(weights[burnt].sum()) < _HIGHLIGHT_SHARE * float(weights.sum()):
        pixels, weights = pixels[~burnt], weights[~burnt]
    distinct, weights = _quantise(pixels, weights)
    labs = srgb_to_lab(distinct)
    centres, shares = _merge_clusters(*_k_means(labs, weights, min(_CLUSTERS, len(labs))))
    ranked = [int(index) for index in np.argsort(-shares, kind="stable")]
    order = [index for index in ranked if shares[index] >= _MIN_WEIGHT][:max_colours] or ranked[:1]
    total = float(shares[order].sum())
    colours = []
    for index in order:
        lab = (float(centres[index][0]), float(centres[index][1]), float(centres[index][2]))
        colours.append(PaletteColour(lab, float(shares[index]) / total, nearest_name(lab)))
    return colours


def match_colours(
    request: Sequence[PaletteColour], design: Sequence[PaletteColour]
) -> list[tuple[int, float]]:
    """For each of the request's colours the design's colour assigned to it, and the difference that counts.

    Returns (index into `design`, effective difference): the CIEDE2000 difference, plus a little for a colour
    that covers far less of the design than its requested share, plus 10 where two requested colours share
    one.
    """
    if not request or not design:
        return []
    weights = np.array([one.weight for one in request], np.float64)
    difference = effective_differences(
        np.array([one.lab for one in request]),
        weights,
        np.array([one.lab for one in design]),
        np.array([one.weight for one in design]),
    )
    columns, counted = assign_colours(difference, weights)
    return list(zip(columns, counted.tolist(), strict=True))


def effective_differences(
    requested: NDArray[np.float64],
    weights: NDArray[np.float64],
    shown: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The difference that counts between each requested colour and each of a design: [...,A,S].

    requested [A,3] and shown [...,S,3] in CIELAB, weights [A], shares [...,S]. The CIEDE2000 difference, plus
    a little for a colour that covers far less than its requested share.
    """
    enough = np.maximum(weights * _ENOUGH_SHARE, 1e-9)[:, None]
    rarity = np.clip(1.0 - shares[..., None, :] / enough, 0.0, 1.0)
    found = ciede2000(requested[:, None, :], shown[..., None, :, :]) + _RARITY_DIFFERENCE * rarity
    return np.asarray(found, np.float64)


def assign_colours(
    difference: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[list[int], NDArray[np.float64]]:
    """The design's colour assigned to each requested one, and the difference that counts for it: [A] each.

    difference [A,S]: of `effective_differences`. Two may share one, at a price.
    """
    shown = difference.shape[1]
    # Each request colour may also share any design colour: one private column per request colour.
    shared = difference.min(axis=1) + _SHARED_DIFFERENCE
    options = np.concatenate([difference, np.broadcast_to(shared[:, None], (len(shared),) * 2)], axis=1)
    # The sum that is minimised is the very one that the similarity reports.
    loss = (1.0 - 1.0 / (1.0 + (options / HALF_LIKENESS) ** 2)) * weights[:, None]
    chosen = np.asarray(assign(loss))
    columns = np.where(chosen < shown, chosen, difference.argmin(axis=1))
    return columns.tolist(), options[np.arange(len(chosen)), chosen]


def palette_similarity(request: Sequence[PaletteColour], design: Sequence[PaletteColour]) -> PaletteMatch:
    """How well a design's palette holds the requested colours.

    1 when each requested colour is in the design and covers enough of it; other colours of the design do not
    count against it. Never rises when a difference grows. Both palettes empty or not, an empty one gives 0.
    """
    pairs = match_colours(request, design)
    if not pairs:
        return PaletteMatch(0.0, equivalent_difference(0.0))
    total = sum(colour.weight for colour in request) or 1.0
    similarity = sum(
        colour.weight / total * likeness(difference)
        for colour, (_, difference) in zip(request, pairs, strict=True)
    )
    similarity = min(1.0, similarity)
    return PaletteMatch(similarity, equivalent_difference(similarity))


def _windows(image: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> list[NailPixels]:
    found = []
    for mask in masks:
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if columns.size:
            window = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
            found.append((image[window], mask[window]))
    return found


def _nail_pixels(nails: Sequence[NailPixels]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pixels [n,3] of all nails and their weights [n]: the same total for each nail."""
    pieces, weights = [], []
    per_nail = max(64, _SAMPLE // max(1, len(nails)))
    for window, mask in nails:
        inner = window[_erode(mask)]
        inner = inner[:: max(1, math.ceil(len(inner) / per_nail))]
        pieces.append(inner)
        weights.append(np.full(len(inner), 1.0 / len(inner)))
    if not pieces:
        return np.zeros((0, 3), np.uint8), np.zeros(0)
    return np.concatenate(pieces), np.concatenate(weights)


def _erode(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask less a border of a tenth of its thickness; less where nothing would be left."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3))[1:-1, 1:-1]
    deepest = float(depth.max())
    return mask & (depth > min(max(1.0, 0.2 * deepest), 0.5 * deepest))


def _quantise(
    pixels: NDArray[np.uint8], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distinguishable colours [m,3] in 0-1, and their weights [m].

    Pixels [n,3] that share the upper six bits of each channel become their weighted mean: finer than any
    difference that counts here, and a quarter of the points or less.
    """
    cells = (pixels >> _CELL_BITS).astype(np.int32)
    key = (cells[:, 0] << 16) | (cells[:, 1] << 8) | cells[:, 2]
    _, owner = np.unique(key, return_inverse=True)
    total = np.bincount(owner, weights).astype(np.float64)
    means = [np.bincount(owner, weights * pixels[:, channel]) / total for channel in range(3)]
    return np.stack(means, axis=1) / 255.0, total


def _k_means(
    labs: NDArray[np.float64], weights: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted k-means in CIELAB from farthest-first seeds: centres [k,3] and shares [k]. No randomness."""
    mean = weights @ labs / weights.sum()
    centres = labs[[int(((labs - mean) ** 2).sum(axis=1).argmin())]]
    gaps = ((labs - centres[0]) ** 2).sum(axis=1)
    # Farthest-first alone would chase single outliers: far pixels count by weight among the farthest tenth.
    for _ in range(1, count):
        if float(gaps.max()) < 4.0:  # nothing is left beyond two units
            break
        threshold = _weighted_quantile(gaps, weights, 0.95)
        far = gaps >= max(threshold, 4.0) if threshold >= 4.0 else gaps >= float(gaps.max())
        candidate = weights[far] @ labs[far] / weights[far].sum()
        index = int(np.where(far, ((labs - candidate) ** 2).sum(axis=1), np.inf).argmin())
        centres = np.concatenate([centres, labs[[index]]])
        gaps = np.minimum(gaps, ((labs - labs[index]) ** 2).sum(axis=1))
    shares: NDArray[np.float64] = np.zeros(len(centres))
    for _ in range(20):
        owner = _nearest(labs, centres)
        shares = np.bincount(owner, weights=weights, minlength=len(centres)).astype(np.float64)
        sums = np.stack(
            [np.bincount(owner, weights * labs[:, axis], minlength=len(centres)) for axis in range(3)], axis=1
        )
        moved = np.where(shares[:, None] > 0, sums / np.maximum(shares, 1e-12)[:, None], centres)
        settled = float(np.abs(moved - centres).max()) < 0.05
        centres = moved
        if settled:
            break
    return centres, shares / shares.sum()


def _weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The least of `values` [n] below or at which `share` of the weight [n] lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1])])


def _nearest(labs: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[Any]:
    distance = (centres**2).sum(axis=1)[None, :] - 2 * labs @ centres.T
    return np.asarray(distance.argmin(axis=1))


def _merge_clusters(
    centres: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unite clusters that the eye calls one colour, nearest pair first."""
    centres, shares = centres[shares > 0], shares[shares > 0]
    names = [nearest_name(centre) for centre in centres]
    while len(centres) > 1:
        gaps = ciede2000(centres[:, None, :], centres[None, :, :])
        # Shades of one name, as a curved nail has them in any light, are united from farther away.
        alike = np.array([[one == other for other in names] for one in names])
        gaps = np.where(alike, gaps * (_MERGE_DIFFERENCE / _MERGE_SAME_NAME), gaps)
        np.fill_diagonal(gaps, np.inf)
        first, second = divmod(int(gaps.argmin()), len(centres))
        if gaps[first, second] > _MERGE_DIFFERENCE:
            break
        pair = [first, second]
        united = shares[pair] @ centres[pair] / shares[pair].sum()
        centres = np.concatenate([np.delete(centres, pair, axis=0), united[None]])
        shares = np.concatenate([np.delete(shares, pair), [shares[pair].sum()]])
        names = [name for index, name in enumerate(names) if index not in pair] + [nearest_name(united)]
    return centres, shares
