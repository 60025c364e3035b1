"""The fastText model that knows artists by their words (paper A (a)): a file of a few hundred kilobytes."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Protocol

import fasttext

from nails.words import words

_LABEL = "__label__"
_PRECISION = "int8"
_WORDS_VERSION = "1"


class TextModel(Protocol):
    """Says whose words these are."""

    artists: tuple[str, ...]
    fingerprint: str

    def probabilities(self, text: str) -> dict[str, float]:
        """Probability by artist id; empty when the text has no word that the model could read."""


class FastTextModel:
    """A quantised fastText classifier with labels `__label__<artist id>`."""

    def __init__(self, path: Path) -> None:
        """Loads `path` (model.ftz). Raises FileNotFoundError, or ValueError for a file of another kind."""
        if not path.is_file():
            raise FileNotFoundError(f"no artist text model at {path}; `lunula doctor` tells how to get one")
        self._model = fasttext.load_model(str(path))
        self.artists: tuple[str, ...] = tuple(
            sorted(label.removeprefix(_LABEL) for label in self._model.get_labels())
        )
        self.fingerprint = _fingerprint(path)

    def probabilities(self, text: str) -> dict[str, float]:
        """See TextModel."""
        line = " ".join(words(text))
        if not line:
            return {}
        labels, values = self._model.predict(line, k=-1)
        return {label.removeprefix(_LABEL): float(value) for label, value in zip(labels, values, strict=True)}


def _fingerprint(path: Path) -> str:
    """The fingerprint that model.toml beside the file states, else the same formula over the file."""
    description = path.parent / "model.toml"
    if description.is_file():
        stated = tomllib.loads(description.read_text("utf-8")).get("model", {}).get("fingerprint")
        if isinstance(stated, str) and stated:
            return stated
    weights = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashlib.sha256(f"{weights}:{_WORDS_VERSION}:{_PRECISION}".encode()).hexdigest()
