"""Fits fusions of photo and words on out-of-fold predictions: temperatures, the log-linear pool, re-rankers.

Labels are places of artists, int [N]; tables are probabilities [N,A]. What is fitted is what `nails` applies.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from nails.artist.fusion import Pool, is_missing, log_probabilities, softmax
from nails.artist.ranking import (
    FEATURES,
    Evidence,
    Ranker,
    candidate_mass,
    compute_features,
    logit,
    select_candidates,
)

Labels = NDArray[np.int64]
MOST_ROWS: Final = 10_000
"""Two or three numbers need no more rows than this."""
_RIDGE = 1e-3
_BLOCK = 4096
_NEWTON = 50


def fit_temperature(table: NDArray[np.floating[Any]], labels: Labels, seed: int = 0) -> float:
    """T in [0.1, 10] with the lowest mean -ln p of the right artist; rows of zeros take no part.

    Raises ValueError where all rows are zeros.
    """
    rows = _rows(~is_missing(table), seed)
    logs, own = log_probabilities(table[rows]), labels[rows]

    def loss(log_temperature: float) -> float:
        return _loss(logs / np.exp(log_temperature), own)

    found = minimize_scalar(loss, bounds=(np.log(0.1), np.log(10)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def fit_pool(
    image: NDArray[np.floating[Any]], text: NDArray[np.floating[Any]], labels: Labels, seed: int = 0
) -> Pool:
    """The powers with the lowest mean -ln p on works that have both modalities, and both temperatures.

    The loss is convex in the powers. Raises ValueError where no work has both.
    """
    image_temperature = fit_temperature(image, labels, seed)
    text_temperature = fit_temperature(text, labels, seed)
    rows = _rows(~is_missing(image) & ~is_missing(text), seed)
    logs = np.stack([log_probabilities(image[rows]), log_probabilities(text[rows])])
    own = labels[rows]
    at = np.arange(len(rows))
    right = logs[:, at, own].mean(axis=1)

    def loss(powers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mixed = np.tensordot(powers, logs, 1)
        table = softmax(mixed)
        return _loss(mixed, own), (table * logs).sum(axis=2).mean(axis=1) - right

    start = np.array([0.5 / image_temperature, 0.5 / text_temperature])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(1e-3, 10)] * 2)
    return Pool(float(found.x[0]), float(found.x[1]), image_temperature, text_temperature)


def gathered(evidence: Evidence, pool: Pool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Candidates int [N,C] and their features f64 [N,C,F], in blocks."""
    parts = [evidence[start : start + _BLOCK] for start in range(0, len(evidence.image), _BLOCK)]
    places = [select_candidates(part) for part in parts]
    found = [compute_features(part, own, pool) for part, own in zip(parts, places, strict=True)]
    return np.concatenate(places), np.concatenate(found)


def fit_ranker(evidence: Evidence, labels: Labels, pool: Pool) -> Ranker:
    """A grouped logistic regression over the features of the candidates, and the reach of the candidates.

    Raises ValueError where no work's artist is a candidate.
    """
    places, found = gathered(evidence, pool)
    own = places == labels[:, None]
    rows = np.flatnonzero(own.any(axis=1))
    if not rows.size:
        raise ValueError("no work's artist is among its candidates")
    known = places[rows] >= 0
    inputs = found[rows][known]
    scale = inputs.std(axis=0)
    differs = scale > 1e-9
    solved = _grouped_logistic(inputs[:, differs] / scale[differs], known, own[rows])
    weights = dict(zip(np.array(FEATURES)[differs].tolist(), (solved / scale[differs]).tolist(), strict=True))
    bias, slope = fit_reach(evidence, labels, pool, places)
    return Ranker(pool, weights, bias, slope)


def _grouped_logistic(
    inputs: NDArray[np.float64], known: NDArray[np.bool_], own: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights [F] with the highest likelihood of each group's own one, slightly pulled to 0: Newton's method.

    inputs: [K,F], of the K entries of `known` [n,C] that are true; own: bool [n,C], one a row.
    """
    count, width = len(known), inputs.shape[1]
    group = np.nonzero(known)[0]
    wanted = inputs[own[known]].sum(axis=0)
    right = own.argmax(axis=1)

    def look(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = np.full(known.shape, -np.inf)
        scores[known] = inputs @ weights
        return _loss(scores, right) + _RIDGE * float(weights @ weights) / 2, scores

    weights = np.zeros(width)
    value, scores = look(weights)
    for _ in range(_NEWTON):
        shares = softmax(scores)[known]
        weighted = inputs * shares[:, None]
        means = np.add.reduceat(weighted, np.searchsorted(group, np.arange(count)))
        gradient = (weighted.sum(axis=0) - wanted) / count + _RIDGE * weights
        curvature = (weighted.T @ inputs - means.T @ means) / count + _RIDGE * np.eye(width)
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while length > 1e-4:  # the loss is convex, but a full step may overshoot
            tried, tried_scores = look(weights - length * step)
            if tried < value:
                break
            length /= 2
        else:
            break
        gain, weights, value, scores = value - tried, weights - length * step, tried, tried_scores
        if gain < 1e-9:
            break
    return weights


def fit_reach(
    evidence: Evidence, labels: Labels, pool: Pool, places: NDArray[np.int64], seed: int = 0
) -> tuple[float, float]:
    """(bias, slope) of P(the artist is a candidate) by the candidates' mass in the pool; slope >= 0."""
    rows = _rows(np.asarray((places >= 0).any(axis=1)), seed)
    inputs = logit(candidate_mass(pool(evidence.image[rows], evidence.text[rows]), places[rows]))
    among = (places == labels[:, None]).any(axis=1)[rows].astype(np.float64)

    def loss(numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        bias, slope = numbers
        z = bias + slope * inputs
        wrong = 1 / (1 + np.exp(-np.clip(z, -60, 60))) - among
        pull = 1e-3 * np.array([bias, slope - 1])  # keeps the numbers finite where every artist is reached
        value = float(np.mean(np.logaddexp(0, z) - among * z)) + float(pull @ np.array([bias, slope - 1])) / 2
        return value, np.array([wrong.mean(), (wrong * inputs).mean()]) + pull

    found = minimize(
        loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B", bounds=[(None, None), (0, None)]
    )
    return float(found.x[0]), float(found.x[1])


def _loss(logits: NDArray[np.float64], own: Labels) -> float:
    top = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(total - logits[np.arange(len(own)), own]))


def _rows(usable: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    rows = np.flatnonzero(usable)
    if not rows.size:
        raise ValueError("no work has what is to be fitted")
    if rows.size > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    return rows
