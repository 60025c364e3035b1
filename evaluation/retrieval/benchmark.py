"""Retrieval by embeddings on photos in NAIL-STAR's form (paper N): runs as training leaves them, the place of
every target, and the figures of every request.

A run is a folder RUNS/ROW/seed-N with

- `test.npz` (or `val.npz`): query_ids [Q], queries f32 [Q,d] unit, design_ids [N], designs f32 [N,d] unit;
- `run.json`: row, title, seed, data (what it was trained on) and more that is not read here.

A request's id is that of its photo. Designs are ranked by cosine; of equal ones those that are no target come
first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from evaluation.arrays import read_arrays
from evaluation.errors import DataError
from evaluation.json_lines import Line, read_json
from evaluation.retrieval.nailstar import SUBSETS, Entry

DEPTHS: Final = (1, 5, 10)
POOLS: Final = ("all", "subset")
FAMILY: Final = "family hit@1"
_ARRAYS = ("query_ids", "queries", "design_ids", "designs")
_EQUAL = 1e-6  # cosines of one design differ by less between two ways of summing up f32
_UNIT = 1e-3
_BLOCK = 4 << 20  # cosines that are held at once

Floats = NDArray[np.float64]


class RunError(DataError):
    """A run that cannot be read or is not one of this data; the message names file and field."""


class _About(Line):
    """What is read of run.json. data: a digest, or an object that holds one."""

    model_config = ConfigDict(allow_inf_nan=True)

    row: str
    seed: int
    title: str = ""
    data: Any = ""


@dataclass(frozen=True)
class Run:
    """Embeddings of a trained row. queries f32 [Q,d], designs f32 [N,d], all unit; ids in their order."""

    row: str
    title: str
    seed: int
    digest: str
    query_ids: tuple[str, ...]
    queries: NDArray[np.float32] = field(repr=False)
    design_ids: tuple[str, ...]
    designs: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class Benchmark:
    """The entries of one split, and which photos a request is sought among.

    pool: "all" photos of the split, or those of the request's own "subset" (multi or single; targets in the
    other one then do not count).
    """

    entries: tuple[Entry, ...]
    pool: str = "all"

    def __post_init__(self) -> None:
        """Raises ValueError for another pool, and RunError for a split without entries."""
        if self.pool not in POOLS:
            raise ValueError(f"pool is {self.pool!r}, not one of {', '.join(POOLS)}")
        if not self.entries:
            raise RunError("no entries of this split")

    def pools(self) -> list[NDArray[np.int64]]:
        """Places in `entries` of the photos that belong to one pool, a list a pool."""
        if self.pool == "all":
            return [np.arange(len(self.entries))]
        of = np.array([SUBSETS.index(entry.subset) for entry in self.entries])
        return [places for subset in range(len(SUBSETS)) if (places := np.flatnonzero(of == subset)).size]


def run_folders(runs: Path, split: str) -> list[Path]:
    """The folders of runs below `runs` that hold embeddings of `split`, by row and seed.

    Raises RunError where there is none.
    """
    found = [path.parent for path in runs.glob(f"*/seed-*/{split}.npz")]
    if not found:
        raise RunError(f"{runs}: no ROW/seed-N/{split}.npz")
    return sorted(found, key=lambda path: (path.parent.name, len(path.name), path.name))


def read_run(folder: Path, split: str, entries: Sequence[Entry]) -> Run:
    """A run, checked against the entries of its split; queries and designs in the order of `entries`.

    Raises RunError: a file is missing or has another form, a vector is not finite or not unit, an entry has
    no vector, or there are vectors of other photos.
    """
    path = folder / f"{split}.npz"
    about = read_json(folder / "run.json", _About, RunError)
    data = about.data.get("digest", "") if isinstance(about.data, dict) else about.data
    arrays = read_arrays(path, RunError)
    if missing := [name for name in _ARRAYS if name not in arrays]:
        raise RunError(f"{path}: {missing[0]}: missing")
    ids = tuple(entry.id for entry in entries)
    vectors = {}
    for names, name in (("query_ids", "queries"), ("design_ids", "designs")):
        vectors[name] = _select_vectors(arrays[names], arrays[name], ids, f"{path}: {name}")
    if vectors["queries"].shape[1] != vectors["designs"].shape[1]:
        raise RunError(f"{path}: queries and designs have different widths")
    return Run(
        row=about.row,
        title=about.title or about.row,
        seed=about.seed,
        digest=str(data),
        query_ids=ids,
        queries=vectors["queries"],
        design_ids=ids,
        designs=vectors["designs"],
    )


def figures(run: Run, benchmark: Benchmark) -> dict[str, Floats]:
    """Every request's figures, float [Q] in [0, 1]: "MRR", "hit@k", "cov@k", and FAMILY.

    FAMILY: whether a photo comes before the others of its family; NaN for photos without a family and for
    requests that another member satisfies too.
    """
    count = len(benchmark.entries)
    found = {name: np.full(count, np.nan) for name in figure_names()}
    for query, ranks in _target_ranks(run, benchmark):
        found["MRR"][query] = 1.0 / ranks[0]
        for depth in DEPTHS:
            found[f"hit@{depth}"][query] = ranks[0] <= depth
            found[f"cov@{depth}"][query] = np.mean(ranks <= depth)
    for query, siblings in family_places(benchmark.entries).items():
        own, others = run.designs[query] @ run.queries[query], run.designs[siblings] @ run.queries[query]
        found[FAMILY][query] = own > others.max() + _EQUAL
    return found


def figure_names() -> list[str]:
    """The names of all figures, as they stand in tables."""
    return ["MRR", *(f"hit@{k}" for k in DEPTHS), *(f"cov@{k}" for k in DEPTHS), FAMILY]


def family_places(entries: Sequence[Entry]) -> dict[int, list[int]]:
    """By place of a request: the places of the other members of its photo's family, none of them a target."""
    members: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        if entry.family:
            members.setdefault(entry.family, []).append(place)
    found = {}
    for family in members.values():
        for place in family:
            others = [other for other in family if other != place]
            targets = set(entries[place].targets)
            if others and targets.isdisjoint(entries[other].id for other in others):
                found[place] = others
    return found


def nearest(run: Run, benchmark: Benchmark, query: int, count: int) -> list[str]:
    """The ids of the `count` designs that come first for a request, best first, in the order of ranks."""
    pool = next(places for places in benchmark.pools() if query in places)
    scores = run.designs[pool] @ run.queries[query]
    targets = set(benchmark.entries[query].targets)
    is_target = np.array([run.design_ids[place] in targets for place in pool])
    order = np.lexsort((is_target, -scores))[:count]
    return [run.design_ids[pool[place]] for place in order]


def best_ranks(run: Run, benchmark: Benchmark) -> NDArray[np.int64]:
    """The rank of each request's best target, int [Q], from 1."""
    ranks = np.zeros(len(benchmark.entries), np.int64)
    for query, own in _target_ranks(run, benchmark):
        ranks[query] = own[0]
    return ranks


def _target_ranks(run: Run, benchmark: Benchmark) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each request's place with the ranks of its targets in the pool, best first."""
    places_by_id = {entry.id: place for place, entry in enumerate(benchmark.entries)}
    for pool in benchmark.pools():
        columns = {int(place): column for column, place in enumerate(pool)}
        designs = run.designs[pool].T
        step = max(1, _BLOCK // len(pool))
        for start in range(0, len(pool), step):
            queries = pool[start : start + step]
            for query, scores in zip(queries, run.queries[queries] @ designs, strict=True):
                places = (places_by_id[target] for target in benchmark.entries[query].targets)
                targets = [columns[place] for place in places if place in columns]
                yield int(query), rank_targets(scores, targets)


def rank_targets(scores: NDArray[np.float32], targets: Sequence[int]) -> NDArray[np.int64]:
    """Ranks of `targets` (places in scores [N]) in descending order of score, best first.

    Of equal scores, those that are no target come first: a tie is never won.
    """
    wanted = -np.sort(-scores[list(targets)])
    others = np.sort(np.delete(scores, list(targets)))
    before = others.size - np.searchsorted(others, wanted - _EQUAL, side="left")
    return np.asarray(1 + np.arange(wanted.size) + before, np.int64)


def _select_vectors(
    names: NDArray[Any], vectors: NDArray[Any], ids: Sequence[str], where: str
) -> NDArray[np.float32]:
    """The vectors of `ids`, checked, f32 [len(ids),d]."""
    if vectors.ndim != 2 or names.shape != vectors.shape[:1] or vectors.dtype.kind != "f":
        raise RunError(f"{where}: {vectors.dtype} {list(vectors.shape)} for {list(names.shape)} ids")
    places_by_id = {str(name): place for place, name in enumerate(names.tolist())}
    if len(places_by_id) != len(names):
        raise RunError(f"{where}: an id is there twice")
    missing = [name for name in ids if name not in places_by_id]
    if missing:
        raise RunError(f"{where}: {len(missing)} photos have no vector, such as {missing[0]!r}")
    if len(places_by_id) > len(ids):
        other = next(iter(places_by_id.keys() - set(ids)))
        raise RunError(f"{where}: {len(places_by_id) - len(ids)} vectors of other photos, such as {other!r}")
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.ascontiguousarray(vectors[[places_by_id[name] for name in ids]], np.float32)
        lengths = np.linalg.norm(found, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= _UNIT))  # NaN is wrong too
    if wrong.size:
        raise RunError(f"{where}: the vector of {ids[wrong[0]]!r} has length {lengths[wrong[0]]:g}, not 1")
    return found
