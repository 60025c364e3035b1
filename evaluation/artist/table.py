"""Paper A's tables from the predictions of a run: single models, ratios, the ladder, transitions, slices.

"Pooled" counts every work once, answered by the mean of its outer fold's inner models. Averages are over
outer folds, and over all single inner models; the paper prints both kinds without saying which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.artist.folds import PredictionsError
from evaluation.artist.label_entropy import THRESHOLDS, below, combination, entropies, majority
from evaluation.artist.metrics import (
    Bin,
    Places,
    Transitions,
    accuracy,
    accuracy_difference,
    best_artists,
    curve,
    curve_error,
    macro_difference,
    macro_f1,
    micro_f1,
    transitions,
)
from evaluation.artist.predictions import PROBABILITIES, Predictions, RunOfModels
from evaluation.metrics import PairedDifference

RATIOS: Final = tuple(f"linear-0.{tenths}" for tenths in range(1, 10))
FIVE_TO_FIVE: Final = "linear-0.5"
CALIBRATED: Final = "-calibrated"
LADDER: Final = "ladder"
_SINGLE = ("image", "vgg16", "text", "text_w2v", "text_d2v", "text_tfidf", "labels")
_RUNGS = ("linear-inner", "tempered", "loglinear", "rerank", "rerank-trees", LADDER)
_FLOOR = 1e-12
MAJORITY: Final = "majority"
"""The artist with most works of the same combination of labels in the training part."""


@dataclass(frozen=True)
class Figures:
    """Shares in [0, 1]. micro equals accuracy; it is computed by its own formula."""

    accuracy: float
    micro: float
    macro: float


@dataclass(frozen=True)
class ArtistRow:
    """A model or fusion. folds, singles: means over outer folds and over all inner models, None if unknown.

    answers: int [N], places of artists; curve, loss: of the pooled probabilities, None for scores.
    """

    name: str
    what: str
    fusion: bool
    pooled: Figures
    folds: Figures
    singles: Figures | None
    answers: Places = field(repr=False)
    curve: tuple[Bin, ...] | None = field(default=None, repr=False)
    loss: float | None = None

    @property
    def calibration_error(self) -> float | None:
        """Of the curve, in [0, 1]."""
        return None if self.curve is None else curve_error(self.curve)


@dataclass(frozen=True)
class Gain:
    """What a fusion brings over 5:5, by paired bootstrap over works."""

    name: str
    accuracy: PairedDifference
    macro: PairedDifference


@dataclass(frozen=True)
class Slice:
    """The works whose combination of labels has an entropy below `threshold`; None: all of them.

    artists: of these works; most, fewest, deviation: of works an artist among them (the paper's table 1).
    figures: by model; of a slice without works, none.
    """

    threshold: float | None
    works: int
    artists: int
    most: int
    fewest: int
    deviation: float
    figures: Mapping[str, Figures]


@dataclass(frozen=True)
class ArtistTable:
    """All rows over the same N works. truth: int [N], places in `artists`; ids in the same order."""

    artists: tuple[str, ...]
    ids: tuple[str, ...]
    truth: Places = field(repr=False)
    rows: tuple[ArtistRow, ...]
    folds: tuple[int, int]

    def row(self, name: str) -> ArtistRow | None:
        """A row by name."""
        return next((row for row in self.rows if row.name == name), None)

    def named(self, names: Iterable[str]) -> list[ArtistRow]:
        """The rows of these names that there are."""
        return [row for name in names if (row := self.row(name)) is not None]

    @property
    def singles(self) -> list[ArtistRow]:
        """Rows of models, those of the paper first."""
        return sorted(
            (row for row in self.rows if not row.fusion),
            key=lambda row: (_SINGLE.index(row.name) if row.name in _SINGLE else len(_SINGLE), row.name),
        )

    @property
    def ratios(self) -> list[ArtistRow]:
        """Rows of the nine ratios, the photo's share rising."""
        return self.named(RATIOS)

    @property
    def rungs(self) -> list[ArtistRow]:
        """5:5 and the rows of the ladder, without their calibrated twins."""
        shown = self.named((FIVE_TO_FIVE, *_RUNGS[:-1]))
        others = [
            row
            for row in self.rows
            if row.fusion and row.name not in (*RATIOS, *_RUNGS) and not row.name.endswith(CALIBRATED)
        ]
        return [*shown, *others, *self.named([LADDER])]

    def calibrated(self, row: ArtistRow) -> ArtistRow | None:
        """The calibrated twin of a fusion; the ladder is calibrated itself."""
        return row if row.name == LADDER else self.row(row.name + CALIBRATED)

    def transitions(self, fusion: str) -> Transitions | None:
        """How answers change from image and text to a fusion; None where one of the three is missing."""
        rows = self.named(("image", "text", fusion))
        if len(rows) < 3:
            return None
        image, text, fused = (row.answers == self.truth for row in rows)
        return transitions(image, text, fused)

    def gains(self, *, samples: int = 2_000, on_gain: Callable[[], None] = lambda: None) -> list[Gain]:
        """Every rung and the nine ratios' best against 5:5."""
        base = self.row(FIVE_TO_FIVE)
        if base is None:
            return []
        found = []
        for row in self.rungs:
            if row.name != FIVE_TO_FIVE:
                pair = self.truth, row.answers, base.answers
                found.append(
                    Gain(
                        row.name,
                        accuracy_difference(*pair, samples=samples),
                        macro_difference(*pair, samples=samples),
                    )
                )
            on_gain()
        return found

    def slices(self, run: RunOfModels, *, base: float = np.e) -> list[Slice]:
        """Figures of image, text, labels, 5:5 and the ladder by entropy of the combination of labels.

        Raises PredictionsError where no work has labels.
        """
        of = {work.id: work for work in run.folds.works}
        works = [of[name] for name in self.ids]
        if not any(work.labels for work in works):
            raise PredictionsError(f"{run.folder}: no work has labels, which slices by entropy need")
        combinations = [combination(work.labels or {}) for work in works]
        entropy = entropies(combinations, self.truth, base)
        answers = {
            row.name: row.answers for row in self.named(("image", "text", "labels", FIVE_TO_FIVE, LADDER))
        }
        fold = np.array([work.outer for work in works])
        answers[MAJORITY] = np.zeros_like(self.truth)
        for outer in range(run.folds.outer):
            tested = fold == outer
            train = [labels for labels, own in zip(combinations, tested, strict=True) if not own]
            test = [labels for labels, own in zip(combinations, tested, strict=True) if own]
            answers[MAJORITY][tested] = majority(train, self.truth[~tested], test)
        everything = np.ones(len(works), np.bool_)
        kept = [(None, everything), *((limit, below(entropy, limit)) for limit in THRESHOLDS)]
        return [self._slice(threshold, places, answers) for threshold, places in kept]

    def _slice(
        self, threshold: float | None, places: NDArray[np.bool_], answers: Mapping[str, Places]
    ) -> Slice:
        truth = self.truth[places]
        own = np.bincount(truth) if truth.size else np.zeros(1, np.int64)
        own = own[own > 0]
        found = {name: figures(truth, given[places]) for name, given in answers.items()} if truth.size else {}
        return Slice(
            threshold=threshold,
            works=len(truth),
            artists=len(own),
            most=int(own.max(initial=0)),
            fewest=int(own.min()) if own.size else 0,
            deviation=float(own.std(ddof=1)) if own.size > 1 else 0.0,
            figures=found,
        )

    def confused(self, name: str, most: int = 30) -> list[tuple[str, str, int]]:
        """(artist, taken for, works) of a row, the most frequent first."""
        row = self.row(name)
        if row is None:
            return []
        wrong = (row.answers != self.truth) & (row.answers >= 0)
        pairs, counts = np.unique(
            np.stack([self.truth[wrong], row.answers[wrong]], axis=1), axis=0, return_counts=True
        )
        order = np.argsort(-counts, kind="stable")[:most]
        return [(self.artists[pairs[i, 0]], self.artists[pairs[i, 1]], int(counts[i])) for i in order]


def figures(truth: Places, answers: Places) -> Figures:
    """Accuracy, micro-F1 and macro-F1."""
    return Figures(accuracy(truth, answers), micro_f1(truth, answers), macro_f1(truth, answers))


def tabulate(run: RunOfModels, on_model: Callable[[], None] = lambda: None) -> ArtistTable:
    """Reads every model of a run, each in turn and let go. Raises PredictionsError for none or a fault."""
    if not run.models:
        raise PredictionsError(f"{run.folder}: no predictions; `lunula train artist` makes them")
    folds = run.folds
    by_fold = [folds.truth(folds.tested(outer)) for outer in range(folds.outer)]
    rows = []
    for model in run.models:
        rows.append(_row(run, model, by_fold))
        on_model()
    return ArtistTable(
        artists=folds.artists,
        ids=tuple(work.id for outer in range(folds.outer) for work in folds.tested(outer)),
        truth=np.concatenate(by_fold),
        rows=tuple(rows),
        folds=(folds.outer, folds.inner),
    )


def _row(run: RunOfModels, model: str, by_fold: Sequence[Places]) -> ArtistRow:
    about = run.about(model)
    answers, confidence, losses, singles, per_fold = [], [], [], [], []
    for outer, truth in enumerate(by_fold):
        found: Predictions = run.read(model, outer)
        answers.append(best_artists(found.test))
        confidence.append(found.test.max(axis=1))
        losses.append(-np.log(np.maximum(found.test[np.arange(len(truth)), truth], _FLOOR)))
        per_fold.append(figures(truth, answers[-1]))
        if found.test_each is not None:
            singles += [figures(truth, best_artists(table)) for table in found.test_each]
    truth, given = np.concatenate(by_fold), np.concatenate(answers)
    calibrated = about.kind == PROBABILITIES
    return ArtistRow(
        name=model,
        what=about.what,
        fusion="by_outer_fold" in about.more,
        pooled=figures(truth, given),
        folds=_mean(per_fold),
        singles=_mean(singles) if singles else None,
        answers=given,
        curve=tuple(curve(np.concatenate(confidence), given == truth)) if calibrated else None,
        loss=float(np.concatenate(losses).mean()) if calibrated else None,
    )


def _mean(found: Sequence[Figures]) -> Figures:
    columns: Any = np.array([(item.accuracy, item.micro, item.macro) for item in found]).mean(axis=0)
    return Figures(*(float(value) for value in columns))
