"""A model's parameters say how its answer is read."""

from __future__ import annotations

import numpy as np
import pytest

from nails.perception.nail_decoder import NailDecoder
from nails.photo.preprocess import Letterbox

PLACED = Letterbox(1.0, 0, 0)


def maps(level: float) -> dict[str, np.ndarray]:
    """Two nails joined by a bridge of `level`, their interiors apart."""
    nail = np.zeros((40, 60), np.float32)
    nail[10:30, 5:20] = nail[10:30, 40:55] = 0.9
    nail[15:25, 20:40] = level
    inside = np.zeros_like(nail)
    inside[14:26, 9:16] = inside[14:26, 44:51] = 0.9
    return {"maps": np.stack([nail, inside])}


def test_unsaid_parameters_are_one_half() -> None:
    assert NailDecoder.from_parameters({}) == NailDecoder("interior", 0.5, 0.5)


def test_a_threshold_of_the_model_decides_what_is_nail() -> None:
    loose = NailDecoder.from_parameters({"nail_threshold": "0.3"}).decode(maps(0.4), PLACED, (60, 40))
    strict = NailDecoder.from_parameters({"nail_threshold": "0.6"}).decode(maps(0.4), PLACED, (60, 40))
    assert sum(nail.area for nail in loose) > sum(nail.area for nail in strict) + 100
    assert len(strict) == len(loose) == 2


def test_a_threshold_of_the_model_decides_what_is_interior() -> None:
    answer = maps(0.9)
    answer["maps"][1][12:28, 16:44] = 0.4
    assert (
        len(NailDecoder.from_parameters({"interior_threshold": "0.3"}).decode(answer, PLACED, (60, 40))) == 1
    )
    assert (
        len(NailDecoder.from_parameters({"interior_threshold": "0.5"}).decode(answer, PLACED, (60, 40))) == 2
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"decoder": "guess"},
        {"nail_threshold": "much"},
        {"nail_threshold": "1"},
        {"interior_threshold": "nan"},
    ],
)
def test_parameters_that_say_nothing_sensible_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"decoder|threshold"):
        NailDecoder.from_parameters(parameters)
