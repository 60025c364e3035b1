"""One request's palette against those of many designs at once, as a search needs it.

The figures are those of `nails.colour.palette.palette_similarity`; only the way to them is shorter: the
differences of all pairs are computed together. Where no two requested colours are nearest to the same
colour of a design, each is assigned its nearest; the few other designs are assigned one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nails.colour.palette import (
    HALF_LIKENESS,
    PaletteColour,
    assign_colours,
    effective_differences,
    equivalent_difference,
)

ShownColour = tuple[Sequence[float], float]
"""A colour of a design: CIELAB (L, a, b) and its share in (0, 1]."""


def palette_differences(
    request: Sequence[PaletteColour], designs: Sequence[Sequence[ShownColour]]
) -> NDArray[np.float64]:
    """How far each design's palette is from the requested colours, as one CIEDE2000 difference >= 0: [n].

    Huge for a design without colours, and for a request without any.
    """
    if not request:
        return np.full(len(designs), equivalent_difference(0.0))
    weights = np.array([colour.weight for colour in request], np.float64)
    likeness = 1.0 / (1.0 + (colour_differences(request, designs) / HALF_LIKENESS) ** 2)
    similarity = np.clip(likeness @ (weights / (weights.sum() or 1.0)), 1e-9, 1.0)
    return HALF_LIKENESS * np.sqrt(np.maximum(0.0, 1.0 / similarity - 1.0))


def colour_differences(
    request: Sequence[PaletteColour], designs: Sequence[Sequence[ShownColour]]
) -> NDArray[np.float64]:
    """The differences of `nails.colour.palette.match_colours`: [n, requested], infinite without colours."""
    found = np.full((len(designs), len(request)), np.inf)
    filled = [index for index, design in enumerate(designs) if design]
    if not request or not filled:
        return found
    most = max(len(designs[index]) for index in filled)
    labs, shares = np.zeros((len(filled), most, 3)), np.zeros((len(filled), most))
    there = np.zeros((len(filled), most), bool)
    for row, index in enumerate(filled):
        count = len(designs[index])
        labs[row, :count] = [lab for lab, _ in designs[index]]
        shares[row, :count] = [share for _, share in designs[index]]
        there[row, :count] = True
    requested = np.array([colour.lab for colour in request], np.float64)
    weights = np.array([colour.weight for colour in request], np.float64)
    difference = effective_differences(requested, weights, labs, shares)
    difference = np.where(there[:, None, :], difference, np.inf)  # [designs, requested, shown]
    chosen = difference.min(axis=2)
    nearest = np.sort(difference.argmin(axis=2), axis=1)
    for row in np.flatnonzero((nearest[:, 1:] == nearest[:, :-1]).any(axis=1)).tolist():
        chosen[row] = assign_colours(difference[row][:, there[row]], weights)[1]
    found[filled] = chosen
    return found
