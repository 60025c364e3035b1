"""The nested cross-validation folds of paper A, as training writes them to RUN/folds.json.

    {"seed": 7, "outer": 5, "inner": 5,
     "works": {ID: {"artist": NAME, "outer": 0, "inner": [null, 3, 0, 4, 2],
                    "characters": 41, "image": true, "labels": {"book": 0.31}}, ...}}

`inner[k]` is the inner fold of a work in the training part of outer fold k; null where the work is tested.
`characters` (of title and description), `image` and `labels` (confidences of a detector's labels; absent
where no detector ran) are facts that fusion and evaluation need, so that both read RUN alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from evaluation.errors import DataError
from evaluation.json_lines import Line, read_json

FILE: Final = "folds.json"


class PredictionsError(DataError):
    """Folds or predictions that cannot be read or do not fit each other; the message names file and field."""


@dataclass(frozen=True)
class FoldedWork:
    """A work with its place in the folds.

    outer: the fold in which it is tested. inner: by outer fold its inner fold, None in its own.
    characters: length of title and description together; 0 without words.
    image: whether there is a photo. labels: confidences in [0, 1] by label; None where no detector ran.
    """

    id: str
    artist: str
    outer: int
    inner: tuple[int | None, ...]
    characters: int = 0
    image: bool = True
    labels: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Folds:
    """All works, in the order of the file. outer, inner: numbers of folds, >= 2."""

    works: tuple[FoldedWork, ...]
    seed: int
    outer: int = 5
    inner: int = 5
    artists: tuple[str, ...] = field(init=False)
    """All artists, sorted: the order of every table of probabilities."""

    def __post_init__(self) -> None:
        """Raises PredictionsError, naming the work and the field."""
        if self.outer < 2 or self.inner < 2:
            raise PredictionsError(
                f"outer, inner: {self.outer} and {self.inner}; at least 2 folds are needed"
            )
        if len({work.id for work in self.works}) != len(self.works):
            raise PredictionsError("works: an id is there twice")
        for work in self.works:
            self._check(work)
        tested = {work.outer for work in self.works}
        if missing := sorted(set(range(self.outer)) - tested):
            raise PredictionsError(f"works: none is tested in outer fold {missing[0]}")
        object.__setattr__(self, "artists", tuple(sorted({work.artist for work in self.works})))

    def _check(self, work: FoldedWork) -> None:
        where = f"works[{work.id!r}]"
        if not work.id or not work.artist:
            raise PredictionsError(f"{where}: id and artist must not be empty")
        if not 0 <= work.outer < self.outer:
            raise PredictionsError(f"{where}: outer is {work.outer}, not in 0 … {self.outer - 1}")
        if len(work.inner) != self.outer:
            raise PredictionsError(f"{where}: inner has {len(work.inner)} entries, not {self.outer}")
        for fold, inner in enumerate(work.inner):
            if (inner is None) != (fold == work.outer):
                raise PredictionsError(
                    f"{where}: inner[{fold}] must be null in outer fold {work.outer} alone"
                )
            if inner is not None and not 0 <= inner < self.inner:
                raise PredictionsError(f"{where}: inner[{fold}] is {inner}, not in 0 … {self.inner - 1}")
        if work.characters < 0:
            raise PredictionsError(f"{where}: characters is negative")
        for label, confidence in (work.labels or {}).items():
            if not 0 <= confidence <= 1:  # NaN is refused too
                raise PredictionsError(f"{where}: labels[{label!r}] is {confidence}, not in [0, 1]")

    def tested(self, outer: int) -> list[FoldedWork]:
        """The works that are tested in an outer fold."""
        return [work for work in self.works if work.outer == outer]

    def trained(self, outer: int) -> list[FoldedWork]:
        """The works of an outer fold's training part."""
        return [work for work in self.works if work.outer != outer]

    def inner_folds(self, outer: int) -> NDArray[np.int64]:
        """The inner folds of `trained(outer)`, int [m]."""
        return np.array([work.inner[outer] for work in self.trained(outer)], np.int64)

    def truth(self, works: list[FoldedWork]) -> NDArray[np.int64]:
        """Places in `artists` of the works' artists, int [n]."""
        place = {artist: index for index, artist in enumerate(self.artists)}
        return np.array([place[work.artist] for work in works], np.int64)


def write_folds(run: Path, folds: Folds) -> None:
    """Writes RUN/folds.json."""
    run.mkdir(parents=True, exist_ok=True)
    works: dict[str, dict[str, Any]] = {}
    for work in folds.works:
        works[work.id] = {
            "artist": work.artist,
            "outer": work.outer,
            "inner": list(work.inner),
            "characters": work.characters,
            "image": work.image,
        }
        if work.labels is not None:
            works[work.id]["labels"] = dict(work.labels)
    facts = {"seed": folds.seed, "outer": folds.outer, "inner": folds.inner}
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(work, ensure_ascii=False)}" for name, work in works.items()
    )
    text = json.dumps(facts)[:-1] + ', "works": {\n' + lines + "\n}}\n"
    (run / FILE).write_text(text, encoding="utf-8")


class _Work(Line):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=True)  # Folds checks the range of confidences

    artist: str
    outer: int
    inner: list[int | None]
    characters: int
    image: bool
    labels: dict[str, float] | None = None


class _Folds(Line):
    seed: int
    outer: int
    inner: int
    works: dict[str, _Work]


def read_folds(run: Path) -> Folds:
    """RUN/folds.json, checked. Raises PredictionsError."""
    path = run / FILE
    if not path.is_file():
        raise PredictionsError(f"{path}: there is none; `lunula train artist folds` makes it")
    form = read_json(path, _Folds, PredictionsError)
    works = tuple(
        FoldedWork(
            id=name,
            artist=work.artist,
            outer=work.outer,
            inner=tuple(work.inner),
            characters=work.characters,
            image=work.image,
            labels=work.labels,
        )
        for name, work in form.works.items()
    )
    try:
        return Folds(works, seed=form.seed, outer=form.outer, inner=form.inner)
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}") from None
