"""The fastText models that predict the artist from a text (paper A (a)): files of a few megabytes at most."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fasttext
import numpy as np

from nails.artist.fusion import softmax
from nails.artist.labels import from_label
from nails.language.morphemes import split_morphemes
from nails.language.words import split_words
from services.kit.errors import FailedPrecondition

_PRECISION = "int8"
_FLOOR = 1e-12
_WORDS_VERSION = "1"
_SEGMENTERS: Mapping[str, Callable[[str], list[str]]] = {"words": split_words, "morphemes": split_morphemes}
"""Word segmentations, by the name that model.toml gives under `words`."""


@dataclass(frozen=True)
class TextPrediction:
    """What a text model makes of a text.

    probabilities: by artist id, summing to 1; empty when every word is out of vocabulary. word_count: words
    of the text. known_word_count: those of them that are in the model's vocabulary.
    """

    probabilities: Mapping[str, float]
    word_count: int
    known_word_count: int


class TextModel(Protocol):
    """Predicts the artist of a text."""

    artists: tuple[str, ...]
    fingerprint: str

    def predict(self, text: str) -> TextPrediction:
        """The prediction for a text; may be called from several threads."""


class FastTextModel:
    """Quantised fastText classifiers, labelled by nails.artist.labels; several are averaged as an ensemble.

    The average is that of log-probabilities, as in the image model: see training/artist/export/served.py. A
    text that is wholly out of vocabulary gets no probabilities: fastText would answer with its weight of line
    ends.
    """

    def __init__(self, path: Path) -> None:
        """Loads `path`: a file, or a folder, of which `model*.ftz` are the folds of one model.

        Raises FileNotFoundError, ValueError for files of another kind, FailedPrecondition MODEL_UNSUITABLE
        for folds with different artists or a word segmentation that is not installed.
        """
        files = sorted(path.glob("model*.ftz")) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise FileNotFoundError(
                f"no artist text model at {path / 'model.ftz' if path.is_dir() else path}; "
                "`lunula doctor` says how to get one"
            )
        described = _read_model_table(files[0].parent)
        self._models = [fasttext.load_model(str(file)) for file in files]
        self._words = _segmenter(str(described.get("words", "words")))
        labels = [tuple(sorted(model.get_labels())) for model in self._models]
        if len(set(labels)) != 1:
            raise FailedPrecondition(
                f"the models under {path} have different artists", reason="MODEL_UNSUITABLE"
            )
        self.artists: tuple[str, ...] = tuple(from_label(label) for label in labels[0])
        self._place = {label: index for index, label in enumerate(labels[0])}
        stated = described.get("fingerprint")
        self.fingerprint = stated if isinstance(stated, str) and stated else _fingerprint(files)

    def predict(self, text: str) -> TextPrediction:
        """See TextModel."""
        found = self._words(text)
        distinct = {word: any(model.get_word_id(word) >= 0 for model in self._models) for word in set(found)}
        known = sum(distinct[word] for word in found)
        if not known:
            return TextPrediction({}, len(found), 0)
        line = " ".join(found)
        logs = np.zeros(len(self.artists))
        for model in self._models:
            for label, value in zip(*model.predict(line, k=-1), strict=True):
                logs[self._place[label]] += math.log(max(float(value), _FLOOR)) / len(self._models)
        return TextPrediction(dict(zip(self.artists, softmax(logs).tolist(), strict=True)), len(found), known)


def weights_sha256(files: Sequence[Path]) -> str:
    """sha256 of one file; of several, of their checksums in the order of their names."""
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _segmenter(name: str) -> Callable[[str], list[str]]:
    if name not in _SEGMENTERS:
        raise FailedPrecondition(
            f"artist_text needs the word segmentation {name!r}; there are {', '.join(_SEGMENTERS)}",
            reason="MODEL_UNSUITABLE",
        )
    try:
        _SEGMENTERS[name]("a")
    except ModuleNotFoundError as error:
        raise FailedPrecondition(
            f"artist_text was trained on {name}, which need the package {error.name}",
            reason="MODEL_UNSUITABLE",
        ) from error
    return _SEGMENTERS[name]


def _read_model_table(folder: Path) -> dict[str, Any]:
    """The table [model] of model.toml, {} without one."""
    path = folder / "model.toml"
    if not path.is_file():
        return {}
    table = tomllib.loads(path.read_text("utf-8")).get("model", {})
    return table if isinstance(table, dict) else {}


def _fingerprint(files: Sequence[Path]) -> str:
    """The formula that model.toml states the result of, over the files."""
    return hashlib.sha256(f"{weights_sha256(files)}:{_WORDS_VERSION}:{_PRECISION}".encode()).hexdigest()
