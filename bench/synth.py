"""How fast images are rendered, and whether the same seed gives the same bytes.

    python -m bench.synth [--n 48] [--size 640] [--json FILE]

Every kind is rendered twice from one seed into empty folders: with one process, and with one a core. Photos a
second are by the clock; photos a processor second, summed over all processes, depend least on what else the
machine does. Both folders are compared byte by byte.
"""

from __future__ import annotations

import hashlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.report import print_table, read_options, refuse, write_figures
from training.synth import write

KINDS = ("segmentation", "designs")


@dataclass(frozen=True)
class Row:
    """Photos a second by the clock and by processor time; files: how many are in the folder."""

    kind: str
    workers: int
    photos_per_s: float
    photos_per_cpu_s: float
    files: int
    digest: str


def processor_seconds() -> float:
    """Of this process and of the children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def digest_folder(folder: Path) -> tuple[int, str]:
    """Number of files below `folder`, and a digest over their names and bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(folder)}\n".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return len(files), total.hexdigest()


def measure(kind: str, workers: int, n: int, size: int) -> Row:
    """Renders `n` images into a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lunula-bench-") as folder:
        start, processor = time.perf_counter(), processor_seconds()
        write(folder, n, 20261, kind, workers=workers, size=size, progress=False)
        wall, busy = time.perf_counter() - start, processor_seconds() - processor
        files, digest = digest_folder(Path(folder))
    return Row(kind, workers, n / wall, n / busy, files, digest)


def show(rows: Sequence[Row], size: int) -> None:
    """Print the table."""
    lines = []
    for row in rows:
        first = next(other for other in rows if other.kind == row.kind)
        same = "reference" if row is first else ("yes" if row.digest == first.digest else "NO")
        figures = f"{row.photos_per_s:.2f}", f"{row.photos_per_cpu_s:.2f}"
        lines.append((row.kind, str(row.workers), *figures, str(row.files), same))
    heads = ("kind", "processes", "photos/s", "photos/CPU s", "files", "same bytes")
    print_table(heads, lines, width=100, title=f"long side {size}")


@dataclass(frozen=True)
class Options:
    """What `python -m bench synth` takes."""

    n: int = 48
    """photos of each kind"""
    size: int = 640
    """long side in pixels"""
    json: Path | None = None
    """file for the figures"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; ends with 1 where the same seed gave other bytes."""
    options = read_options(Options, "python -m bench synth", __doc__, arguments)
    if options.n < 1:
        refuse("--n must be at least 1")
    cores = len(os.sched_getaffinity(0))
    rows = [
        measure(kind, workers, options.n, options.size) for kind in KINDS for workers in sorted({1, cores})
    ]
    show(rows, options.size)
    write_figures(options.json, [asdict(row) for row in rows])
    return int(any(len({row.digest for row in rows if row.kind == kind}) > 1 for kind in KINDS))


if __name__ == "__main__":
    sys.exit(main())
