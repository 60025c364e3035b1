"""Packed tokens come back, smaller, as near as their bits allow."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from nails.aesthetic.tokens import BITS, GRIDS, Packing, pack, pooled, unpack, unpack_rows

EVERY = [Packing(grid, bits) for grid, bits in product(GRIDS, BITS)]


def tokens(dims: int = 320, seed: int = 3) -> np.ndarray[Any, np.dtype[np.float16]]:
    return np.random.default_rng(seed).normal(0, 2, (49, dims)).astype(np.float16)


@pytest.mark.parametrize("packing", EVERY, ids=str)
def test_bytes_are_as_many_as_the_packing_says(packing: Packing) -> None:
    data = pack(tokens(), packing)
    assert len(data) == packing.size(320)
    back = unpack(data, packing, 320)
    assert back.shape == (packing.tokens, 320)
    assert back.dtype == np.float16


def test_sizes_of_one_photo() -> None:
    assert Packing(7, 16).size(320) == 31_360
    assert Packing(4, 8).size(320) == 16 * 322
    assert Packing(1, 8).size(320) == 322


def test_the_whole_map_in_16_bits_comes_back_exactly() -> None:
    before = tokens()
    assert np.array_equal(unpack(pack(before, Packing(7, 16)), Packing(7, 16), 320), before)


@pytest.mark.parametrize("grid", GRIDS)
def test_8_bits_are_off_by_half_a_scale_at_most(grid: Any) -> None:
    packing = Packing(grid, 8)
    exact = pooled(tokens(), grid)
    back = unpack(pack(tokens(), packing), packing, 320).astype(np.float32)
    scale = np.abs(exact).max(axis=1, keepdims=True) / 127
    # The scale is rounded up to float16, and so are the numbers that come back.
    assert (np.abs(back - exact) <= 0.5 * scale * 1.002 + np.abs(exact) * 1e-3).all()


@pytest.mark.parametrize("bits", BITS)
def test_packing_twice_changes_no_more_than_rounding(bits: Any) -> None:
    packing = Packing(7, bits)
    once = unpack(pack(tokens(), packing), packing, 320)
    twice = unpack(pack(once, packing), packing, 320)
    assert np.allclose(once.astype(np.float32), twice.astype(np.float32), rtol=2e-3, atol=2e-3)


def test_a_grid_of_one_is_the_mean() -> None:
    before = tokens().astype(np.float32)
    assert np.allclose(pooled(before, 1)[0], before.mean(axis=0), atol=1e-5)


def test_areas_are_where_they_lie() -> None:
    """The column of a token, as its only number, averages to the middle of its area."""
    columns = np.tile(np.arange(7, dtype=np.float32), 7)[:, None]
    two = pooled(columns, 2)[:, 0].reshape(2, 2)
    # Areas of 3.5 columns: (0 + 1 + 2 + 3/2) / 3.5 and its mirror.
    assert np.allclose(two, [[4.5 / 3.5, 16.5 / 3.5]] * 2)
    three = pooled(columns, 3)[:, 0].reshape(3, 3)
    assert np.allclose(three.mean(), 3)
    assert np.allclose(three, three[0])


@pytest.mark.parametrize("grid", GRIDS)
def test_what_is_the_same_everywhere_stays(grid: Any) -> None:
    even = np.full((2, 49, 3), 1.25, np.float32)
    assert np.allclose(pooled(even, grid), 1.25, atol=1e-6)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 6e-8, 1e-4, 65504.0])
def test_small_and_large_numbers(scale: float) -> None:
    before = np.full((49, 4), scale, np.float32) * np.array([1, -1, 0.5, 0], np.float32)
    packing = Packing(7, 8)
    back = unpack(pack(before, packing), packing, 4).astype(np.float32)
    assert np.isfinite(back).all()
    assert np.allclose(back, before, rtol=8e-3, atol=4e-6)


def test_batches_are_pooled_like_single_photos() -> None:
    both = np.stack([tokens(8, 1), tokens(8, 2)])
    assert np.allclose(pooled(both, 3)[1], pooled(both[1], 3))


def test_parameters_of_a_model_name_the_packing() -> None:
    assert Packing.of({"grid": "4", "bits": "8", "middle": "5.4"}) == Packing(4, 8)
    assert Packing.of({}) == Packing(7, 16)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"grid": "5"}, "grid is 5, not one of 7, 4, 3, 2, 1"),
        ({"bits": "4"}, "bits is 4, not one of 16, 8"),
        ({"grid": "four"}, "grid is 'four', not a whole number"),
    ],
)
def test_other_parameters_are_refused(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Packing.of(parameters)


@pytest.mark.parametrize("shape", [(48, 320), (49,), (1, 49, 320)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="tokens have shape"):
        pack(np.zeros(shape, np.float32), Packing())


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])
def test_numbers_that_cannot_be_stored_are_refused(bad: float) -> None:
    before = np.zeros((49, 2), np.float32)
    before[5, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        pack(before, Packing(7, 8))


@pytest.mark.parametrize("packing", EVERY, ids=str)
def test_bytes_of_another_packing_are_refused(packing: Packing) -> None:
    with pytest.raises(ValueError, match="bytes are no tokens"):
        unpack(pack(tokens(), packing)[:-1], packing, 320)


@pytest.mark.parametrize("packing", EVERY, ids=str)
def test_many_photos_unpack_at_once_as_each_does_alone(packing: Packing) -> None:
    rng = np.random.default_rng(5)
    packed = [pack(rng.standard_normal((49, 6)).astype(np.float16), packing) for _ in range(3)]
    rows = np.frombuffer(b"".join(packed), np.uint8).reshape(3, -1)
    expected = np.stack([unpack(data, packing, 6) for data in packed])
    assert np.array_equal(unpack_rows(rows, packing, 6), expected)
    assert unpack_rows(rows[:0], packing, 6).shape == (0, packing.tokens, 6)
    with pytest.raises(ValueError, match="not \\[n"):
        unpack_rows(rows[:, :-1], packing, 6)
