"""LightGBM over artists with the parameters of paper A, and one more: one core, repeatable.

With one work a leaf and some hundred artists of few works, a leaf's value is a sum of gradients near 1 over
second derivatives near 1/artists: at rate .1 a single work moves its artist's logarithm by tens, the loss
rises with every round, and the model ends below naming the artist with most works. An L2 term of 1 on leaf
values keeps that in bounds; 0, LightGBM's default, is what the paper's list of parameters amounts to.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PAPER: Final[dict[str, Any]] = {"learning_rate": 0.1, "num_leaves": 23, "min_data_in_leaf": 1}
PARAMETERS: Final[dict[str, Any]] = {**PAPER, "lambda_l2": 1.0}
ROUNDS: Final = 100


def fit_trees(inputs: Any, labels: NDArray[np.int64], artists: int, seed: int, rounds: int = ROUNDS) -> Any:
    """A booster of inputs f32 [n,D], dense or sparse, with labels in 0..artists-1."""
    import lightgbm

    parameters = {
        **PARAMETERS,
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
