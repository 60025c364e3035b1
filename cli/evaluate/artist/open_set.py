"""RUN/openset.json (see `lunula train artist openset`) as tables: unknown artists and few-shot artists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from cli.evaluate.tables import build_table
from evaluation.errors import DataError

FILE = "openset.json"
_AIM_AUROC, _AIM_SHARE = 0.90, 0.80
_MODES = {"image": "the photo", "text": "the words", "both": "both"}


def read_open_set(run: Path) -> dict[str, Any] | None:
    """The file's content; None where the step was not done. Raises DataError for a file of another form."""
    path = run / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: {error}") from None
    try:
        open_set_tables(found)  # so that what is missing is reported before anything is printed
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not what the step openset writes: {error}") from None
    return dict(found)


def open_set_tables(found: Mapping[str, Any]) -> list[Table]:
    """AUROC of every score for unknown artists, and few-shot artists beside trained ones."""
    return [_unknown_table(found), _few_shot_table(found)]


def _unknown_table(found: Mapping[str, Any]) -> Table:
    artists, half = found["artists"], found["at one half"]
    table = build_table(
        f"Unknown artists: AUROC, {artists['test']} artists that no model was trained on beside "
        f"{artists['known']} that were; aim {_AIM_AUROC:.2f}",
        *("score", "test", "validation"),
        left=("score",),
        caption="unknown at one half: "
        f"{half['unknown artists called unknown']:.1%} of unknown artists' works, "
        f"{half['known works called unknown']:.1%} of the others'",
    )
    scores: Mapping[str, float] = found["auroc"]["test"]
    for name in sorted(scores, key=lambda name: -scores[name]):
        served = name == found["chosen"]
        label = f"[bold]{name}[/bold] (served)" if served else name
        table.add_row(label, f"{scores[name]:.4f}", f"{found['auroc']['validation'][name]:.4f}")
    return table


def _few_shot_table(found: Mapping[str, Any]) -> Table:
    enrolment = found["enrolment"]
    table = build_table(
        f"Few-shot artists from {enrolment['works']} works: accuracy enrolled, and trained anew with "
        f"these; aim {_AIM_SHARE:.0%} of it",
        *("by", "enrolled", "trained", "share", "known artists\nbefore", "\nafter", "ECE"),
        left=("by",),
    )
    for mode, name in _MODES.items():
        row = enrolment[mode]
        table.add_row(
            name,
            f"{row['enrolled']:.4f}",
            f"{row['trained']:.4f}",
            f"{row['share']:.1%}",
            f"{row['known before']:.4f}",
            f"{row['known after']:.4f}",
            f"{row['ece']:.4f}",
        )
    return table
