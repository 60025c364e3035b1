"""What benchmarks share: options from a dataclass, laps by the clock, tables, figures as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table

from training.kit.flags import parse

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = ROOT / "triton_models"
SAMPLE = ROOT / "sample"
NAIL_REQUESTS = Path(__file__).with_name("data") / "nail_requests.tsv"

T = TypeVar("T")


def read_options(
    options: type[T], program: str, description: str | None, arguments: Sequence[str] | None
) -> T:
    """The command line (this process's where `arguments` is None) as an instance of the dataclass."""
    given: T = parse(options, arguments, program=program, about=(description or "").split("\n")[0])
    return given


def refuse(message: str) -> NoReturn:
    """End the program with 2: the options ask for what cannot be measured."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def read_requests() -> list[str]:
    """207 requests in twelve languages, in the file's order."""
    return [line.split("\t", 1)[1] for line in NAIL_REQUESTS.read_text("utf-8").splitlines()]


class Laps:
    """Milliseconds by name, by the clock and of processor time.

    `processor` says how much of it has gone by, in seconds: that of all threads, or `time.thread_time`.
    """

    def __init__(self, processor: Callable[[], float] = time.process_time) -> None:
        self.wall: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, list[float]] = defaultdict(list)
        self._processor = processor

    @contextmanager
    def lap(self, name: str, parts: int = 1) -> Iterator[None]:
        """Take the time of the block; it counts as `parts` equal ones."""
        start, processor = time.perf_counter(), self._processor()
        yield
        busy, took = self._processor() - processor, time.perf_counter() - start
        self.cpu[name].append(1e3 * busy / parts)
        self.wall[name].append(1e3 * took / parts)

    def overhead(self, name: str, reference: str) -> tuple[float, float]:
        """By how much `name` exceeds `reference`, of processor time and by the clock: medians over rounds."""
        pairs = ((laps[name], laps[reference]) for laps in (self.cpu, self.wall))
        cpu, wall = (float(np.median(np.array(ours) / np.array(theirs))) - 1 for ours, theirs in pairs)
        return cpu, wall


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    console: Console | None = None,
    width: int = 120,
    title: str | None = None,
    caption: str | None = None,
    numbers_from: int | None = None,
) -> None:
    """Print a table; columns from `numbers_from` on stand to the right."""
    table = Table(
        title=title, caption=caption, title_justify="left" if numbers_from is not None else "center"
    )
    for place, head in enumerate(heads):
        table.add_column(
            head, justify="right" if numbers_from is not None and place >= numbers_from else "left"
        )
    for row in rows:
        table.add_row(*row)
    (console or Console(width=width)).print(table)


def wide_console(width: int) -> Console:
    """A console as wide as the terminal, or `width` where the output is no terminal."""
    return Console(width=None if sys.stdout.isatty() else width)


def write_figures(path: Path | None, figures: Any) -> None:
    """Write the figures as JSON, where a file for them was named."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
