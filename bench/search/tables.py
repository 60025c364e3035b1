"""Figures of requests as rows, and as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.callers import Taken


@dataclass(frozen=True)
class Row:
    """One way of asking. Milliseconds a request; cpu_ms: caller, services and Milvus server together.

    over_bare: how many times as long as the bare work; None for what is bare itself. stages: p50 of those
    that the responses report.
    """

    what: str
    catalogue: str
    filtered: bool
    in_flight: int
    p50_ms: float
    p99_ms: float
    per_s: float
    cpu_ms: float
    over_bare: float | None
    stages: dict[str, float]
    recall_at_10: float | None = None


def make_row(what: str, catalogue: str, taken: Taken, in_flight: int, **more: Any) -> Row:
    """The figures of `taken`."""
    count = len(taken.milliseconds)
    return Row(
        what=what,
        catalogue=catalogue,
        filtered=more.get("filtered", False),
        in_flight=in_flight,
        p50_ms=taken.percentile(50),
        p99_ms=taken.percentile(99),
        per_s=count / taken.wall_s,
        cpu_ms=taken.cpu_ms / count,
        over_bare=more.get("over_bare"),
        stages={name: float(np.median(values)) for name, values in taken.stages.items()},
        recall_at_10=more.get("recall"),
    )


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the tables."""
    table = Table(title="milliseconds a request", title_justify="left")
    for head in ("what", "catalogue", "filter", "in flight"):
        table.add_column(head)
    for head in ("p50", "p99", "requests/s", "CPU ms", "over bare", "recall@10"):
        table.add_column(head, justify="right")
    for item in rows:
        table.add_row(
            item.what,
            item.catalogue,
            "1 %" if item.filtered else "",
            str(item.in_flight),
            f"{item.p50_ms:.1f}",
            f"{item.p99_ms:.1f}",
            f"{item.per_s:.0f}",
            f"{item.cpu_ms:.1f}",
            "" if item.over_bare is None else f"{item.over_bare:.2f}x",
            "" if item.recall_at_10 is None else f"{item.recall_at_10:.3f}",
        )
    console.print(table)
    for item in rows:
        if item.stages:
            stages = " · ".join(f"{name} {value:.1f}" for name, value in item.stages.items())
            place = ", ".join(part for part in (item.catalogue, "filtered" if item.filtered else "") if part)
            console.print(f"{item.what} {place} x{item.in_flight}: {stages}", highlight=False)
