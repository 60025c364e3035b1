"""The table that paper Q prints, for reading beside ours. Its photos are others (1,350 of AVA), and how they
were chosen is not published: nothing here may be compared with a figure of synthetic photos."""

from __future__ import annotations

from typing import Final

FIGURES: Final = ("MAE", "±", "LCC", "SRCC", "KL", "EMD")
ROWS: Final = {
    "Previous": (0.478, 0.36, 0.596, 0.556, 0.295, 0.106),
    "w/o Text": (0.442, 0.136, 0.650, 0.581, 0.185, 0.116),
    "Ours": (0.482, 0.147, 0.684, 0.620, 0.138, 0.094),
}
"""Figures of its table. "±" is a standard deviation in the first row, it seems, and a variance in the others;
the bins of its histograms are not published."""

CONSTANT: Final = 0.578
"""MAE of who says the mean score for each of 12,776 photos of AVA: what those MAEs are to be read beside."""
