"""Pictures of aesthetic scores as PNG: how scores are spread (paper Q's Figure 3), how votes are, and both
scores of each photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cli.evaluate.plots import FAINT, Plot, Sheet
from evaluation.aesthetic.metrics import BIN, HIGH, LOW, Values, score_histogram
from evaluation.aesthetic.table import AestheticRow

OURS: Final = "#c2185b"
_TRUTH: Final = "#bdbdbd"
_OTHER: Final = "#00838f"
_COLUMNS: Final = 3
_CELL: Final = (330, 220)
_MARGIN: Final = 44


def histograms_png(mos: NDArray[np.float32], rows: Sequence[AestheticRow]) -> bytes:
    """A plot a variant: shares of photos by score, people's in grey, the variant's (mean of its runs) as a
    line."""
    truth = score_histogram(mos)
    means = [np.mean([score_histogram(run) for run in row.scores], axis=0) for row in rows]
    seen = np.flatnonzero(np.max([truth, *means], axis=0) > 0)
    first, last = LOW + BIN * (seen[0] - 1), LOW + BIN * (seen[-1] + 2)
    top = 1.08 * float(np.max([truth, *means]))
    sheet, boxes = _grid(len(rows))
    for row, shares, box in zip(rows, means, boxes, strict=True):
        plot = Plot(sheet, box, x=(first, last), y=(0, top))
        colour = OURS if row.name == "ours" else _OTHER
        plot.axes(row.name, x_ticks=_scores(first, last), y_ticks=_shares(top), fill=colour)
        for place in seen:
            left = LOW + BIN * float(place)
            plot.bar((left + 0.01, left + BIN - 0.01), (0, float(truth[place])), _TRUTH)
        plot.line(_steps(shares, seen), colour)
    return sheet.png()


def distributions_png(
    votes: NDArray[np.int32], predicted: Values, ids: Sequence[str], mos: NDArray[np.float32]
) -> bytes:
    """The votes of all photos together and of eleven photos from low to high (bars), and what is predicted.

    votes: counts [n,10]; predicted: shares [n,10], the mean over runs.
    """
    shares = votes / votes.sum(axis=1, keepdims=True)
    order = np.argsort(mos, kind="stable")
    chosen = list(dict.fromkeys(order[np.linspace(0, len(order) - 1, 11).round().astype(int)].tolist()))
    panels = [(f"all {len(ids):,} photos, mean", shares.mean(axis=0), predicted.mean(axis=0))]
    panels += [
        (
            f"photo {ids[place]}: {mos[place]:.2f} of {votes[place].sum()} votes",
            shares[place],
            predicted[place],
        )
        for place in chosen
    ]
    top = 1.08 * float(max(max(own.max(), said.max()) for _, own, said in panels))
    sheet, boxes = _grid(len(panels))
    for (title, own, said), box in zip(panels, boxes, strict=True):
        plot = Plot(sheet, box, x=(0.4, 10.6), y=(0, top))
        plot.axes(title, x_ticks=[(value, str(value)) for value in range(1, 11)], y_ticks=_shares(top))
        for value in range(1, 11):
            plot.bar((value - 0.38, value + 0.38), (0, float(own[value - 1])), _TRUTH)
        plot.line([(value, float(said[value - 1])) for value in range(1, 11)], OURS)
        for value in range(1, 11):
            plot.dot(value, float(said[value - 1]), 3, OURS)
    return sheet.png()


def scatter_png(mos: NDArray[np.float32], rows: Sequence[AestheticRow]) -> bytes:
    """People's mean (across) and a variant's score (up, the mean of its runs) of each photo, a plot a row."""
    scores = [row.scores.mean(axis=0) for row in rows]
    everything = np.clip([mos, *scores], LOW, HIGH)  # who only ranks may say anything
    low, high = float(np.floor(everything.min())), float(np.ceil(everything.max()))
    sheet, boxes = _grid(len(rows), (330, 330))
    radius = 2.5 if len(mos) < 600 else 1.6
    for row, own, box in zip(rows, scores, boxes, strict=True):
        plot = Plot(sheet, box, x=(low, high), y=(low, high))
        colour = OURS if row.name == "ours" else _OTHER
        ticks = _scores(low, high)
        plot.axes(row.name, x_ticks=ticks, y_ticks=ticks, fill=colour)
        plot.line([(low, low), (high, high)], FAINT, 1)
        for truth, said in zip(mos.tolist(), np.clip(own, low, high).tolist(), strict=True):
            plot.dot(truth, said, radius, colour)
    return sheet.png()


def _grid(count: int, cell: tuple[int, int] = _CELL) -> tuple[Sheet, list[tuple[int, int, int, int]]]:
    """A sheet with room for so many plots, and their boxes."""
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    width, height = cell[0] + _MARGIN + 12, cell[1] + 2 * _MARGIN - 14
    boxes = []
    for place in range(count):
        left = (place % columns) * width + _MARGIN
        top = (place // columns) * height + _MARGIN - 8
        boxes.append((left, top, left + cell[0], top + cell[1]))
    return Sheet(columns * width, rows * height, boxes[0]), boxes


def _steps(shares: Values, seen: NDArray[np.intp]) -> list[tuple[float, float]]:
    """The outline of a histogram."""
    places: list[tuple[float, float]] = [(LOW + BIN * float(seen[0]), 0.0)]
    for bin_ in range(int(seen[0]), int(seen[-1]) + 1):
        left, share = LOW + BIN * bin_, float(shares[bin_])
        places += [(left, share), (left + BIN, share)]
    return [*places, (LOW + BIN * (float(seen[-1]) + 1), 0.0)]


def _scores(low: float, high: float) -> list[tuple[float, str]]:
    return [(value, str(value)) for value in range(int(np.ceil(low)), int(np.floor(high)) + 1)]


def _shares(top: float) -> list[tuple[float, str]]:
    step = next(size for size in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if top / size <= 6)
    return [(step * place, f"{100 * step * place:.0f} %") for place in range(int(top / step) + 1)]
