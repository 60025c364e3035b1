"""LightGBM over artists with the parameters of paper A: one core, repeatable."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PAPER: Final[dict[str, Any]] = {"learning_rate": 0.1, "num_leaves": 23, "min_data_in_leaf": 1}
ROUNDS: Final = 100


def fit_trees(inputs: Any, labels: NDArray[np.int64], artists: int, seed: int, rounds: int = ROUNDS) -> Any:
    """A booster of inputs f32 [n,D], dense or sparse, with labels in 0..artists-1."""
    import lightgbm

    parameters = {
        **PAPER,
        "objective": "multiclass",
        "num_class": artists,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed % 2**31,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(inputs, labels), num_boost_round=rounds)


def ask_trees(booster: Any, inputs: Any) -> NDArray[np.float32]:
    """Probabilities f32 [n,A]."""
    return np.asarray(booster.predict(inputs, num_threads=1), np.float32)
