"""Integer forms of the sentence encoder's two heavy layers.

The first projection and its layer norm depend on the piece alone, so they are computed once per piece, in
float64, and stored as a second uint8 table. Both n-gram layers then run as 8-bit matrix products with
static scales. Static scales (rather than scales taken from each batch) are what keeps a sentence's vector
independent of the sentences it shares a batch with: every product is an exact integer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.language.word_pieces import BEGIN, END, FIRST_PIECE
from tools.text_encode.weights import BRANCH, ORDERS, PIECES, VOCABULARY, SourceWeights

ZERO = 128  # the uint8 code of 0.0 in both activation tables
_LEVELS = 127.0
_CODES = 255.0
_GRID = 2.0**-12  # scales are rounded up to this grid, so that float64 noise cannot change a byte
_BLOCK = 8192
_CALIBRATION_SENTENCES = 2048
_CALIBRATION_TOKENS = 12  # between the sentence's first and last token
_MARGIN = 1.25  # head-room over the calibration's peaks: clipping costs more than coarser steps
_GOLDEN = 0.7548776662466927  # a low-discrepancy stride: even cover without randomness


@dataclass(frozen=True)
class Projected:
    """codes u8 [pieces + 1, 768] (the last row is zero) and scale f32 [768]: value = (code - 128) * scale."""

    codes: NDArray[np.uint8]
    scale: NDArray[np.float32]


@dataclass(frozen=True)
class HiddenCode:
    """How the first n-gram layer's output f32 [768] is stored: code = round(value / scale) + zero, u8.

    A channel has its own zero: after the rectifier most channels reach much further up than down.
    """

    scale: NDArray[np.float32]
    zero: NDArray[np.uint8]


@dataclass(frozen=True)
class IntegerKernel:
    """codes i8 [order * 256, 256] and scale f32 [256] of one branch's kernel, input scales folded in."""

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]


def _on_grid(scale: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.ceil(scale / _GRID) * _GRID).astype(np.float32)


def layer_norm(
    rows: NDArray[np.float64], gain: NDArray[np.float32], bias: NDArray[np.float32], epsilon: float
) -> NDArray[np.float64]:
    """Layer norm over the last axis, in float64."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + epsilon)
    normal: NDArray[np.float64] = centred / spread * gain + bias
    return normal


def projection(source: SourceWeights, pieces: NDArray[np.int64]) -> NDArray[np.float64]:
    """The first layer's output f64 [n, 768] for piece ids [n]: layer_norm(embedding @ W + b)."""
    weight = source.branches("proj").astype(np.float64)
    rows = source.embeddings(pieces) @ weight + source.branches("proj_b")
    return layer_norm(rows, source.branches("ln_g"), source.branches("ln_b"), source.epsilon)


def project_all(source: SourceWeights) -> Projected:
    """Project every piece and store it in 8 bits with one scale a channel."""
    blocks = [np.arange(start, min(start + _BLOCK, PIECES)) for start in range(0, PIECES, _BLOCK)]
    rows = np.concatenate([projection(source, block).astype(np.float32) for block in blocks])
    scale = _on_grid(np.abs(rows).max(axis=0).astype(np.float64) / _LEVELS)
    codes = np.full((PIECES + 1, rows.shape[1]), ZERO, dtype=np.uint8)
    codes[:PIECES] = np.rint(rows / scale) + ZERO
    return Projected(codes=codes, scale=scale)


def windows(rows: NDArray[np.float64], order: int, left: int) -> NDArray[np.float64]:
    """n-gram windows [..., L, order * C] of rows [..., L, C], zeros outside the sentence."""
    pad = [(0, 0)] * (rows.ndim - 2) + [(left, order - 1 - left), (0, 0)]
    padded = np.pad(rows, pad)
    length = rows.shape[-2]
    return np.concatenate([padded[..., k : k + length, :] for k in range(order)], axis=-1)


def calibration_pieces() -> NDArray[np.int64]:
    """Pseudo-sentences i64 [2048, 14]: first token, pieces sampled evenly in log-rank, last token.

    Pieces are stored by falling frequency, so even in log-rank is close to how often text uses them.
    """
    shape = (_CALIBRATION_SENTENCES, _CALIBRATION_TOKENS)
    draws = np.arange(1, shape[0] * shape[1] + 1) * _GOLDEN % 1.0
    ranks = np.floor(FIRST_PIECE * (VOCABULARY / FIRST_PIECE) ** draws).astype(np.int64)
    ends = [np.full((shape[0], 1), piece, dtype=np.int64) for piece in (BEGIN, END)]
    return np.concatenate([ends[0], ranks.reshape(shape), ends[1]], axis=1)


def hidden_code(source: SourceWeights) -> HiddenCode:
    """Scales and zeros of the first n-gram layer's output, from `calibration_pieces`."""
    pieces = calibration_pieces()
    rows = projection(source, pieces.reshape(-1)).reshape(*pieces.shape, -1)
    low, high = [], []
    for branch, (order, left) in enumerate(ORDERS):
        part = rows[..., branch * BRANCH : (branch + 1) * BRANCH]
        product = windows(part, order, left) @ source.arrays[f"w1_{order}"].astype(np.float64)
        hidden = np.maximum(product + source.arrays[f"b1_{order}"], 0.0) + part
        low.append(np.minimum(hidden.min(axis=(0, 1)), 0.0))
        high.append(np.maximum(hidden.max(axis=(0, 1)), 0.0))
    bottom, top = np.concatenate(low) * _MARGIN, np.concatenate(high) * _MARGIN
    scale = _on_grid((top - bottom) / _CODES)
    return HiddenCode(scale=scale, zero=np.rint(-bottom / scale).astype(np.uint8))


def integer_kernel(
    kernel: NDArray[np.float32], input_scale: NDArray[np.float32], order: int
) -> IntegerKernel:
    """Quantise a kernel f32 [order * 256, 256] whose inputs carry `input_scale` f32 [256] per channel."""
    folded = kernel.astype(np.float64) * np.tile(input_scale.astype(np.float64), order)[:, None]
    scale = np.abs(folded).max(axis=0) / _LEVELS
    return IntegerKernel(codes=np.rint(folded / scale).astype(np.int8), scale=scale.astype(np.float32))


def compute_shift(kernel: IntegerKernel, zero: NDArray[np.uint8], order: int) -> NDArray[np.float64]:
    """What the kernel adds f64 [256] because its inputs' zeros [256] are not the common ZERO.

    To be subtracted. Positions outside a sentence carry their channel's zero too, so it never varies.
    """
    offsets = np.tile(zero.astype(np.float64) - ZERO, order)
    shift: NDArray[np.float64] = (offsets @ kernel.codes.astype(np.float64)) * kernel.scale
    return shift


def reproducible_product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """left f32 [n, k] @ right f32 [k, m] in float64, summed in a fixed order: the same bytes everywhere.

    A BLAS sums in the order its processor likes, and one result in some thousands would round the other way.
    """
    total = np.zeros((left.shape[0], right.shape[1]))
    wide_left, wide_right = left.astype(np.float64), right.astype(np.float64)
    for column, row in zip(wide_left.T, wide_right, strict=True):
        total += column[:, None] * row[None, :]
    return total.astype(np.float32)
