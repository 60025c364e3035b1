"""BEiT-3's word pieces: a SentencePiece model with XLM-R's ids.

    <s> 0, <pad> 1, </s> 2, <unk> 3, and every further piece one above its id in the SentencePiece model

A text is <s> pieces </s>, cut to `longest` ids; the first id's place serves as CLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece
from numpy.typing import NDArray

BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
OFFSET = 1
PIECES_BEFORE = {"<unk>": 0, "<s>": 1, "</s>": 2}


class WordsError(ValueError):
    """A SentencePiece model that is not of XLM-R's kind, or does not fit the network."""


class Beit3Words:
    """Texts to ids. `vocabulary`: number of ids that the network knows."""

    def __init__(self, model: Path, *, vocabulary: int = 64010, longest: int = 64) -> None:
        """Raises WordsError where `model` cannot be read, starts with other pieces than <unk>, <s>, </s>, or
        has more than the network knows."""
        if longest < 2:
            raise ValueError(f"longest {longest} leaves no room for <s> and </s>")
        self.longest = longest
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(model))
        except (OSError, RuntimeError) as error:
            raise WordsError(f"{model}: not a SentencePiece model ({error})") from error
        first = {piece: self._pieces.piece_to_id(piece) for piece in PIECES_BEFORE}
        if first != PIECES_BEFORE or self._pieces.unk_id() != 0:
            raise WordsError(f"{model}: starts with {first}, expected {PIECES_BEFORE}")
        if len(self._pieces) + OFFSET > vocabulary:
            raise WordsError(
                f"{model}: {len(self._pieces)} pieces, the network knows {vocabulary - OFFSET} at most"
            )

    def ids(self, text: str) -> list[int]:
        """ids of one text, at most `longest`, without padding."""
        pieces = self._pieces.encode(text)[: self.longest - 2]
        return [BEGIN, *(UNKNOWN if piece == 0 else piece + OFFSET for piece in pieces), END]

    def batch(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """ids i64 [N,L] and mask f32 [N,L] (1 = a token), L that of the longest text."""
        rows = [self.ids(text) for text in texts]
        length = max((len(row) for row in rows), default=0)
        ids = np.full((len(rows), length), PAD, np.int64)
        mask = np.zeros((len(rows), length), np.float32)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return ids, mask
