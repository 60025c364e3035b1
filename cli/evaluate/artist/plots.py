"""A reliability diagram and a confusion matrix as PNG, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cli.evaluate.plots import COLOURS, FAINT, GRID, SCALE, Sheet
from evaluation.artist.metrics import Bin, curve_error

_MEMORY: Final = 0.7  # how much less the confusions with the artist before the last one count


def reliability_png(curves: Sequence[tuple[str, Sequence[Bin]]]) -> bytes:
    """Share of right answers by probability, a line a model; below, how many works have which probability.

    curves: (name, bins), at most as many as COLOURS.
    """
    sheet = Sheet(720, 640, (60, 30, 520, 490))
    below = (60, 510, 520, 590)
    for tenth in range(0, 11, 2):
        value = tenth / 10
        sheet.line([(value, 0), (value, 1)], GRID)
        sheet.line([(0, value), (1, value)], GRID)
        x, y = sheet.at(0, value)
        sheet.text((x - 8 * SCALE, y), f"{value:.1f}", fill=FAINT, anchor="rm")
        x, _ = sheet.at(value, 0)
        sheet.text((x, 602 * SCALE), f"{value:.1f}", fill=FAINT, anchor="mm")
    sheet.line([(0, 0), (1, 1)], FAINT)
    left, top = sheet.at(0, 1)
    sheet.text((left, top - 14 * SCALE), "share that is right")
    sheet.text(
        ((below[0] + below[2]) / 2 * SCALE, 624 * SCALE), "probability of the best artist", anchor="mm"
    )
    widest = max(item.count for _, bins in curves for item in bins)
    step = (below[2] - below[0]) / len(curves[0][1])
    for number, (name, bins) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        seen = [item for item in bins if item.count]
        sheet.line([(item.confidence, item.right) for item in seen], colour, 2)
        for item in seen:  # few works say little
            sheet.dot(item.confidence, item.right, 2 + 4 * math.sqrt(item.count / widest), colour)
        bar = 0.8 * step / len(curves)
        for item in seen:
            x = below[0] + item.low * (below[2] - below[0]) + 0.1 * step + number * bar
            height = (below[3] - below[1]) * item.count / widest
            corners = (x, below[3] - height, x + bar, below[3])
            sheet.pen.rectangle([value * SCALE for value in corners], colour)
        y = (44 + 42 * number) * SCALE
        sheet.pen.rectangle((540 * SCALE, y - 6 * SCALE, 552 * SCALE, y + 6 * SCALE), colour)
        sheet.text((560 * SCALE, y), name)
        sheet.text((560 * SCALE, y + 18 * SCALE), f"ECE {curve_error(bins):.3f}", fill=FAINT)
    sheet.text((540 * SCALE, 516 * SCALE), f"works, up to {widest:,}", fill=FAINT)
    return sheet.png()


def confusion_png(truth: NDArray[np.int64], answers: NDArray[np.int64], artists: int) -> bytes:
    """Shares of each artist's works (a row) by answer (a column), artists that are confused side by side.

    The darker, the more; the diagonal is what is right, on a scale of its own in green.
    """
    given = answers >= 0
    counts = np.zeros((artists, artists))
    np.add.at(counts, (truth[given], answers[given]), 1)
    shares = counts / np.maximum(np.bincount(truth, minlength=artists), 1)[:, None]
    order = seriated(shares)
    shares = shares[order][:, order]
    # The root lets single errors be seen beside the diagonal.
    strength = np.cbrt(np.clip(shares, 0, 1))[..., None]
    red, green = np.array([194, 24, 91]), np.array([46, 125, 50])
    ink = np.where(np.eye(artists, dtype=bool)[..., None], green, red)
    cells = (255 - strength * (255 - ink)).astype(np.uint8)
    side = 560
    sheet = Sheet(side + 90, side + 90, (60, 40, 60 + side, 40 + side))
    cell = max(1, side * SCALE // artists)
    matrix = Image.fromarray(cells).resize((cell * artists,) * 2, Image.Resampling.NEAREST)
    if cell * artists > side * SCALE:
        matrix = matrix.resize((side * SCALE,) * 2, Image.Resampling.BOX)
    corner = (60 * SCALE, 40 * SCALE)
    sheet.image.paste(matrix, corner)
    frame = (*corner, corner[0] + matrix.width, corner[1] + matrix.height)
    sheet.pen.rectangle(frame, outline=FAINT)
    sheet.text(
        (corner[0], 22 * SCALE),
        f"whose work it is (down) and whom it is taken for (across); {artists} artists",
    )
    sheet.text(
        (corner[0], frame[3] + 18 * SCALE),
        "green: right; red: wrong; the darker, the larger the share of the artist's works",
        fill=FAINT,
    )
    return sheet.png()


def seriated(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """An order of artists that brings those that are taken for each other together, int [A].

    Next comes whoever is most confused with the last ones; first, who is most confused of all.
    """
    ties = shares + shares.T
    np.fill_diagonal(ties, 0)
    left = np.ones(len(ties), np.bool_)
    pull = ties.sum(axis=1)
    order = []
    while left.any():
        order.append(int(np.where(left, pull, -1.0).argmax()))
        left[order[-1]] = False
        pull = (0.0 if len(order) == 1 else _MEMORY * pull) + ties[order[-1]]
    return np.array(order, np.int64)
