"""Fits what turns both models' outputs into probabilities: temperatures, fusion weight, and the unknown.

The formulas are those that ClassifyService applies. Everything is fitted on validation works; the unknown on
works of artists that a second pair of models was never shown.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
FLOOR = 1e-12


def softmax(logits: NDArray[np.floating]) -> Table:
    """Rows of probabilities."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def tempered(table: Table, temperature: float) -> Table:
    """p^(1/T), rows normalised."""
    logs = np.log(np.maximum(table, FLOOR)) / temperature
    return softmax(logs)


def loss(table: Table, labels: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood."""
    return float(-np.log(np.maximum(table[np.arange(len(labels)), labels], FLOOR)).mean())


def lowest(function: Callable[[float], float], low: float, high: float, rounds: int = 60) -> float:
    """Where a function with one valley is lowest, by golden section."""
    ratio = (5**0.5 - 1) / 2
    a, b = low, high
    for _ in range(rounds):
        left, right = b - ratio * (b - a), a + ratio * (b - a)
        if function(left) < function(right):
            b = right
        else:
            a = left
    return (a + b) / 2


def fit_temperature(table: Table, labels: NDArray[np.int64]) -> float:
    """T in [0.1, 10] with the lowest negative log-likelihood."""
    return float(np.exp(lowest(lambda t: loss(tempered(table, np.exp(t)), labels), np.log(0.1), np.log(10))))


def fused(image: Table, text: Table, weight: float) -> Table:
    """weight * image + (1 - weight) * text, rows normalised."""
    mixed = weight * image + (1 - weight) * text
    return np.asarray(mixed / mixed.sum(axis=1, keepdims=True))


def confidence_logit(table: Table) -> NDArray[np.float64]:
    """ln(p1 / (1 - p1)) of the best artist."""
    best = np.clip(table.max(axis=1), FLOOR, 1 - FLOOR)
    return np.asarray(np.log(best / (1 - best)))


def fit_unknown(known: Table, strangers: Table) -> tuple[float, float]:
    """(bias, slope) of P(unknown) = sigmoid(bias - slope * ln(p1 / (1 - p1))), both kinds weighing the same.

    Logistic regression with a slight pull towards slope 1, by Newton's method.
    """
    logit = np.concatenate([confidence_logit(known), confidence_logit(strangers)])
    unknown = np.concatenate([np.zeros(len(known)), np.ones(len(strangers))])
    weight = np.concatenate(
        [np.full(len(known), 0.5 / len(known)), np.full(len(strangers), 0.5 / len(strangers))]
    )
    inputs = np.stack([np.ones_like(logit), -logit], axis=1)
    prior, pull = np.array([0.0, 1.0]), 1e-2
    found = prior.copy()
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(inputs @ found, -60, 60)))
        gradient = inputs.T @ (weight * (p - unknown)) + pull * (found - prior)
        curvature = inputs.T @ (inputs * (weight * p * (1 - p))[:, None]) + pull * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        found = found - step * min(1.0, 1.0 / float(np.abs(step).max() + FLOOR))  # at most 1: no overshoot
    return float(found[0]), float(max(found[1], 0.0))


def calibration_error(table: Table, labels: NDArray[np.int64], bins: int = 10) -> float:
    """Expected calibration error of the best artist's probability, in percent."""
    best, right = table.max(axis=1), table.argmax(axis=1) == labels
    place = np.minimum((best * bins).astype(int), bins - 1)
    error = sum(
        abs(best[place == i].mean() - right[place == i].mean()) * (place == i).mean()
        for i in range(bins)
        if (place == i).any()
    )
    return 100 * float(error)
