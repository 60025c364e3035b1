"""The colours that a person would pick for a photo: a few of its paints, each a little off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

PICK_ERROR: Final = 4.0  # CIELAB, standard deviation of a channel


def pick_paints(
    rng: np.random.Generator,
    labs: Sequence[Sequence[float]],
    weights: Sequence[float],
    sizes: Sequence[float],
) -> NDArray[np.float64]:
    """Some of the paints `labs` in CIELAB, those of more weight likelier, each moved by PICK_ERROR: [n,3].

    sizes: chances of picking 1, 2, … of them; never more than there are.
    """
    count = min(len(labs), 1 + int(rng.choice(len(sizes), p=sizes)))
    shares = np.asarray(weights, float)
    picks = rng.choice(len(labs), count, replace=False, p=shares / shares.sum())
    picked = np.array([labs[int(pick)] for pick in picks], float)
    return np.asarray(picked + rng.normal(0.0, PICK_ERROR, picked.shape))
