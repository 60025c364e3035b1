"""Paper Q's table from predictions: figures of every variant over its runs, differences, and controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from evaluation.aesthetic.bootstrap import correlation_difference
from evaluation.aesthetic.metrics import (
    BIN,
    EPSILON,
    HIGH,
    LOW,
    Values,
    absolute_error,
    constant_error,
    distribution_emd,
    histogram_emd,
    histogram_kl,
    kendall,
    partial_correlation,
    pearson,
    spearman,
    wasserstein,
)
from evaluation.aesthetic.pairs import TagPairs, tag_pairs
from evaluation.aesthetic.predictions import Scored, Truth, Variant
from evaluation.metrics import Cell, PairedDifference, classify_difference, paired_bootstrap

OURS: Final = "ours"
AGAINST: Final = ("notext", "regression", "literal", "ranking", "mse")
COMPARED: Final = ("LCC", "SRCC", "MAE")
PAIRS: Final = "pairs"
"""Accuracy of pairs of photos of one tag."""
FIGURES: Final = (
    *("MAE", "sd", "variance", "LCC", "SRCC", "KRCC", "KL", "EMD", "W1"),
    *("EMD r=1", "EMD r=2", PAIRS),
)
CONTROLS: Final = ("similarity", "partial", "right", "wrong", "fall")
"""similarity: correlation of score and similarity to the tags; partial: the same given the truth. right,
wrong: SRCC with the photo's tags and with those of another photo; fall: mean score lost by the latter."""
_LOWER_IS_BETTER = ("MAE",)


@dataclass(frozen=True)
class AestheticRow:
    """A variant. figures, controls: by name, f64 [R], nan where a run has none; scores: f64 [R,n]."""

    name: str
    what: str
    runs: tuple[int, ...]
    figures: Mapping[str, Values] = field(repr=False)
    controls: Mapping[str, Values] = field(repr=False)
    scores: Values = field(repr=False)

    def cell(self, name: str) -> Cell | None:
        """A figure's or a control's mean over runs, and a run's standard deviation (n - 1)."""
        values = self.figures[name] if name in self.figures else self.controls[name]
        if np.isnan(values).any():
            return None
        return Cell(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)


@dataclass(frozen=True)
class Difference:
    """A row less another. difference: over photos; deviation: of the difference of one run of each.

    verdict: whether it lies beyond `deviation`, and on which side; UNKNOWN with a single run.
    """

    row: str
    against: str
    figure: str
    difference: PairedDifference
    deviation: float | None

    @property
    def verdict(self) -> str:
        """BETTER, WORSE, WITHIN or UNKNOWN."""
        sign = -1 if self.figure in _LOWER_IS_BETTER else 1
        return classify_difference(sign * self.difference.mean, self.deviation)


@dataclass(frozen=True)
class AestheticTable:
    """All rows over the same photos. constant: MAE of the constant predictor; similarity: the truth's own
    correlation with the similarity to the tags (None without tags); pairs: of photos of one tag."""

    truth: Truth
    rows: tuple[AestheticRow, ...]
    constant: float
    similarity: float | None
    pairs: TagPairs = field(repr=False)

    def row(self, name: str) -> AestheticRow | None:
        """A row by name."""
        return next((row for row in self.rows if row.name == name), None)

    def differences(
        self,
        against: Sequence[str] = AGAINST,
        *,
        samples: int = 2_000,
        on_difference: Callable[[], None] = lambda: None,
    ) -> list[Difference]:
        """OURS less those of `against` that are there, in COMPARED. samples: of the bootstrap over photos."""
        ours = self.row(OURS)
        found = []
        for name in against:
            other = self.row(name)
            if ours is None or other is None:
                continue
            for figure in COMPARED:
                found.append(self._difference(ours, other, figure, samples))
                on_difference()
        return found

    def _difference(self, ours: AestheticRow, other: AestheticRow, figure: str, samples: int) -> Difference:
        mos = self.truth.mos.astype(np.float64)
        if figure == "MAE":
            errors = [np.abs(row.scores - mos).mean(axis=0) for row in (ours, other)]
            difference = paired_bootstrap(*errors, samples=samples)
        else:
            difference = correlation_difference(figure, mos, ours.scores, other.scores, samples=samples)
        deviation = None
        if min(len(ours.runs), len(other.runs)) > 1:
            deviation = float(np.hypot(*(row.figures[figure].std(ddof=1) for row in (ours, other))))
        return Difference(ours.name, other.name, figure, difference, deviation)

    def as_dict(self, differences: Sequence[Difference]) -> dict[str, Any]:
        """All figures for `--json`."""
        return {
            "photos": len(self.truth.ids),
            "with a tag": int(self.truth.tagged.sum()),
            "bins": {"width": BIN, "from": LOW, "to": HIGH, "epsilon": EPSILON},
            "constant MAE": self.constant,
            "truth and similarity": self.similarity,
            "pairs": {
                "pairs": len(self.pairs.better),
                "near-ties left out": self.pairs.near_ties,
                "tags": self.pairs.tags,
            },
            "rows": [
                {
                    "row": row.name,
                    "what": row.what,
                    "runs": row.runs,
                    "figures": _cells(row, FIGURES),
                    "controls": _cells(row, CONTROLS),
                }
                for row in self.rows
            ],
            "differences": [asdict(one) | {"verdict": one.verdict} for one in differences],
        }


def tabulate(
    truth: Truth, variants: Sequence[Variant], on_run: Callable[[], None] = lambda: None
) -> AestheticTable:
    """The table of some variants. on_run: called after each run."""
    pairs = tag_pairs(truth.mos, truth.votes, truth.tags)
    rows = []
    for variant in variants:
        measured = []
        for run in variant.runs:
            measured.append((_figures(truth, run, pairs), _controls(truth, run)))
            on_run()
        rows.append(
            AestheticRow(
                variant.name,
                variant.what,
                tuple(run.run for run in variant.runs),
                {name: np.array([own[name] for own, _ in measured]) for name in FIGURES},
                {name: np.array([own[name] for _, own in measured]) for name in CONTROLS},
                np.stack([run.score for run in variant.runs]).astype(np.float64),
            )
        )
    tagged = truth.tagged
    return AestheticTable(
        truth,
        tuple(rows),
        constant_error(truth.mos),
        pearson(truth.mos[tagged], truth.similarity[tagged]) if tagged.any() else None,
        pairs,
    )


def _figures(truth: Truth, run: Scored, pairs: TagPairs) -> dict[str, float]:
    mos, score = truth.mos, run.score
    error = absolute_error(mos, score)
    spread = [float("nan")] * 2
    if run.distribution is not None:
        spread = [float(distribution_emd(truth.votes, run.distribution, r).mean()) for r in (1, 2)]
    ordered = pairs.accuracy(score)
    return dict(
        zip(
            FIGURES,
            (
                *(error.mean, error.deviation, error.variance),
                *(measure(mos, score) for measure in (pearson, spearman, kendall)),
                *(measure(mos, score) for measure in (histogram_kl, histogram_emd, wasserstein)),
                *spread,
                float("nan") if ordered is None else ordered,
            ),
            strict=True,
        )
    )


def _controls(truth: Truth, run: Scored) -> dict[str, float]:
    tagged = truth.tagged
    if not tagged.any():
        return dict.fromkeys(CONTROLS, float("nan"))
    mos, similarity = truth.mos[tagged], truth.similarity[tagged]
    right, wrong = run.score[tagged], run.wrong_score[tagged]
    return {
        "similarity": pearson(right, similarity),
        "partial": partial_correlation(right, similarity, mos),
        "right": spearman(mos, right),
        "wrong": spearman(mos, wrong),
        "fall": float(np.mean(right.astype(np.float64) - wrong)),
    }


def _cells(row: AestheticRow, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    return {name: asdict(cell) for name in names if (cell := row.cell(name)) is not None}
