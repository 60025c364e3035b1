"""Aesthetic scores of the test photos by every model, as training writes and evaluation reads them.

A run is a folder RUN with, by variant, RUN/predictions/VARIANT/run-K.npz (K = 1, 2, …) and about.json beside:
{"what", "command", "seed", …}. Every file holds the same test photos:

- ids str [n]; mos f32 [n], mean votes; votes i32 [n,10], counts of 1 to 10; tags str [n], joined by ",";
- score f32 [n]; distribution f32 [n,10], rows of sum 1, or all zero for a variant that predicts none;
- wrong_score f32 [n]: asked with the tags of another photo that shares none; nan where the photo has no tag;
- similarity f32 [n]: mean cosine of the photo's vector and those of its tags; nan without a tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from evaluation.arrays import read_arrays
from evaluation.errors import DataError
from evaluation.json_lines import Line, read_json

FOLDER: Final = "predictions"
VARIANTS: Final = ("regression", "notext", "literal", "ranking", "mse", "ours")
"""The rows of the table, in this order; others follow."""
_ABOUT: Final = "about.json"
_RUN = re.compile(r"run-(\d{1,4})\.npz")
_SUM = 5e-3  # distributions may be stored from half precision
_ALIKE = 1e-3  # cosines of one photo, computed in another batch
_TEXTS = ("ids", "tags")
_NUMBERS: Final[Mapping[str, tuple[int, ...]]] = {
    "mos": (),
    "votes": (10,),
    "score": (),
    "distribution": (10,),
    "wrong_score": (),
    "similarity": (),
}

F32 = NDArray[np.float32]


class AestheticsError(DataError):
    """Predictions that are not in the form; the message names file and field."""


@dataclass(frozen=True)
class Truth:
    """The test photos, the same for all runs. mos f32 [n]; votes i32 [n,10]; tags: names of each."""

    ids: tuple[str, ...]
    mos: F32 = field(repr=False)
    votes: NDArray[np.int32] = field(repr=False)
    tags: tuple[tuple[str, ...], ...] = field(repr=False)
    similarity: F32 = field(repr=False)

    @property
    def tagged(self) -> NDArray[np.bool_]:
        """Which photos have a tag, bool [n]."""
        return np.array([bool(names) for names in self.tags])


@dataclass(frozen=True)
class Scored:
    """One run of a variant. score f32 [n]; distribution f32 [n,10] or None; wrong_score f32 [n], with nan."""

    run: int
    score: F32 = field(repr=False)
    distribution: F32 | None = field(repr=False)
    wrong_score: F32 = field(repr=False)


@dataclass(frozen=True)
class Variant:
    """A variant with its runs, by number. what: of its about.json."""

    name: str
    what: str
    runs: tuple[Scored, ...]
    about: Mapping[str, Any] = field(repr=False, default_factory=dict)


def read(folder: Path) -> tuple[Truth, tuple[Variant, ...]]:
    """The truth and all variants of a run, those of VARIANTS first.

    Raises AestheticsError where there is none, and for the first fault.
    """
    truth: Truth | None = None
    first = folder
    found = []
    for about in sorted((folder / FOLDER).glob(f"*/{_ABOUT}"), key=lambda path: _order(path.parent.name)):
        facts = read_json(about, _About, AestheticsError)
        runs = []
        paths = {
            int(match[1]): path for path in about.parent.iterdir() if (match := _RUN.fullmatch(path.name))
        }
        for number, path in sorted(paths.items()):
            own, scored = _read(path, number)
            if truth is None:
                truth, first = own, path
            else:
                _same(truth, own, f"{path}", f"{first}")
            runs.append(scored)
        if not runs:
            raise AestheticsError(f"{about.parent}: no run-1.npz")
        found.append(
            Variant(about.parent.name, facts.what or about.parent.name, tuple(runs), facts.model_dump())
        )
    if truth is None:
        raise AestheticsError(f"{folder / FOLDER}: no predictions; `lunula train aesthetic` makes them")
    return truth, tuple(found)


def write(folder: Path, variant: str, truth: Truth, scored: Scored) -> Path:
    """Writes one run, checked as a reader would, and returns its path. Raises AestheticsError."""
    path = folder / FOLDER / variant / f"run-{scored.run}.npz"
    count = len(truth.ids)
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.array(truth.ids, np.str_),
        "tags": np.array([",".join(names) for names in truth.tags], np.str_),
        "mos": np.asarray(truth.mos, np.float32),
        "votes": np.asarray(truth.votes, np.int32),
        "score": np.asarray(scored.score, np.float32),
        "distribution": np.zeros((count, 10), np.float32)
        if scored.distribution is None
        else np.asarray(scored.distribution, np.float32),
        "wrong_score": np.asarray(scored.wrong_score, np.float32),
        "similarity": np.asarray(truth.similarity, np.float32),
    }
    _checked(arrays, path, scored.run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return path


def write_about(folder: Path, variant: str, *, what: str, **more: Any) -> None:
    """Writes about.json of a variant; more: command, seed, settings, seconds, digest of the data."""
    path = folder / FOLDER / variant / _ABOUT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"what": what, **more}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _order(name: str) -> tuple[int, str]:
    return (VARIANTS.index(name) if name in VARIANTS else len(VARIANTS)), name


class _About(Line):
    model_config = ConfigDict(extra="allow", allow_inf_nan=True)

    what: str = ""


def _read(path: Path, number: int) -> tuple[Truth, Scored]:
    return _checked(read_arrays(path, AestheticsError), path, number)


def _checked(arrays: Mapping[str, NDArray[Any]], path: Path, number: int) -> tuple[Truth, Scored]:
    for name in (*_TEXTS, *_NUMBERS):
        if name not in arrays:
            raise AestheticsError(f"{path}: {name}: missing")
    ids = _texts(arrays, "ids", path)
    if not ids or len(set(ids)) != len(ids):
        raise AestheticsError(f"{path}: ids: {'an id is there twice' if ids else 'none'}")
    for name, rest in _NUMBERS.items():
        shape, kinds = (len(ids), *rest), "iu" if name == "votes" else "f"
        if arrays[name].shape != shape or arrays[name].dtype.kind not in kinds:
            raise AestheticsError(
                f"{path}: {name}: {arrays[name].dtype} {list(arrays[name].shape)}, not "
                f"{'integers' if name == 'votes' else 'float'} {list(shape)}"
            )
    tags = tuple(tuple(filter(None, names.split(","))) for names in _texts(arrays, "tags", path))
    if len(tags) != len(ids):
        raise AestheticsError(f"{path}: tags: {len(tags)}, not {len(ids)}")
    votes = arrays["votes"]
    if (votes < 0).any() or (votes.sum(axis=1) < 1).any():
        raise AestheticsError(f"{path}: votes: a photo without votes, or a negative count")
    for name in ("mos", "score"):
        if not np.isfinite(arrays[name]).all():
            raise AestheticsError(f"{path}: {name}: not finite")
    if np.abs(arrays["mos"] - votes @ np.arange(1, 11) / votes.sum(axis=1)).max() > 0.01:
        raise AestheticsError(f"{path}: mos: not the mean of the votes")
    tagged = np.array([bool(names) for names in tags])
    for name in ("wrong_score", "similarity"):
        wrong = np.isfinite(arrays[name]) != tagged
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            fault = "no tag but a number" if not tagged[place] else "a tag but no number"
            raise AestheticsError(f"{path}: {name}: photo {ids[place]!r} has {fault}")
    truth = Truth(
        ids,
        arrays["mos"].astype(np.float32),
        votes.astype(np.int32),
        tags,
        arrays["similarity"].astype(np.float32),
    )
    return truth, Scored(
        number,
        arrays["score"].astype(np.float32),
        _distribution(arrays["distribution"], path),
        arrays["wrong_score"].astype(np.float32),
    )


def _distribution(stored: NDArray[Any], path: Path) -> F32 | None:
    if not stored.any():
        return None
    rows = stored.astype(np.float64)
    if not np.isfinite(rows).all() or (rows < -1e-6).any() or np.abs(rows.sum(axis=1) - 1).max() > _SUM:
        raise AestheticsError(f"{path}: distribution: rows that are no shares of sum 1")
    rows = np.maximum(rows, 0)
    scaled: F32 = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def _texts(arrays: Mapping[str, NDArray[Any]], name: str, path: Path) -> tuple[str, ...]:
    if arrays[name].ndim != 1 or arrays[name].dtype.kind != "U":
        raise AestheticsError(f"{path}: {name}: not a list of texts")
    return tuple(str(value) for value in arrays[name].tolist())


def _same(truth: Truth, own: Truth, path: str, first: str) -> None:
    for name in ("ids", "tags"):
        if getattr(truth, name) != getattr(own, name):
            raise AestheticsError(f"{path}: {name}: not those of {first}")
    for name in ("mos", "votes", "similarity"):
        if not np.allclose(getattr(truth, name), getattr(own, name), atol=_ALIKE, rtol=0, equal_nan=True):
            raise AestheticsError(f"{path}: {name}: not those of {first}")
