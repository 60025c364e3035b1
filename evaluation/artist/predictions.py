"""Predictions of models and fusions for every work, as training writes and evaluation reads them (paper A).

A run is a folder RUN with `folds.json` (see `evaluation.artist.folds`) and, by model,

- RUN/predictions/MODEL/outer-K.npz: artists [A] str, sorted; test_ids [n] str; test [n,A], the mean over the
  inner models; test_each [I,n,A], of each inner model (may be absent); oof_ids [m] str; oof [m,A], of the
  inner model that did not see the work (may be absent for fusions);
- RUN/predictions/MODEL/about.json: {"kind": "probabilities" | "scores", "what", "seed", "command", …}.

Rows of probabilities sum to 1; a row of zeros means that the model had no input (no photo, no words).
Scores (knn_image, knn_text: a mean cosine) are any finite numbers. Files may hold half precision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from evaluation.arrays import read_arrays
from evaluation.artist.folds import FoldedWork, Folds, PredictionsError, read_folds
from evaluation.json_lines import Line, read_json

PROBABILITIES: Final = "probabilities"
SCORES: Final = "scores"
KINDS: Final = (PROBABILITIES, SCORES)
FOLDER: Final = "predictions"
_SUM = 2e-3  # half precision: each of the larger entries is off by up to 2^-12 of itself
_ABOUT = "about.json"

Table = NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """One model's tables for one outer fold, rows in the order of `test_ids` and `oof_ids`.

    artists: [A]. test: f32 [n,A]. test_each: f32 [I,n,A] or None. oof: f32 [m,A] or None, then without
    oof_ids.
    """

    artists: tuple[str, ...]
    test_ids: tuple[str, ...]
    test: Table = field(repr=False)
    test_each: Table | None = field(default=None, repr=False)
    oof_ids: tuple[str, ...] = ()
    oof: Table | None = field(default=None, repr=False)


@dataclass(frozen=True)
class About:
    """What a model is. kind: of KINDS. more: everything else in its about.json."""

    model: str
    kind: str
    what: str
    more: Mapping[str, Any] = field(default_factory=dict)


class _About(Line):
    model_config = ConfigDict(extra="allow", allow_inf_nan=True)

    kind: Literal["probabilities", "scores"]
    what: str = ""


@dataclass(frozen=True)
class RunOfModels:
    """A run's folds and where its models lie."""

    folder: Path
    folds: Folds

    @property
    def models(self) -> list[str]:
        """Names of the models that are there, sorted."""
        return sorted(path.parent.name for path in (self.folder / FOLDER).glob(f"*/{_ABOUT}"))

    def about(self, model: str) -> About:
        """A model's about.json. Raises PredictionsError."""
        about = read_json(self.folder / FOLDER / model / _ABOUT, _About, PredictionsError)
        return About(model, about.kind, about.what or model, about.model_extra or {})

    def read(self, model: str, outer: int) -> Predictions:
        """A model's tables for an outer fold, in the order of the folds' works. Raises PredictionsError."""
        kind = self.about(model).kind
        path = _path(self.folder, model, outer)
        if not path.is_file():
            raise PredictionsError(f"{path}: outer fold {outer} of {model} is missing")
        arrays = read_arrays(path, PredictionsError)
        try:
            return _checked(arrays, kind, self.folds, outer)
        except PredictionsError as error:
            raise PredictionsError(f"{path}: {error}") from None


def open_run(folder: Path) -> RunOfModels:
    """Reads RUN/folds.json; models are read when they are asked for. Raises PredictionsError."""
    return RunOfModels(folder, read_folds(folder))


def write_about(run: Path, model: str, *, kind: str, what: str, **more: Any) -> None:
    """Writes RUN/predictions/MODEL/about.json; more: seed, command, seconds and what else is known."""
    if kind not in KINDS:
        raise PredictionsError(f"{model}: kind is {kind!r}, not one of {', '.join(KINDS)}")
    folder = run / FOLDER / model
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"kind": kind, "what": what, **more}, ensure_ascii=False, indent=1)
    (folder / _ABOUT).write_text(text + "\n", encoding="utf-8")


def write(run: Path, model: str, outer: int, predictions: Predictions, folds: Folds, *, kind: str) -> None:
    """Writes RUN/predictions/MODEL/outer-K.npz, checked as a reader would.

    Raises PredictionsError.
    """
    arrays: dict[str, NDArray[Any]] = {
        "artists": np.array(predictions.artists, np.str_),
        "test_ids": np.array(predictions.test_ids, np.str_),
        "test": np.asarray(predictions.test, np.float32),
    }
    if predictions.test_each is not None:
        arrays["test_each"] = np.asarray(predictions.test_each, np.float32)
    if predictions.oof is not None:
        arrays["oof_ids"] = np.array(predictions.oof_ids, np.str_)
        arrays["oof"] = np.asarray(predictions.oof, np.float32)
    path = _path(run, model, outer)
    try:
        _checked(arrays, kind, folds, outer)
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _path(run: Path, model: str, outer: int) -> Path:
    return run / FOLDER / model / f"outer-{outer}.npz"


def _checked(arrays: Mapping[str, NDArray[Any]], kind: str, folds: Folds, outer: int) -> Predictions:
    if not 0 <= outer < folds.outer:
        raise PredictionsError(f"outer fold {outer} is not in 0 … {folds.outer - 1}")
    for name in ("artists", "test_ids", "test"):
        if name not in arrays:
            raise PredictionsError(f"{name}: missing")
    if ("oof" in arrays) != ("oof_ids" in arrays):
        raise PredictionsError("oof, oof_ids: one without the other")
    if _strings(arrays, "artists") != list(folds.artists):
        raise PredictionsError(f"artists: not the {len(folds.artists)} artists of the folds, sorted")
    order = _order(arrays, "test_ids", folds.tested(outer))
    test = _table(arrays["test"], "test", (len(arrays["test_ids"]), len(folds.artists)), kind)[order]
    test_each = None
    if "test_each" in arrays:
        shape = (folds.inner, *test.shape)
        test_each = _table(arrays["test_each"], "test_each", shape, kind)[:, order]
        if np.abs(test_each.mean(axis=0) - test).max(initial=0) > _SUM * max(
            1.0, float(np.abs(test).max(initial=0))
        ):
            raise PredictionsError("test: not the mean of test_each")
    oof: Table | None = None
    oof_ids: tuple[str, ...] = ()
    if "oof" in arrays:
        trained = folds.trained(outer)
        order = _order(arrays, "oof_ids", trained)
        oof = _table(arrays["oof"], "oof", (len(arrays["oof_ids"]), len(folds.artists)), kind)[order]
        oof_ids = tuple(work.id for work in trained)
    return Predictions(
        artists=folds.artists,
        test_ids=tuple(work.id for work in folds.tested(outer)),
        test=test,
        test_each=test_each,
        oof_ids=oof_ids,
        oof=oof,
    )


def _strings(arrays: Mapping[str, NDArray[Any]], name: str) -> list[str]:
    if arrays[name].ndim != 1 or arrays[name].dtype.kind != "U":
        raise PredictionsError(
            f"{name}: {arrays[name].dtype} {list(arrays[name].shape)}, not a list of strings"
        )
    return [str(value) for value in arrays[name].tolist()]


def _order(arrays: Mapping[str, NDArray[Any]], name: str, works: Sequence[FoldedWork]) -> NDArray[np.int64]:
    """Where in the file the rows of `works` are."""
    place = {value: index for index, value in enumerate(_strings(arrays, name))}
    if len(place) != len(arrays[name]):
        raise PredictionsError(f"{name}: an id is there twice")
    if missing := [work.id for work in works if work.id not in place]:
        raise PredictionsError(f"{name}: {len(missing)} works are missing, such as {missing[0]!r}")
    if len(place) > len(works):
        other = min(place.keys() - {work.id for work in works})
        raise PredictionsError(
            f"{name}: {len(place) - len(works)} works do not belong here, such as {other!r}"
        )
    return np.array([place[work.id] for work in works], np.int64)


def _table(stored: NDArray[Any], name: str, shape: tuple[int, ...], kind: str) -> Table:
    """f32, of `shape`, checked. Rows of probabilities are scaled to 1 exactly."""
    if stored.shape != shape or stored.dtype.kind != "f":
        raise PredictionsError(f"{name}: {stored.dtype} {list(stored.shape)}, not float {list(shape)}")
    with np.errstate(over="ignore"):
        table = np.asarray(stored, np.float32)
    finite = np.isfinite(table).all(axis=-1)
    if not finite.all():
        raise PredictionsError(f"{name}: row {_first(~finite)} is not finite")
    if kind == SCORES:
        return table
    if (outside := (table < 0).any(axis=-1)).any():
        raise PredictionsError(f"{name}: row {_first(outside)} has a negative probability")
    sums = table.sum(axis=-1, dtype=np.float64)
    wrong = (np.abs(sums - 1) > _SUM) & (sums != 0)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        raise PredictionsError(
            f"{name}: row {_first(wrong)} sums to {sums[place]:.4f}, neither to 1 nor to 0"
        )
    return np.asarray(table / np.where(sums == 0, 1, sums)[..., None], np.float32)


def _first(rows: Any) -> str:
    return ", ".join(str(int(index)) for index in np.argwhere(rows)[0])
