"""What fastText costs in memory, loading and asking: the served files, and one model quantised and not.

python -m bench.classify.text FILE ...     # prints JSON: what loading and asking these files costs
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import psutil

from bench.report import Laps, print_table, read_requests
from nails.language.words import split_words

ARTISTS, WORKS = 200, 10_000
# As the served models are trained, with fewer epochs: sizes do not depend on them.
SETTINGS: dict[str, Any] = {
    "dim": 100,
    "epoch": 3,
    "lr": 0.25,
    "wordNgrams": 2,
    "minCount": 1,
    "bucket": 200_000,
    "loss": "softmax",
    "thread": 1,
    "verbose": 0,
}
CUTOFF = 20_000


@dataclass(frozen=True)
class TextRow:
    """One model, of one or more files. memory_mb: what the process grew by; ask_ms: median of a text."""

    what: str
    files: int
    file_mb: float
    memory_mb: float
    load_s: float
    ask_ms: float


def read_words() -> list[str]:
    """Requests in several languages, divided into split_words."""
    return [" ".join(split_words(request)) for request in read_requests()]


def train(folder: Path) -> tuple[Path, Path]:
    """(model.bin, model.ftz) of WORKS made-up works of ARTISTS artists with a vocabulary of their own."""
    rng = np.random.default_rng(0)
    requests = read_words()
    lines = []
    for work in range(WORKS):
        artist = work % ARTISTS
        own = [f"a{artist}w{word}" for word in rng.integers(0, 60, 6)]
        both = [requests[index] for index in rng.integers(0, len(requests), 2)]
        lines.append(f"__label__artist-{artist:03} {' '.join([*both, *own])}\n")
    source = folder / "works.txt"
    source.write_text("".join(lines), "utf-8")
    full, small = folder / "model.bin", folder / "model.ftz"
    model = fasttext.train_supervised(str(source), seed=1, **SETTINGS)
    model.save_model(str(full))
    model.quantize(input=str(source), cutoff=CUTOFF, retrain=True, qnorm=True, thread=1, verbose=0)
    model.save_model(str(small))
    return full, small


def compare_text(served: Path, full: Path | None) -> list[TextRow]:
    """The served files, then one model before and after quantisation."""
    rows = [_measure_in_a_process("served", sorted(served.glob("model*.ftz")))]
    with tempfile.TemporaryDirectory() as folder:
        if full is not None:
            return [*rows, _measure_in_a_process("not quantised", [full])]
        big, small = train(Path(folder))
        for what, path in (("not quantised", big), ("quantised", small)):
            rows.append(_measure_in_a_process(f"{what}: {ARTISTS} artists, {WORKS:,} works made up", [path]))
    return rows


def _measure_in_a_process(what: str, files: Sequence[Path]) -> TextRow:
    """Measured in a process of its own, which has loaded nothing else."""
    command = [sys.executable, "-m", "bench.classify.text", *map(str, files)]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    size = sum(file.stat().st_size for file in files) / 2**20
    return TextRow(what, len(files), size, found["memory_mb"], found["load_s"], found["ask_ms"])


def measure(files: Sequence[str]) -> dict[str, float]:
    """Loads the files and asks each for every text."""
    asked = read_words()
    process = psutil.Process()
    before, began = process.memory_info().rss, time.perf_counter()
    models = [fasttext.load_model(file) for file in files]
    load_s = time.perf_counter() - began
    laps = Laps()
    for text in asked:
        with laps.lap("ask"):
            for model in models:
                model.predict(text, k=-1)
    memory = process.memory_info().rss - before
    return {"memory_mb": memory / 2**20, "load_s": load_s, "ask_ms": float(np.median(laps.wall["ask"]))}


def show_text(rows: Sequence[TextRow]) -> None:
    """Print the table."""
    print_table(
        ("fastText", "files", "on disk", "in memory", "loading", "a text"),
        (
            (
                row.what,
                str(row.files),
                f"{row.file_mb:.1f} MiB",
                f"{row.memory_mb:.1f} MiB",
                f"{1000 * row.load_s:.0f} ms",
                f"{row.ask_ms:.2f} ms",
            )
            for row in rows
        ),
    )


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1:])))
