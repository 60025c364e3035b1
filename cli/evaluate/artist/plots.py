"""A reliability diagram and a confusion matrix of artists as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cli.evaluate.plots import COLOURS, FAINT, apply_style, draw_panels, encode_figure, write_title
from evaluation.artist.metrics import Bin, curve_error

_MEMORY: Final = 0.7
"""Weight of the confusions with earlier artists of the order, against those with the last one."""
_RIGHT, _WRONG = np.array([46, 125, 50]), np.array([194, 24, 91])


def draw_reliability(curves: Sequence[tuple[str, Sequence[Bin]]]) -> bytes:
    """Share of right answers by probability, a line for each model; below, how many works have which one.

    curves: (name, bins), at most as many as COLOURS. Dots grow with the number of works.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    apply_style(above)
    apply_style(below)
    above.plot((0, 1), (0, 1), color=FAINT, linewidth=1)
    widest = max(item.count for _, bins in curves for item in bins)
    for number, (name, bins) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        filled = [item for item in bins if item.count]
        confidence, right = [item.confidence for item in filled], [item.right for item in filled]
        above.plot(confidence, right, color=colour, label=f"{name}\nECE {curve_error(bins):.3f}")
        # Bins of few works are uncertain.
        counts = np.array([item.count for item in filled])
        above.scatter(confidence, right, s=16 + 100 * counts / widest, color=colour)
        width = 0.8 / len(bins) / len(curves)
        left = np.array([item.low for item in filled]) + 0.1 / len(bins) + number * width
        below.bar(left, counts, width=width, align="edge", color=colour)
    above.set(xlim=(0, 1), ylim=(0, 1.02))
    below.set(xlabel="probability of the best artist")
    write_title(above, "share that is right")
    write_title(below, f"works, up to {widest:,}", FAINT)
    figure.legend(
        *above.get_legend_handles_labels(), loc="outside right upper", frameon=False, labelspacing=1
    )
    return encode_figure(figure)


def draw_confusion(truth: NDArray[np.int64], answers: NDArray[np.int64], artists: int) -> bytes:
    """Shares of each artist's works (a row) by answer (a column), artists that are confused side by side.

    truth, answers: int [n], places of artists, -1 for no answer. The darker, the larger the share; the
    diagonal is what is right, in green.
    """
    from sklearn.metrics import confusion_matrix

    given = answers >= 0
    counts = confusion_matrix(truth[given], answers[given], labels=np.arange(artists))
    shares = counts / np.maximum(np.bincount(truth, minlength=artists), 1)[:, None]
    order = seriated(shares)
    # The cube root makes single errors visible beside the diagonal.
    strength = np.cbrt(shares[order][:, order])[..., None]
    ink = np.where(np.eye(artists, dtype=bool)[..., None], _RIGHT, _WRONG)
    figure, (panel,) = draw_panels(1, (6.5, 7.1))
    panel.imshow((255 - strength * (255 - ink)).astype(np.uint8))
    panel.grid(visible=False)
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set(visible=True, color=FAINT)
    write_title(panel, f"whose work it is (down) and whom it is taken for (across); {artists} artists")
    panel.set_xlabel("green: right; red: wrong; the darker, the larger the share of the artist's works")
    return encode_figure(figure)


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
