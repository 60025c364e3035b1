"""Unlabelled positives, found offline: the photos that a trained model puts nearest to each text.

    python -m training.design.mining --queries Q.npy --designs D.npy --owner O.npy --out MINED.npz
    python -m training.design.mining ... --data DRAWN --split train --threshold 0.7

Paper N, section a: U of DRC and CRC holds the top-20 photos of each text by cosine. Membership is read row by
row: that photo j is near text i says nothing of text j and photo i. Texts and photos are numbered as the rows
of the embeddings that were mined.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from training.design.data.claims import ClaimTable
from training.kit.data.mined_pairs import ALPHA, Floats, Indices, Mined, read_records

TOP = 20
_BYTES = 20  # held for each score while the best are chosen


def mine(
    queries: Floats,
    designs: Floats,
    owner: Indices,
    *,
    top: int = TOP,
    memory: int = 128 << 20,
    advanced: Callable[[int], object] | None = None,
) -> Mined:
    """The `top` photos of each text by cosine, its own left out; of equal ones that with the lower number.

    queries: f32 [T,d], designs: f32 [N,d], of any length but zero. owner: i64 [T], the photo of each text. At
    most about `memory` bytes are held for a block of texts (one text's scores at least). `advanced` is told
    how many texts each block held. ValueError where the arrays do not fit together or are not finite.
    """
    if queries.ndim != 2 or designs.ndim != 2 or queries.shape[1] != designs.shape[1]:
        raise ValueError(f"queries [T,d] and designs [N,d] expected, found {queries.shape}, {designs.shape}")
    if owner.shape != (len(queries),):
        raise ValueError(f"owner: [{len(queries)}] expected, found {list(owner.shape)}")
    if len(owner) and (owner.min() < 0 or owner.max() >= len(designs)):
        raise ValueError(f"owner: numbers from 0 to {len(designs) - 1} expected")
    if top < 1:
        raise ValueError("top must be at least 1")
    units = _unit(designs, "designs").T
    top = min(top, len(designs) - 1) if len(designs) else 0
    block = max(1, memory // (_BYTES * max(1, len(designs))))
    chosen = np.zeros((len(queries), top), np.int32)
    cosine = np.zeros((len(queries), top), np.float32)
    for start in range(0, len(queries) if top else 0, block):
        part = slice(start, start + block)
        scores = _unit(queries[part], "queries") @ units
        scores[np.arange(len(scores)), owner[part]] = -np.inf
        best = _best(scores, top)
        chosen[part] = best
        cosine[part] = np.take_along_axis(scores, best, axis=1)
        if advanced is not None:
            advanced(len(scores))
    text = np.repeat(np.arange(len(queries), dtype=np.int32), top)
    flat = np.clip(cosine.ravel(), -1, 1)
    return Mined(
        text, chosen.ravel(), flat, np.full(len(text), ALPHA, np.float32), len(queries), len(designs)
    )


def _best(scores: Floats, top: int) -> Indices:
    """Places of the `top` highest of each row, falling; of equal ones the lowest place. i64 [T,top]."""
    limit = np.partition(scores, -top, axis=1)[:, -top][:, None]
    # Those above the limit are all taken, those at it from the left, until there are enough.
    spare = top - (scores > limit).sum(axis=1, keepdims=True)
    at = scores == limit
    taken = (scores > limit) | (at & (np.cumsum(at, axis=1, dtype=np.int32) <= spare))
    places = np.nonzero(taken)[1].reshape(len(scores), top)
    values = np.take_along_axis(scores, places, axis=1)
    return np.take_along_axis(places, np.argsort(-values, axis=1, kind="stable"), axis=1)


def _unit(vectors: Floats, name: str) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError(f"{name}: finite vectors longer than zero expected")
    return np.asarray(vectors / lengths, np.float32)


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m training.design.mining", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--queries", type=Path, required=True, help="embeddings of texts, .npy f32 [T,d]")
    parser.add_argument("--designs", type=Path, required=True, help="embeddings of photos, .npy f32 [N,d]")
    parser.add_argument("--owner", type=Path, required=True, help="photo of each text, .npy i64 [T]")
    parser.add_argument("--out", type=Path, required=True, help="where the pairs go, .npz")
    parser.add_argument("--top", type=int, default=TOP, help="photos a text (%(default)s)")
    parser.add_argument("--memory", type=int, default=128, help="MiB for a block of scores (%(default)s)")
    parser.add_argument("--data", type=Path, nargs="+", help="synthetic photos whose claims judge the pairs")
    parser.add_argument("--split", default="", help="only this split of --data was embedded")
    parser.add_argument("--threshold", type=float, default=0.7, help="least confidence kept (%(default)s)")
    args = parser.parse_args(argv)
    try:
        mined = _mine_files(args)
    except (OSError, ValueError) as error:
        parser.exit(1, f"error: {error}\n")
    mined.save(args.out)
    per_text = np.bincount(mined.text, minlength=mined.texts)
    print(
        f"{args.out}: {len(mined.text)} pairs, {per_text.mean() if mined.texts else 0:.1f} a text, "
        f"{int((per_text > 0).sum())} of {mined.texts} texts have some"
    )


def _mine_files(args: argparse.Namespace) -> Mined:
    from rich.progress import Progress

    queries, designs, owner = (
        np.load(path, allow_pickle=False) for path in (args.queries, args.designs, args.owner)
    )
    with Progress(transient=True) as progress:
        task = progress.add_task("Mining", total=len(queries))
        mined = mine(
            queries.astype(np.float32),
            designs.astype(np.float32),
            owner.astype(np.int64),
            top=args.top,
            memory=args.memory << 20,
            advanced=lambda done: progress.advance(task, done),
        )
    if args.data is None:
        return mined
    table = ClaimTable.build(list(read_records(args.data, args.split)))
    if (len(table.owner), len(table.fulfilled)) != (mined.texts, mined.photos):
        raise ValueError(
            f"--data: {len(table.owner)} texts and {len(table.fulfilled)} photos, "
            f"embedded were {mined.texts} and {mined.photos}"
        )
    return mined.judged(table.of_pairs, args.threshold)


if __name__ == "__main__":
    main()
