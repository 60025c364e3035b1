"""The image tokens that a stored design keeps for its aesthetic score: on a smaller grid, in few bytes.

The tokens of `image_align` are a 7 x 7 map, row by row. Packed bytes have no header: the packing that wrote
them stands in the parameters of the served model `aesthetic`, and a catalogue keeps to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

SIDE = 7  # of the map that comes in
Grid = Literal[7, 4, 3, 2, 1]
Bits = Literal[16, 8]
GRIDS: tuple[Grid, ...] = get_args(Grid)
BITS: tuple[Bits, ...] = get_args(Bits)
_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Packing:
    """How tokens are stored: `grid` x `grid` of them, each number in `bits` bits.

    Raises ValueError for a grid or bits that there are not.
    """

    grid: Grid = 7
    bits: Bits = 16

    def __post_init__(self) -> None:
        if self.grid not in GRIDS:
            raise ValueError(f"grid is {self.grid!r}, not one of {_listed(GRIDS)}")
        if self.bits not in BITS:
            raise ValueError(f"bits is {self.bits!r}, not one of {_listed(BITS)}")

    @property
    def tokens(self) -> int:
        """How many tokens are kept."""
        return self.grid * self.grid

    def size(self, dims: int) -> int:
        """Bytes of one photo with tokens of `dims` numbers; 8 bits come with two bytes of scale a token."""
        return self.tokens * (2 * dims if self.bits == 16 else dims + 2)

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Packing:
        """The packing that a model's parameters `grid` and `bits` name; 7 and 16 where they are not given.

        Raises ValueError for anything that is no packing.
        """
        read = {}
        for name, default in (("grid", 7), ("bits", 16)):
            text = parameters.get(name, str(default))
            try:
                read[name] = int(text)
            except ValueError:
                raise ValueError(f"{name} is {text!r}, not a whole number") from None
        return cls(cast(Grid, read["grid"]), cast(Bits, read["bits"]))  # checked by the class itself


def pooled(tokens: NDArray[np.floating[Any]], grid: Grid) -> NDArray[np.float32]:
    """Tokens [...,49,D] averaged over a `grid` x `grid` of equal areas: float32 [...,grid*grid,D].

    A token that lies across a border counts in each area by its share.
    """
    if tokens.ndim < 2 or tokens.shape[-2] != SIDE * SIDE:
        raise ValueError(f"tokens have shape {list(tokens.shape)}, not [..., {SIDE * SIDE}, dims]")
    values = np.asarray(tokens, np.float32)
    return values if grid == SIDE else np.asarray(np.matmul(_areas(grid), values), np.float32)


def pack(tokens: NDArray[np.floating[Any]], packing: Packing) -> bytes:
    """The bytes of one photo's tokens [49,D], `packing.size(D)` of them.

    16 bits: float16, little-endian. 8 bits: first a float16 scale for each token, then its codes, int8 from
    -127 to 127; a number is code x scale, off by half a scale at most. Raises ValueError for another shape
    or for numbers that float16 does not hold.
    """
    if tokens.ndim != 2:
        raise ValueError(f"tokens have shape {list(tokens.shape)}, not [{SIDE * SIDE}, dims]")
    values = pooled(tokens, packing.grid)
    if not np.isfinite(values).all() or np.abs(values).max(initial=0) > _LARGEST:
        raise ValueError("tokens hold numbers that are not finite in float16")
    if packing.bits == 16:
        return bytes(values.astype("<f2").tobytes())
    scales = _scales(np.abs(values).max(axis=1, initial=0) / 127)
    divisors = np.where(scales > 0, scales, 1).astype(np.float32)
    codes = np.rint(values / divisors[:, None]).astype(np.int8)
    return bytes(scales.tobytes() + codes.tobytes())


def unpack(data: bytes, packing: Packing, dims: int) -> NDArray[np.float16]:
    """Tokens float16 [grid*grid,dims] from the bytes that `pack` made.

    Raises ValueError where the bytes are not as many as this packing takes.
    """
    if dims < 1 or len(data) != packing.size(dims):
        raise ValueError(
            f"{len(data)} bytes are no tokens of {dims} numbers in {packing.bits} bits on a grid of"
            f" {packing.grid}: those take {packing.size(dims)}"
        )
    one: NDArray[np.float16] = unpack_rows(np.frombuffer(data, np.uint8)[None], packing, dims)[0]
    return one


def unpack_rows(rows: NDArray[np.uint8], packing: Packing, dims: int) -> NDArray[np.float16]:
    """Tokens float16 [n,grid*grid,dims] of n photos at once, from bytes [n,packing.size(dims)].

    Raises ValueError for another shape.
    """
    if rows.ndim != 2 or rows.shape[1] != packing.size(dims):
        raise ValueError(f"bytes have shape {list(rows.shape)}, not [n, {packing.size(dims)}]")
    shape = (len(rows), packing.tokens, dims)
    if packing.bits == 16:
        return np.ascontiguousarray(rows).view("<f2").reshape(shape).astype(np.float16)
    scales = np.ascontiguousarray(rows[:, : 2 * packing.tokens]).view("<f2").astype(np.float32)
    codes = np.ascontiguousarray(rows[:, 2 * packing.tokens :]).view(np.int8).reshape(shape)
    values = codes * scales[:, :, None]
    return np.asarray(np.clip(values, -_LARGEST, _LARGEST), np.float16)


def _scales(exact: NDArray[np.float32]) -> NDArray[np.float16]:
    """Scales as float16, never below the exact ones: codes stay within 127."""
    near = exact.astype("<f2")
    above = np.nextafter(near, np.float16(np.inf)).astype("<f2")
    scales: NDArray[np.float16] = np.where(near.astype(np.float32) < exact, above, near).astype("<f2")
    return scales


@cache
def _areas(grid: int) -> NDArray[np.float32]:
    """[grid*grid,49]: the share of each token of the map in each area; rows sum to 1."""
    edges = np.arange(grid + 1) * SIDE / grid
    cells = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    along = np.clip(overlap, 0, None) * grid / SIDE  # [grid,7]
    return np.kron(along, along).astype(np.float32)


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
