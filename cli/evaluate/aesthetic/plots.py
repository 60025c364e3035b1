"""Figures about aesthetic scores as PNG files.

Histograms of scores (paper Q's Figure 3), distributions of votes, both scores of each photo, scores over a
setting, and what reranking costs and brings at each weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from cli.evaluate.aesthetic.sweep import Scores, summarise_scales
from cli.evaluate.plots import FAINT, OURS, draw_panels, encode_figure, write_title
from evaluation.aesthetic.metrics import BIN, HIGH, LOW, Values, score_histogram
from evaluation.aesthetic.rerank_weights import WeightFigures
from evaluation.aesthetic.table import AestheticRow
from evaluation.metrics import PairedDifference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRUTH: Final = "#bdbdbd"
_OTHER: Final = "#00838f"
_PEOPLE: Final = "#2e7d32"
_SEED: Final = "#c9c9c9"
_PANEL: Final = (3.6, 2.6)  # inches


def draw_histograms(mos: NDArray[np.float32], rows: Sequence[AestheticRow]) -> bytes:
    """Shares of photos by score, a plot for each variant.

    Grey: the mean votes `mos` f32 [n]. Line: the variant's scores, the mean histogram of its runs.
    """
    truth = score_histogram(mos)
    means = [np.mean([score_histogram(run) for run in row.scores], axis=0) for row in rows]
    occupied = np.flatnonzero(np.max([truth, *means], axis=0) > 0)
    bins = slice(int(occupied[0]), int(occupied[-1]) + 1)
    edges = LOW + BIN * np.arange(bins.start, bins.stop + 1)
    figure, panels = draw_panels(len(rows), _PANEL)
    for row, shares, panel in zip(rows, means, panels, strict=True):
        colour = _colour(row)
        panel.bar(edges[:-1], truth[bins], width=0.92 * BIN, align="edge", color=_TRUTH)
        panel.stairs(shares[bins], edges, color=colour, linewidth=1.8)
        panel.set(xlim=(edges[0] - BIN, edges[-1] + BIN), ylim=(0, 1.08 * float(np.max([truth, *means]))))
        write_title(panel, row.name, colour)
        _percent(panel)
    return encode_figure(figure)


def draw_distributions(
    votes: NDArray[np.int32], predicted: Values, ids: Sequence[str], mos: NDArray[np.float32]
) -> bytes:
    """Votes of all photos together and of eleven photos from low to high (bars), and the predicted shares.

    votes: counts [n,10]; predicted: shares [n,10], the mean over runs.
    """
    shares = votes / votes.sum(axis=1, keepdims=True)
    order = np.argsort(mos, kind="stable")
    chosen = list(dict.fromkeys(order[np.linspace(0, len(order) - 1, 11).round().astype(int)].tolist()))
    plots = [(f"all {len(ids):,} photos, mean", shares.mean(axis=0), predicted.mean(axis=0))]
    for place in chosen:
        title = f"photo {ids[place]}: {mos[place]:.2f} of {votes[place].sum()} votes"
        plots.append((title, shares[place], predicted[place]))
    marks = np.arange(1, 11)
    top = 1.08 * float(max(max(own.max(), model.max()) for _, own, model in plots))
    figure, panels = draw_panels(len(plots), _PANEL)
    for (title, own, model), panel in zip(plots, panels, strict=True):
        panel.bar(marks, own, width=0.76, color=_TRUTH)
        panel.plot(marks, model, "o-", color=OURS, markersize=4, linewidth=1.8)
        panel.set(xlim=(0.4, 10.6), ylim=(0, top), xticks=marks)
        write_title(panel, title)
        _percent(panel)
    return encode_figure(figure)


def draw_scatter(mos: NDArray[np.float32], rows: Sequence[AestheticRow]) -> bytes:
    """The mean vote (across) and a variant's score (up, the mean of its runs) of each photo, a plot a row."""
    scores = [row.scores.mean(axis=0) for row in rows]
    every = np.clip([mos, *scores], LOW, HIGH)  # a variant that only ranks may give any number
    low, high = float(np.floor(every.min())), float(np.ceil(every.max()))
    figure, panels = draw_panels(len(rows), (3.6, 3.9))
    for row, own, panel in zip(rows, scores, panels, strict=True):
        panel.plot((low, high), (low, high), color=FAINT, linewidth=1)
        panel.scatter(mos, np.clip(own, low, high), s=8 if len(mos) < 600 else 3, color=_colour(row))
        panel.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        ticks = np.arange(low, high + 1)
        panel.set(xticks=ticks, yticks=ticks)
        write_title(panel, row.name, _colour(row))
    return encode_figure(figure)


def draw_sweep(scores: Scores) -> bytes:
    """Scores (up) over scales (across): a thin line for each seed; means with one standard deviation."""
    rows = summarise_scales(scores)
    places = np.arange(len(rows))  # at even distances: 1, 3, 5, 7, 9 as well as 1, 10, 100
    ordered = [scores[row.scale] for row in rows]
    figure, (panel,) = draw_panels(1, (7.2, 4.2))
    for name in sorted(set.intersection(*(set(own) for own in ordered))):
        panel.plot(places, [own[name] for own in ordered], color=_SEED, linewidth=1)
    for place, own in enumerate(ordered):
        panel.scatter(np.full(len(own), place), list(own.values()), s=10, color=FAINT, zorder=2)
    panel.errorbar(
        places,
        [row.mean for row in rows],
        [row.deviation for row in rows],
        fmt="o-",
        color=OURS,
        linewidth=2.5,
        markersize=8,
        zorder=3,
    )
    panel.set(xlabel="scale", xticks=places, xticklabels=[f"{row.scale:g}" for row in rows])
    panel.margins(x=0.08)
    write_title(panel, "aesthetic score; means with their standard deviation")
    return encode_figure(figure)


def draw_rerank_weights(
    lines: Sequence[WeightFigures],
    gains: Sequence[Mapping[str, PairedDifference]],
    people: Sequence[WeightFigures],
    default: float,
) -> bytes:
    """hit@10 and nDCG@10 in percent over the weights, side by side, with 95 % of each gain's bootstraps.

    gains: over the first line, whose weight is 0. people: lines with the photos' own votes in place of the
    model's score. default: the served weight, marked.
    """
    weights = [line.weight for line in lines]
    figure, panels = draw_panels(2, (4.7, 3.8))
    for title, name, panel in (("hit@10", "hit_at_10", panels[0]), ("nDCG@10", "ndcg_at_10", panels[1])):
        values = np.array([100 * getattr(line, name) for line in lines])
        ends = values[0] + 100 * np.array([(gain[title].low, gain[title].high) for gain in gains])
        panel.axvline(default, color=FAINT, linewidth=1)
        panel.axhline(values[0], color=FAINT, linewidth=1)
        panel.vlines(weights[1:], ends[1:, 0], ends[1:, 1], color=OURS, linewidth=1.5)
        panel.plot(weights, values, "o-", color=OURS, linewidth=2.5, label="the model's aesthetic score")
        panel.plot(
            [line.weight for line in people],
            [100 * getattr(line, name) for line in people],
            color=_PEOPLE,
            label="people's votes in its place",
        )
        panel.set(
            xlabel="aesthetic weight", xticks=weights, xticklabels=[f"{weight:g}" for weight in weights]
        )
        panel.tick_params(axis="x", labelrotation=45)
        write_title(panel, f"{title}, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False)
    return encode_figure(figure)


def _colour(row: AestheticRow) -> str:
    return OURS if row.name == "ours" else _OTHER


def _percent(panel: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
