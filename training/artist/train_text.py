"""Trains the fastText artist model on titles and descriptions, and quantises it.

    python -m training.artist.train_text --data DIR --out RUN --seed 7

Leaves RUN/model.ftz, RUN/text.npz (probabilities of the held-out works) and RUN/text.json (figures, among
them what quantisation cost). One thread: fastText with several is not repeatable.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
from numpy.typing import NDArray

from training.artist.works import Split, composed_works, line, read_works, split_works
from training.design.records import Design, digest

logger = logging.getLogger(__name__)
LABEL = "__label__"
SETTINGS: dict[str, Any] = {
    "dim": 100,  # paper A
    "epoch": 50,
    "lr": 0.5,
    "wordNgrams": 2,
    "minCount": 2,
    "bucket": 200_000,
    "loss": "softmax",
    "thread": 1,
    "verbose": 0,
}


def fit(works: Sequence[Design], seed: int, settings: Mapping[str, Any] = SETTINGS) -> Any:
    """A fastText classifier of `works`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "works.txt"
        path.write_text("".join(f"{LABEL}{work.artist} {line(work)}\n" for work in works), encoding="utf-8")
        return fasttext.train_supervised(str(path), seed=seed, **settings)


def quantise(model: Any, works: Sequence[Design], target: Path, cutoff: int = 20_000) -> Any:
    """Writes `target` and returns the quantised model, read back. `model` is used up."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "works.txt"
        path.write_text("".join(f"{LABEL}{work.artist} {line(work)}\n" for work in works), encoding="utf-8")
        model.quantize(input=str(path), cutoff=cutoff, retrain=True, qnorm=True, thread=1, verbose=0)
        model.save_model(str(target))
    return fasttext.load_model(str(target))


def probabilities(model: Any, works: Sequence[Design], artists: Sequence[str]) -> NDArray[np.float64]:
    """f64 [N,A], rows summing to 1; zero rows for works without a word."""
    place = {f"{LABEL}{artist}": index for index, artist in enumerate(artists)}
    table = np.zeros((len(works), len(artists)))
    for row, work in enumerate(works):
        text = line(work)
        if text:
            labels, values = model.predict(text, k=-1)
            for label, value in zip(labels, values, strict=True):
                table[row, place[label]] = value
            table[row] /= table[row].sum()
    return table


def accuracy(table: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Percent of works whose best artist is theirs."""
    return 100 * float((table.argmax(axis=1) == labels).mean())


def train(
    split: Split,
    seed: int,
    target: Path,
    extra: Sequence[Design] = (),
    settings: Mapping[str, Any] = SETTINGS,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Trains, quantises into `target`; probabilities of val, test and strangers, and figures.

    `extra`: works to train on that are in no part of the split.
    """
    works = [*split.train, *(work for work in extra if work.artist in split.artists)]
    full = fit(works, seed, settings)
    exact = probabilities(full, split.test, split.artists)
    model = quantise(full, works, target)
    parts = {
        "val": probabilities(model, split.val, split.artists),
        "test": probabilities(model, split.test, split.artists),
        "strangers": probabilities(model, split.strangers, split.artists),
    }
    labels = split.labels(split.test)
    return parts, {
        "test accuracy before quantisation": accuracy(exact, labels),
        "test accuracy": accuracy(parts["test"], labels),
        "val accuracy": accuracy(parts["val"], split.labels(split.val)),
        "same best artist as before quantisation": 100
        * float((exact.argmax(axis=1) == parts["test"].argmax(axis=1)).mean()),
        "bytes": float(target.stat().st_size),
    }


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.artist.train_text", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--strangers", type=int, default=6, help="artists set apart to calibrate the unknown")
    parser.add_argument("--words", type=int, default=0, help="further works, as words alone, to train on")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    works = read_works(args.data)
    extra = composed_works(args.words, args.seed + 1000, sorted({work.artist for work in works}))
    apart = split_works(works, seed=args.seed, strangers=args.strangers)
    parts, figures = train(apart, args.seed, args.out / "without-strangers.ftz", extra)
    np.savez(args.out / "text-apart.npz", **parts)
    logger.info("without %d strangers: %s", args.strangers, figures)
    split = split_works(works, seed=args.seed)
    parts, figures = train(split, args.seed, args.out / "model.ftz", extra)
    np.savez(args.out / "text.npz", **parts)
    logger.info("%s", figures)
    about = {
        "metrics": figures,
        "settings": SETTINGS,
        "seed": args.seed,
        "strangers": args.strangers,
        "works": len(works) + len(extra),
        "artists": list(split.artists),
        "digest": digest(args.data),
        "command": f"python -m training.artist.train_text --data {args.data.name} "
        f"--words {args.words} --seed {args.seed}",
    }
    (args.out / "text.json").write_text(json.dumps(about, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
