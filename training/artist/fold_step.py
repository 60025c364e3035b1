"""The step `folds`: which works are tested when, and which inner model does not see which work.

Stratified by artist, outer and inner: the works of an artist are shuffled and dealt out in turn, each artist
starting where the last one ended, so that folds are of one size.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from evaluation.artist.folds import FILE, FoldedWork, Folds, read_folds, write_folds
from evaluation.artist.works import Work, read
from training.artist.job import ArtistJob
from training.kit.stepwise import StepError

FEWEST = 2  # works of an artist: with one there is nothing left to learn her from


def run(job: ArtistJob) -> None:
    """Writes RUN/folds.json. Raises StepError."""
    works = read(job.data)
    folds = deal(works, seed=job.seed, outer=job.folds.outer, inner=job.folds.inner)
    if (job.out / FILE).exists():
        there = read_folds(job.out)
        if _dealt(there) != _dealt(folds):
            raise StepError(f"{job.out / FILE}: other folds are there; use another --out")
        return
    write_folds(job.out, folds)


def deal(works: list[Work], *, seed: int, outer: int = 5, inner: int = 5) -> Folds:
    """The folds of `works`. Raises StepError where an artist has one work, or there is only one artist."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, work in enumerate(works):
        rows[work.artist].append(row)
    lonely = sorted(artist for artist, own in rows.items() if len(own) < FEWEST)
    if lonely:
        raise StepError(f"artist {lonely[0]!r} and {len(lonely) - 1} others have fewer than {FEWEST} works")
    if len(rows) < 2:
        raise StepError("there is one artist only: nothing to tell apart")
    rng = np.random.default_rng([seed, 1])
    tested = np.zeros(len(works), np.int64)
    nested: list[list[int | None]] = [[None] * outer for _ in works]
    first = 0
    starts = [0] * outer
    for artist in sorted(rows):
        order = rng.permutation(rows[artist])
        for turn, row in enumerate(order):
            tested[row] = (first + turn) % outer
        first += len(order)
        for fold in range(outer):
            mine = [row for row in order if tested[row] != fold]
            for turn, row in enumerate(rng.permutation(mine)):
                nested[row][fold] = (starts[fold] + turn) % inner
            starts[fold] += len(mine)
    return Folds(
        tuple(
            FoldedWork(
                id=work.id,
                artist=work.artist,
                outer=int(tested[row]),
                inner=tuple(nested[row]),
                characters=len(work.text),
                image=work.image is not None,
                labels=dict(work.labels) or None,
            )
            for row, work in enumerate(works)
        ),
        seed=seed,
        outer=outer,
        inner=inner,
    )


def _dealt(folds: Folds) -> list[tuple[str, int, tuple[int | None, ...]]]:
    """All but the labels, which a later step may add."""
    return [(work.id, work.outer, work.inner) for work in folds.works]
