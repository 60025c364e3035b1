"""The ladder of fusions: from the paper's fixed ratios to re-rankers, each fitted on out-of-fold predictions.

A rung is fitted on evidence and labels and gives a rule, which turns evidence into probabilities.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluation.artist.metrics import accuracy, best_artists, negative_log_likelihood
from nails.artist.fusion import linear_pool, temper
from nails.artist.ranking import Evidence
from training.artist.fusion.fitting import Labels, fit_pool, fit_ranker, fit_temperature

RATIOS: Final = tuple(round(0.1 * tenths, 1) for tenths in range(1, 10))
FIVE_TO_FIVE: Final = "linear-0.5"
CALIBRATED: Final = "-calibrated"
LADDER: Final = "ladder"
_BLOCK = 4096

Apply = Callable[[Evidence], NDArray[np.floating[Any]]]


@dataclass(frozen=True)
class Rule:
    """A fitted fusion. parameters: what was fitted, for about.json; fitted: the same for rungs above."""

    apply: Apply
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fitted: Any = None

    def __call__(self, evidence: Evidence) -> NDArray[np.float32]:
        """Probabilities f32 [N,A], in blocks of works."""
        blocks = [
            np.asarray(self.apply(evidence[start : start + _BLOCK]), np.float32)
            for start in range(0, len(evidence.image), _BLOCK)
        ]
        return np.concatenate(blocks) if blocks else np.zeros(evidence.image.shape, np.float32)


@dataclass(frozen=True)
class Rung:
    """A kind of fusion. what: for tables. logs: whether it works on logarithms (see `fuse.in_logs`).

    fit: from evidence, labels, and the rules of the rungs below that were fitted on the same.
    """

    name: str
    what: str
    fit: Callable[[Evidence, Labels, Mapping[str, Rule]], Rule]
    logs: bool = False


def linear_name(ratio: float) -> str:
    """Name of the mean with `ratio` as the photo's share."""
    return f"linear-{ratio:.1f}"


def ladder(seed: int) -> list[Rung]:
    """All rungs after the nine ratios, from simple to involved; trees only where LightGBM is installed."""
    rungs = [
        Rung("linear-inner", "mean, ratio chosen on inner folds", _linear_inner),
        Rung("tempered", "5:5 of each modality with its temperature", _tempered),
        Rung("loglinear", "log-linear pool", _loglinear, logs=True),
        Rung("rerank", "re-ranker of candidates, grouped logistic regression", _rerank, logs=True),
    ]
    if importlib.util.find_spec("lightgbm") is not None:

        def with_trees(evidence: Evidence, labels: Labels, below: Mapping[str, Rule]) -> Rule:
            return _rerank_trees(evidence, labels, below, seed)

        rungs.append(Rung("rerank-trees", "re-ranker of candidates, with trees", with_trees, logs=True))
    return rungs


def fixed(ratio: float) -> Rung:
    """The paper's mean with the photo's share `ratio`."""
    photo = round(10 * ratio)

    def fit(_: Evidence, __: Labels, ___: Mapping[str, Rule]) -> Rule:
        return Rule(lambda evidence: linear_pool(evidence.image, evidence.text, ratio), {"ratio": ratio})

    return Rung(linear_name(ratio), f"photo : words {photo}:{10 - photo}", fit)


def _linear_inner(evidence: Evidence, labels: Labels, below: Mapping[str, Rule]) -> Rule:
    def merit(ratio: float) -> tuple[float, float]:
        table = fixed(ratio).fit(evidence, labels, below)(evidence)
        return accuracy(labels, best_artists(table)), -negative_log_likelihood(table, labels)

    return fixed(max(RATIOS, key=merit)).fit(evidence, labels, below)


def _tempered(evidence: Evidence, labels: Labels, _: Mapping[str, Rule]) -> Rule:
    image, text = fit_temperature(evidence.image, labels), fit_temperature(evidence.text, labels)
    return Rule(
        lambda asked: linear_pool(temper(asked.image, image), temper(asked.text, text), 0.5),
        {"image_temperature": image, "text_temperature": text},
    )


def _loglinear(evidence: Evidence, labels: Labels, _: Mapping[str, Rule]) -> Rule:
    pool = fit_pool(evidence.image, evidence.text, labels)
    return Rule(lambda asked: pool(asked.image, asked.text), asdict(pool), pool)


def _rerank(evidence: Evidence, labels: Labels, below: Mapping[str, Rule]) -> Rule:
    ranker = fit_ranker(evidence, labels, below["loglinear"].fitted)
    return Rule(ranker, asdict(ranker), ranker)


def _rerank_trees(evidence: Evidence, labels: Labels, below: Mapping[str, Rule], seed: int) -> Rule:
    from training.artist.fusion.trees import fit_trees

    trees = fit_trees(evidence, labels, below["rerank"].fitted, seed)
    return Rule(trees, {"trees": trees.trees})


def fitted(rungs: Sequence[Rung], evidence: Evidence, labels: Labels) -> dict[str, Rule]:
    """The rules of all rungs by name, fitted from the lowest to the highest."""
    rules: dict[str, Rule] = {}
    for rung in rungs:
        rules[rung.name] = rung.fit(evidence, labels, rules)
    return rules


def out_of_fold(
    rungs: Sequence[Rung],
    evidence: Evidence,
    labels: Labels,
    inner: NDArray[np.int64],
    on_fold: Callable[[], None] = lambda: None,
) -> dict[str, NDArray[np.float32]]:
    """What each rung says of each work when it was fitted on the other inner folds, f32 [m,A] by name."""
    found = {rung.name: np.zeros(evidence.image.shape, np.float32) for rung in rungs}
    for fold in np.unique(inner):
        held = inner == fold
        for name, rule in fitted(rungs, evidence[~held], labels[~held]).items():
            found[name][held] = rule(evidence[held])
        on_fold()
    return found
