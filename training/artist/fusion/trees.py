"""The re-ranker with trees: LightGBM adds to the linear scores of the candidates what they leave out.

The objective is that of the linear re-ranker, the softmax over the candidates of a work. How many trees there
are is decided on every fifth work; none is an answer too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import lightgbm
import numpy as np
from numpy.typing import NDArray

from nails.artist.fusion import Table, softmax
from nails.artist.ranking import FEATURES, Evidence, Ranker
from training.artist.fusion.fitting import Labels, gathered

SETTINGS: Final[dict[str, Any]] = {
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.8,
    "verbose": -1,
    "num_threads": 1,  # the same trees on every machine
    "deterministic": True,
}
ROUNDS: Final = 200
_PATIENCE = 15
_STRIDE = 5


@dataclass(frozen=True)
class Trees:
    """A linear re-ranker and the trees on top of it; `trees` of them, 0 for none."""

    ranker: Ranker
    booster: Any
    trees: int

    def __call__(self, evidence: Evidence) -> Table:
        """Probabilities f64 [N,A]."""
        places, found = gathered(evidence, self.ranker.pool)
        scores = _linear(self.ranker, found)
        if self.trees:
            added = self.booster.predict(found.reshape(-1, len(FEATURES)), num_iteration=self.trees)
            scores = scores + np.asarray(added).reshape(scores.shape)
        return self.ranker.spread(evidence, places, scores)


def fit_trees(evidence: Evidence, labels: Labels, ranker: Ranker, seed: int = 0) -> Trees:
    """Boosts the scores of `ranker`. evidence and labels: those that it was fitted on."""
    places, found = gathered(evidence, ranker.pool)
    rows = np.flatnonzero((places == labels[:, None]).any(axis=1))
    start = _linear(ranker, found)
    held = np.arange(len(rows)) % _STRIDE == 0
    parts = [
        _Part(found[own], places[own] >= 0, places[own] == labels[own, None], start[own])
        for own in (rows[~held], rows[held])
    ]
    fit, check = parts
    booster = lightgbm.train(
        {**SETTINGS, "seed": seed, "objective": fit.gradients},
        fit.dataset,
        num_boost_round=ROUNDS,
        valid_sets=[check.dataset],
        feval=check.evaluation,
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    )
    best = int(booster.best_iteration)
    without = check.loss(check.start)
    # LightGBM keeps at least one tree; none is better where the first one already does harm.
    return Trees(ranker, booster, best if booster.best_score["valid_0"]["loss"] < without else 0)


def _linear(ranker: Ranker, found: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(found @ np.array([ranker.weights.get(name, 0.0) for name in FEATURES]), np.float64)


class _Part:
    """Works with the features of their candidates [n,C,F], flattened to those that exist."""

    def __init__(
        self,
        found: NDArray[np.float64],
        known: NDArray[np.bool_],
        right: NDArray[np.bool_],
        start: NDArray[np.float64],
    ) -> None:
        self.known, self.right = known, right[known].astype(np.float64)
        self.start = start[known]
        self.dataset = lightgbm.Dataset(
            found[known], self.right, init_score=self.start, feature_name=_names(), free_raw_data=False
        )

    def _shares(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        table = np.full(self.known.shape, -np.inf)
        table[self.known] = scores
        return softmax(table)[self.known]

    def gradients(
        self, scores: NDArray[np.float64], _: lightgbm.Dataset
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of -ln of the right candidate's share."""
        shares = self._shares(scores)
        return shares - self.right, np.maximum(shares * (1 - shares), 1e-6)

    def loss(self, scores: NDArray[np.float64]) -> float:
        """Mean -ln of the right candidate's share."""
        return float(-np.log(np.maximum(self._shares(scores)[self.right > 0], 1e-12)).mean())

    @property
    def evaluation(self) -> Callable[[NDArray[np.float64], lightgbm.Dataset], tuple[str, float, bool]]:
        """`loss` as LightGBM asks for it."""
        return lambda scores, _: ("loss", self.loss(scores), False)


def _names() -> list[str]:
    return [name.replace(" ", "_").replace("×", "x") for name in FEATURES]
