"""The page of `lunula eval artist`: calibration, who is taken for whom, and how sure single artists are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cli.evaluate.artist.plots import draw_confusion, draw_reliability
from cli.evaluate.pages import write_with_pictures
from cli.evaluate.plots import COLOURS
from evaluation.artist.metrics import accuracy
from evaluation.artist.table import FIVE_TO_FIVE, LADDER, ArtistRow, ArtistTable, Gain

_PAIRS = 40
_HARDEST = 25


@dataclass(frozen=True)
class _Artist:
    """An artist with the number of works and the share of them that each model finds."""

    name: str
    works: int
    recall: float
    image: float | None
    text: float | None


def write_page(path: Path, table: ArtistTable, gains: Sequence[Gain]) -> list[Path]:
    """Writes the page and, beside it, both pictures as PNG; returns what was written."""
    shown = _shown(table)
    chosen = table.row(LADDER) or shown[-1]
    pictures = {
        "reliability": draw_reliability([(row.name, row.curve) for row in shown if row.curve is not None]),
        "confusion": draw_confusion(table.truth, chosen.answers, len(table.artists)),
    }
    return write_with_pictures(
        path,
        "artists.html.j2",
        pictures,
        table=table,
        chosen=chosen,
        shown=shown,
        gains=gains,
        pairs=table.confused(chosen.name, _PAIRS),
        wrong=int(np.sum(chosen.answers != table.truth)),
        hardest=_hardest(table, chosen),
    )


def _shown(table: ArtistTable) -> list[ArtistRow]:
    """Rows with probabilities for the diagram: the single models, 5:5 before and after, and the ladder."""
    names = ("image", "text", FIVE_TO_FIVE, f"{FIVE_TO_FIVE}-calibrated", "loglinear", LADDER)
    found = [row for row in table.named(names) if row.curve is not None]
    return (found or [row for row in table.rows if row.curve is not None])[: len(COLOURS)]


def _hardest(table: ArtistTable, chosen: ArtistRow) -> list[_Artist]:
    """The artists whose works are found least often."""
    rows = {name: table.row(name) for name in ("image", "text")}
    found = []
    for place, name in enumerate(table.artists):
        own = table.truth == place
        if not own.any():
            continue
        recalls = {
            key: None if row is None else accuracy(table.truth[own], row.answers[own])
            for key, row in rows.items()
        }
        found.append(
            _Artist(
                name=name,
                works=int(own.sum()),
                recall=accuracy(table.truth[own], chosen.answers[own]),
                image=recalls["image"],
                text=recalls["text"],
            )
        )
    return sorted(found, key=lambda artist: (artist.recall, artist.name))[:_HARDEST]
